"""The usual linear models for texts, and nearest neighbours for series, as rivals.

The columns are TF-IDF with sublinear counts of words, of words and pairs, or of 2 to 5 characters inside words, with
logistic regression (C=10) or a linear support vector machine. Languages without spaces have two more columns. The rival
of a set is the best column in cross-validation of its training half.
"""

import statistics
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from _figures import Run, run
from _sets import Split
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

_WORDS: dict[str, Any] = {"ngram_range": (1, 1)}
_PAIRS: dict[str, Any] = {"ngram_range": (1, 2)}
_INSIDE_WORDS: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (2, 5)}
_CHARACTERS: dict[str, Any] = {"analyzer": "char", "ngram_range": (1, 4)}
# The settings of the vectoriser, and the linear model.
_COLUMNS = {
    "words + LR": (_WORDS, "LR"),
    "pairs + LR": (_PAIRS, "LR"),
    "pairs + SVC": (_PAIRS, "SVC"),
    "characters in words + SVC": (_INSIDE_WORDS, "SVC"),
}
_COLUMNS_WITHOUT_SPACES = {"characters + LR": (_CHARACTERS, "LR"), "characters + SVC": (_CHARACTERS, "SVC")}
# The penalties of NB-SVM; 1 for other data. On short texts 0.1 is worse in cross-validation of the training rows.
NB_SVM_C = {"imdb": 0.1}
_N_FOLDS = 5
# The number of training rows for the choice of a column.
_MAX_CHOICE_ROWS = 25_000


def columns(*, without_spaces: bool) -> list[str]:
    """The names of the columns, cheapest first."""
    return [*_COLUMNS, *(_COLUMNS_WITHOUT_SPACES if without_spaces else ())]


def _settings(column: str) -> tuple[dict[str, Any], str]:
    return (_COLUMNS | _COLUMNS_WITHOUT_SPACES)[column]


def _linear(kind: str) -> Any:
    return LogisticRegression(C=10, max_iter=1000) if kind == "LR" else LinearSVC(random_state=0)


def linear_model(column: str) -> Any:
    """A pipeline from raw texts to labels."""
    vectorizer, kind = _settings(column)
    return make_pipeline(TfidfVectorizer(sublinear_tf=True, **vectorizer), _linear(kind))


def nearest_neighbour() -> Any:
    """One nearest neighbour on series of one length, flattened."""
    return make_pipeline(FunctionTransformer(lambda X: X.reshape(len(X), -1)), KNeighborsClassifier(1))


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings about classes with fewer rows than folds, and about solvers that stop early."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        yield


def timed(model: Any, split: Split, max_threads: int) -> tuple[Run, dict[str, float]]:
    """Run with one and more BLAS threads; return the predictions of the first, the fastest times, and all sums."""
    runs = {}
    for n_threads in range(1, max_threads + 1):
        with _quiet(), threadpool_limits(n_threads, user_api="blas"):
            runs[n_threads] = run(model, split)
    sums = {f"{n} BLAS threads": each.fit_seconds + each.predict_seconds for n, each in runs.items()}
    fastest = min(runs.values(), key=lambda each: each.fit_seconds + each.predict_seconds)
    return replace(fastest, predicted=runs[1].predicted, probabilities=runs[1].probabilities), sums


class _Present(TransformerMixin, BaseEstimator):
    """Drops n-grams that no row of `fit` has, so that the result equals that of a vectoriser fitted on these rows."""

    def fit(self, X: sparse.csr_matrix, y: Any = None) -> "_Present":
        self.present_ = np.flatnonzero(X.getnnz(axis=0))
        return self

    def transform(self, X: sparse.csr_matrix) -> sparse.csr_matrix:
        return X[:, self.present_]


def cross_validated(names: list[str], X: list[str], y: np.ndarray) -> dict[str, float]:
    """The accuracy of each column in five stratified folds of a training half; n-grams are counted only once."""
    if len(y) > _MAX_CHOICE_ROWS:
        X, _, y, _ = train_test_split(X, y, train_size=_MAX_CHOICE_ROWS, random_state=0)
    folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=0)
    accuracies = {}
    counted: tuple[Any, Any] = (None, None)
    for name in names:
        vectorizer, kind = _settings(name)
        if counted[0] is not vectorizer:
            counted = vectorizer, CountVectorizer(**vectorizer).fit_transform(X)
        counts = counted[1]
        scores = []
        with _quiet(), threadpool_limits(1, user_api="blas"):
            for rows, held_out in folds.split(counts, y):
                model = make_pipeline(_Present(), TfidfTransformer(sublinear_tf=True), _linear(kind))
                model.fit(counts[rows], y[rows])
                scores.append(float((model.predict(counts[held_out]) == y[held_out]).mean()))
        accuracies[name] = statistics.mean(scores)
    return accuracies


class NBFeatures(TransformerMixin, BaseEstimator):
    """Multiplies binary counts by the log-count ratios of two classes."""

    def fit(self, X: sparse.csr_matrix, y: np.ndarray) -> "NBFeatures":
        positive, negative = (1 + np.asarray(X[y == label].sum(axis=0)).ravel() for label in np.unique(y)[::-1])
        self.ratios_ = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
        return self

    def transform(self, X: sparse.csr_matrix) -> sparse.csr_matrix:
        return X.multiply(self.ratios_).tocsr()


def nb_svm(*, without_spaces: bool = False, C: float = 1.0) -> Any:
    """Logistic regression on presence times naive-Bayes log-count ratios (Wang & Manning 2012), words to triples.

    One binary model per class if there are more than two. Languages without spaces: characters instead of words.
    """
    unit = "char" if without_spaces else "word"
    counts = CountVectorizer(analyzer=unit, ngram_range=(1, 3), binary=True, min_df=2, dtype=np.float64)
    of_class = make_pipeline(NBFeatures(), LogisticRegression(C=C, max_iter=1000))
    return make_pipeline(counts, OneVsRestClassifier(of_class))

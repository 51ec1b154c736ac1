"""
From texts to classes: the complete workflow
============================================

Trains ``RNNTextClassifier`` with its defaults on 25,000 film reviews, evaluates it on the 25,000 reviews of the
official test half next to TF-IDF with logistic regression, and saves it with a plot of its training. Then the
classifier is used like any other of scikit-learn: in a pipeline, in a grid search, and saved in a file.

The reviews (IMDB, Maas et al. 2011) are in the folder that the environment variable ``SEQCLF_DATA`` names. Without them
the demo uses the documentation of the installed numpy, scipy, scikit-learn and torch, with the package as the class.
Nothing is downloaded.

Run it with ``make demo``, or ``python examples/demo.py --quick`` for a trial of one minute.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import joblib
import matplotlib
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

from seqclf import RNNTextClassifier, SequencePadder, TextTokenizer, datasets
from seqclf.inspection import TrainingCurveDisplay

matplotlib.use("Agg")  # writes files, needs no screen
import matplotlib.pyplot as plt

QUICK = "--quick" in sys.argv or os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")
OUTPUT = Path(__file__).resolve().parent.parent / "demo_output"


# %%
# The data
# --------
# The reviews have an official split. The documentation is split 80 to 20, stratified by package.


def load_data():
    """Return the name of the data, and the texts and labels for training and for testing."""
    try:
        train = datasets.fetch_imdb(subset="train", download_if_missing=False)
        test = datasets.fetch_imdb(subset="test", download_if_missing=False)
    except OSError:
        name = "docstrings of four packages"
        X, y = texts_and_names(datasets.load_docstrings())
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)
    else:
        name = "IMDB reviews"
        X_train, y_train = texts_and_names(train)
        X_test, y_test = texts_and_names(test)
    if QUICK:
        X_train, y_train = subset(X_train, y_train, 400)
        X_test, y_test = subset(X_test, y_test, 400)
    return name, X_train, y_train, X_test, y_test


def texts_and_names(data):
    """Return the texts and the names of their classes; a classifier accepts names as labels."""
    return data.data, np.array(data.target_names)[data.target]


def subset(X, y, n):
    """Return a stratified random subset of `n` rows."""
    if len(y) <= n:
        return X, y
    X, _, y, _ = train_test_split(X, y, train_size=n, stratify=y, random_state=0)
    return X, y


# %%
# The classifier and common alternatives
# --------------------------------------
# All models are trained on the same texts in the same run, so that accuracy and time can be compared.


def fit_and_evaluate(name, model, X_train, y_train, X_test, y_test):
    """Fit, predict, return one line of the table."""
    start = time.perf_counter()
    model.fit(X_train, y_train)
    fitted = time.perf_counter()
    accuracy = np.mean(model.predict(X_test) == y_test)
    done = time.perf_counter()
    return f"{name:<32}{accuracy:>9.4f}{fitted - start:>9.1f} s{done - fitted:>9.1f} s"


def summarise(model):
    """Print a summary of the fitted model."""
    best = model.history_[model.best_epoch_ - 1]
    print(f"  classes       {', '.join(str(c) for c in model.classes_)}")
    print(f"  vocabulary    {model.vocab_size_:,} tokens")
    print(f"  parameters    {model.n_parameters_:,}")
    print(f"  epochs        {model.n_iter_}, with the weights of epoch {model.best_epoch_}")
    if best.get("valid_score") is not None:
        print(f"  validation    accuracy {best['valid_score']:.4f}, loss {best['valid_loss']:.4f}")


def show_predictions(model, X, y, n=4):
    """Print a few texts with their predicted classes."""
    rows = np.random.default_rng(0).choice(len(y), size=n, replace=False)
    texts = [X[i] for i in rows]
    for i, text, p in zip(rows, texts, model.predict_proba(texts), strict=True):
        best = p.argmax()
        print(f"  {model.classes_[best]!s:<12} p={p[best]:.2f}  (is {y[i]!s})  {' '.join(text.split())[:70]}...")


# %%
# The training curve
# ------------------
# Loss and accuracy after each epoch; a circle marks the epoch of the final weights.


def draw_training_curve(model, path):
    """Plot the history of the model."""
    figure = TrainingCurveDisplay.from_estimator(model).figure_
    figure.suptitle("Training of RNNTextClassifier")
    figure.savefig(path, dpi=120)
    plt.close(figure)


# %%
# Saving
# ------
# joblib saves a fitted model as one file; the loaded model has the same predictions to the last bit.


def save_and_reload(model, X, path):
    """Save the model, load it, compare predictions."""
    joblib.dump(model, path)
    loaded = joblib.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    print(f"  {path.name}: {path.stat().st_size / 1e6:.1f} MB, loaded again, predictions equal")


# %%
# Like any scikit-learn classifier
# --------------------------------
# A pipeline of separate steps, a grid of cells and units on two processes, and the best pipeline in a file.


def pipeline_search_and_file(X_train, y_train, X_test, y_test):
    """Use a pipeline, GridSearchCV and joblib."""
    pipeline = Pipeline(
        [("tokenizer", TextTokenizer()), ("padder", SequencePadder()), ("classifier", RNNTextClassifier(cell="gru"))]
    )
    pipeline.set_params(
        tokenizer__max_length=100 if QUICK else 200,
        classifier__max_epochs=1 if QUICK else 4,
        classifier__random_state=0,
    )
    start = time.perf_counter()
    pipeline.fit(X_train, y_train)
    print(f"  pipeline      accuracy {pipeline.score(X_test, y_test):.3f} in {time.perf_counter() - start:.1f} s")

    pipeline.set_params(classifier__n_threads=1)  # the search runs two processes, with one thread each
    grid = {"classifier__cell": ["rnn", "lstm", "gru"], "classifier__units": [16, 32]}
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=2 if QUICK else 3)
    start = time.perf_counter()
    search.fit(X_train, y_train)
    print(f"  grid search   {len(search.cv_results_['params'])} candidates in {time.perf_counter() - start:.1f} s")
    for i in np.argsort(search.cv_results_["rank_test_score"], kind="stable"):
        chosen = search.cv_results_["params"][i]
        score = search.cv_results_["mean_test_score"][i]
        print(f"    {chosen['classifier__cell']:<5} {chosen['classifier__units']:>3} units  {score:.3f}")
    print(f"  best of grid  accuracy {search.score(X_test, y_test):.3f} on test texts")

    with tempfile.TemporaryDirectory() as folder:
        save_and_reload(search.best_estimator_, X_test, Path(folder) / "pipeline.joblib")


# %%
# The whole demo
# --------------


def main():
    """Run the demo."""
    name, X_train, y_train, X_test, y_test = load_data()
    print(f"{name}: {len(y_train):,} training texts, {len(y_test):,} test texts{' (quick)' if QUICK else ''}\n")

    model = RNNTextClassifier(random_state=0, verbose=1)
    if QUICK:
        model.set_params(max_epochs=2)
    words = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    pairs = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, max_iter=1000))
    rows = [
        fit_and_evaluate("RNNTextClassifier()", model, X_train, y_train, X_test, y_test),
        fit_and_evaluate("TF-IDF of words + LR", words, X_train, y_train, X_test, y_test),
        fit_and_evaluate("TF-IDF of words and pairs + LR", pairs, X_train, y_train, X_test, y_test),
    ]
    print(f"\n{'':<32}{'accuracy':>9}{'fit':>11}{'predict':>11}")
    print(*rows, sep="\n")

    print("\nThe model")
    summarise(model)
    print("\nSome predictions")
    show_predictions(model, X_test, y_test)

    OUTPUT.mkdir(exist_ok=True)
    print(f"\nSaved in {OUTPUT.name}/")
    save_and_reload(model, X_test[:500], OUTPUT / "model.joblib")
    draw_training_curve(model, OUTPUT / "training_curve.png")
    print("  training_curve.png")

    n = 200 if QUICK else 2_000
    X_subset, y_subset = subset(X_train, y_train, n)
    print(f"\nPipeline, grid search and file, on {len(y_subset):,} of the texts")
    pipeline_search_and_file(X_subset, y_subset, *subset(X_test, y_test, n))


if __name__ == "__main__":  # worker processes can import this file
    main()

"""The contributions of the linear model, compared with sums over its named features."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from _taggers import id_rows, make_tagger, token_rows
from seqclf import RNNTextClassifier, RNNTextRegressor, TextTokenizer
from seqclf._data.ragged import Ragged
from seqclf._label_features.character_ngrams import char_wb_ngrams
from seqclf._label_features.linear_scores import LinearScores
from seqclf._label_features.supervision import Calibration
from seqclf.inspection._explained_model import ExplainedModel
from seqclf.inspection._wide_half import divide_context_scores, divide_ngram_values, wide_contributions

SMALL = {"units": 3, "max_epochs": 1, "random_state": 0, "n_threads": 1}
RNG = np.random.default_rng(0)
WORDS = "good bad fine poor film plot actor scene not very".split()
TEXTS = [" ".join(RNG.choice(WORDS, n)) for n in RNG.integers(1, 12, 60)]
LABELS = np.array(["a", "b", "c"])[np.arange(60) % 3]
NEW = "not good not good film, goodness unseen good"


def occurrences(tokens, separator, has_characters):
    """The name of each feature of a text, with the positions of the tokens it belongs to, once for each occurrence."""
    for order in range(1, 6):
        for start in range(len(tokens) - order + 1):
            yield separator.join(tokens[start : start + order]), list(range(start, start + order))
    if has_characters:
        for position, token in enumerate(tokens):
            for ngram in char_wb_ngrams(token):
                yield repr(ngram), [position]


@pytest.mark.parametrize("level", ["word", "char"])
def test_each_feature_is_divided_among_its_tokens(level):
    model = RNNTextClassifier(TextTokenizer(level=level), **SMALL).fit(TEXTS, LABELS)
    explained = ExplainedModel(model, [NEW])
    tokens, wide, output = explained.tokens()[0], model.wide_, 1
    column = {name: position for position, name in enumerate(wide.feature_names())}
    separator = "" if level == "char" else " "
    found = [(column[name], at) for name, at in occurrences(tokens, separator, level == "word") if name in column]
    counts = Counter(position for position, _ in found)
    # TF-IDF: n-grams of tokens and of characters are scaled to length 1 separately.
    n_ngrams = sum(not name.startswith("'") for name in column)
    value = {position: (1 + np.log(n)) * wide.features.idf_[position] for position, n in counts.items()}
    norms = [np.sqrt(sum(v**2 for p, v in value.items() if (p < n_ngrams) == is_ngram)) for is_ngram in (True, False)]
    expected = np.zeros(len(tokens))
    slope = np.broadcast_to(wide.calibration_.slope, 3)[output]
    for position, at in found:
        part = value[position] / norms[position >= n_ngrams] / counts[position]
        expected[at] += slope * wide.coef_[position, output] * part / len(at)
    contributions = wide_contributions(explained.features, explained.row(0), output)
    np.testing.assert_allclose(contributions, expected, atol=1e-5)
    assert np.abs(expected).max() > 0.01


def test_clipped_estimates_are_scaled_down():
    numbers = np.array([float("good" in text) for text in TEXTS])
    model = RNNTextRegressor(**SMALL).fit(TEXTS, numbers)
    model.wide_.calibration_ = model.wide_.calibration_._replace(high=np.array([0.2]))
    explained = ExplainedModel(model, ["good good", "bad", ""])
    estimates = explained.features.transform(explained.sequences).scores[:, 0]
    assert estimates[0] == np.float32(0.2)
    assert estimates[1] < 0.2
    for row in range(2):
        contributions = wide_contributions(explained.features, explained.row(row), 0)
        np.testing.assert_allclose(contributions.sum(), estimates[row] - estimates[2], atol=1e-6)


def scores_with_an_unlearnable_output():
    scores = LinearScores(features=SimpleNamespace(), fits=())
    scores.intercept_ = np.array([0.3, -0.2, 0.0], dtype=np.float32)
    scores.is_learnable_ = np.array([True, True, False])
    scores._priors, scores._exclusive = np.array([-3.0]), True
    scores.calibration_ = Calibration(1.5, np.array([0.1, -0.1, 0.0]), 0.0)
    return scores


@pytest.mark.parametrize("output", [0, 1, 2])
def test_mean_slopes_times_differences_are_the_change_of_an_estimate(output):
    scores = scores_with_an_unlearnable_output()
    values = np.array([1.5, -2.0, 0.0])
    start, stop = scores._estimates(np.stack([scores.intercept_, values]))[:, output]
    slopes = scores.mean_slopes(values, output)
    np.testing.assert_allclose(slopes @ (values - scores.intercept_), stop - start, rtol=1e-5)
    assert np.count_nonzero(slopes) == (2 if output == 2 else 1)


def test_values_of_ngrams_are_divided_among_their_tokens():
    assert divide_ngram_values(np.array([0.0, 6.0, 0.0, 3.0]), 1).tolist() == [0, 6, 0, 3]
    assert divide_ngram_values(np.array([0.0, 6.0, 0.0, 3.0]), 2).tolist() == [3, 3, 1.5, 1.5]
    assert divide_ngram_values(np.array([0.0, 0.0, 3.0]), 3).tolist() == [1, 1, 1]
    assert divide_ngram_values(np.zeros(0), 3).tolist() == []


@pytest.mark.parametrize("rows", [token_rows, id_rows])
def test_scores_of_a_step_depend_on_tokens_up_to_two_steps_away(rows):
    X, y = rows(40)
    tagger = make_tagger().fit(X, y)
    sequence = max(X, key=len)
    explained = ExplainedModel(tagger, [sequence])
    n_steps, n_outputs = len(sequence), explained.features.n_step_features
    for step in range(n_steps):
        slopes = np.zeros((n_steps, n_outputs))
        slopes[step] = 1.0
        contributions = divide_context_scores(explained.features, explained.row(0), slopes)
        assert not contributions[np.abs(np.arange(n_steps) - step) > 2].any()
        estimates = explained.features.transform(explained.row(0)).step_features[step].sum()
        assert contributions.sum() == pytest.approx(estimates, abs=1e-5)


def test_what_belongs_to_no_feature_of_a_tagger_is_the_estimate_without_features():
    X, y = token_rows(40)
    tagger = make_tagger().fit(X, y)
    explained = ExplainedModel(tagger, X[:1])
    scores = explained.features.scores
    slopes = np.zeros((len(X[0]), len(scores.intercept_)))
    slopes[1, 0] = 1.0
    context = scores.features
    row = context.transform(explained.features.spelled(explained.row(0)))
    at_step = slice(int(row.lengths[0]), int(row.lengths[:2].sum()))
    slope = np.broadcast_to(scores.calibration_.slope, len(scores.intercept_))[0]
    expected = np.zeros(len(X[0]))
    expected[1] = scores.calibration_.offset[0] + slope * scores.intercept_[0]
    for column, value in zip(row.columns[at_step], row.values[at_step], strict=True):
        for distance in context.distances[column]:
            expected[1 + distance] += slope * scores.coef_[column, 0] * value / 2
    found = divide_context_scores(explained.features, explained.row(0), slopes)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_distances_match_the_names_of_features():
    X, y = token_rows(40)
    context = make_tagger().fit(X, y).wide_.features
    prefixes = {"two before: ": (-2, -2), "two after: ": (2, 2), "before: ": (-1, -1), "after: ": (1, 1)}
    prefixes |= {"pair with the token before: ": (-1, 0), "pair with the token after: ": (0, 1), "": (0, 0)}
    for name, distance in zip(context.names(), context.distances.tolist(), strict=True):
        prefix = next(prefix for prefix in prefixes if name.startswith(prefix))
        assert tuple(distance) == prefixes[prefix], name


def test_new_tokens_of_other_rows_do_not_matter():
    model = RNNTextClassifier(**SMALL).fit(TEXTS, LABELS)
    texts = ["unseen good", "", "other unseen words", "good"]
    explained, alone = ExplainedModel(model, texts), [ExplainedModel(model, [text]).row(0) for text in texts]
    for row, expected in enumerate(alone):
        found = explained.row(row)
        assert sorted(found.spelling.new_tokens) == sorted(expected.spelling.new_tokens)
        names = [[*model.tokenizer_.tokens_, *each.spelling.new_tokens] for each in (found, expected)]
        spelled = [[names[i][id_] for id_ in each.spelling.ids] for i, each in enumerate((found, expected))]
        assert spelled[0] == spelled[1]
        np.testing.assert_array_equal(found.steps.values, expected.steps.values)
        assert isinstance(found.steps, Ragged)

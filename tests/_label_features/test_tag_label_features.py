"""`TagLabelFeatures`: scores predict labels, and no label leaks into the scores of its own fold."""

import numpy as np
import pytest

from seqclf._data.encoded import EncodedSequences, Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features import linear_models, tag_label_features
from seqclf._label_features.supervision import Calibration, Supervision
from seqclf._label_features.tag_label_features import TagLabelFeatures
from seqclf._tasks.tagging import Tagging

VOCAB = 40
TOKENS = ["<pad>", "<unk>", *(f"{'Xx'[i % 2]}{i}{'aeiou'[i % 5]}" for i in range(2, VOCAB))]


def random_ids(n, seed=0, longest=9):
    rng = np.random.default_rng(seed)
    rows = [rng.integers(2, VOCAB, size=rng.integers(1, longest)).astype(np.int32) for _ in range(n)]
    return Ragged.from_items(rows, dtype=np.int32)


def codes_of_ids(ids, n_classes, seed=0, noise=0.3):
    """Classes that depend on the id, with some noise."""
    rng = np.random.default_rng(seed)
    codes = ids.values.astype(np.int64) % n_classes
    return np.where(rng.random(len(codes)) < noise, rng.integers(n_classes, size=len(codes)), codes)


def encoded(ids, spelled=True):
    return EncodedSequences(ids, spelling=Spelling(ids.values, [], VOCAB) if spelled else None)


def supervise(ids, codes, fold, calibrate=None):
    task = Tagging()
    names = np.array(["a", "b", "c"], dtype=object)
    labels = Ragged(np.array([None if code < 0 else names[code] for code in codes], dtype=object), ids.lengths)
    targets = task.fit(labels, None)
    task.fit_weights(targets, np.ones(len(ids)))
    weights, fold = task.loss_weights(targets), np.repeat(fold, ids.lengths)
    memberships = task.supervision_targets(targets)
    calibrate = calibrate or (lambda scores: task.calibrate(scores, targets, weights))
    return Supervision(memberships, task.score_weights(targets), weights, fold, calibrate)


def fit_features(ids, codes, fold=None, spelled=True, calibrate=None):
    features = TagLabelFeatures(TOKENS if spelled else None)
    fold = np.arange(len(ids)) % 5 if fold is None else fold
    return features, features.fit_transform(encoded(ids, spelled), supervise(ids, codes, fold, calibrate))


@pytest.mark.parametrize("spelled", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_predict_classes(n_classes, spelled):
    ids, new = random_ids(100), random_ids(60, seed=1)
    features, training = fit_features(ids, codes_of_ids(ids, n_classes), spelled=spelled)
    n_outputs = 1 if n_classes == 2 else 3
    assert features.n_step_features == n_outputs and features.scores.coef_.shape[1] == n_outputs
    assert len(features.scores.feature_names()) == len(features.scores.coef_)
    found = features.transform(encoded(new, spelled))
    for sequences, steps in ((training, ids), (found, new)):
        scores = sequences.step_features
        assert scores.shape == (steps.n_steps, n_outputs) and scores.dtype == np.float32
        assert sequences.spelling is None and sequences.steps is steps
        best = (scores[:, 0] > 0) if n_classes == 2 else scores.argmax(axis=1)
        assert (best == steps.values % n_classes).mean() > 0.8


def test_a_label_shifts_all_scores_of_its_fold_equally():
    """A changed label adds the same to all scores of its fold, for each class."""
    ids = random_ids(60)
    codes = codes_of_ids(ids, 3)
    fold = np.random.default_rng(0).integers(5, size=60)
    step_folds = np.repeat(fold, ids.lengths)
    identity = Calibration(1.0, np.zeros(3), 0.0)
    before = fit_features(ids, codes, fold, calibrate=lambda _: identity)[1].step_features
    for step in (0, 17, 101):
        flipped = codes.copy()
        flipped[step] = (codes[step] + 1) % 3
        change = fit_features(ids, flipped, fold, calibrate=lambda _: identity)[1].step_features - before
        in_fold = step_folds == step_folds[step]
        np.testing.assert_allclose(change[in_fold], np.broadcast_to(change[step], change[in_fold].shape), atol=2e-6)
        assert np.ptp(change[~in_fold], axis=0).max() > 1e-2


def test_a_label_changes_the_scores_of_the_model_of_all_rows():
    """This shows that the test above can detect a leak."""
    ids = random_ids(60)
    codes = codes_of_ids(ids, 3)
    flipped = codes.copy()
    flipped[0] = (codes[0] + 1) % 3
    one, other = (fit_features(ids, each)[0].transform(encoded(ids)).step_features for each in (codes, flipped))
    assert np.abs(other[0] - one[0]).max() > 1e-2


def test_unlabelled_steps_have_scores():
    """The models are fitted to the labelled steps, and score all steps."""
    ids = random_ids(80)
    codes = codes_of_ids(ids, 3)
    hidden = np.random.default_rng(2).random(len(codes)) < 0.4
    codes[hidden] = -1
    _, training = fit_features(ids, codes)
    scores = training.step_features
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == ids.values % 3)[hidden].mean() > 0.7


def test_class_in_one_fold_gets_its_prior():
    """Otherwise its scores would differ between this fold, without it, and the others, and reveal the labels."""
    ids = random_ids(50)
    codes = codes_of_ids(ids, 2)
    codes[:3] = 2
    fold = np.where(np.arange(50) < ids.row_of(2) + 1, 0, np.arange(50) % 5)
    _, training = fit_features(ids, codes, fold)
    others = np.exp(training.step_features[:, :2].astype(np.float64)).sum(axis=1)
    log_odds = training.step_features[:, 2] - np.log(others)
    np.testing.assert_allclose(log_odds, log_odds[0], atol=1e-5)


def test_unlabelled_steps_do_not_count_as_other_classes():
    """One of two classes is in a single fold; all folds have unlabelled steps."""
    ids = random_ids(50)
    fold = np.arange(50) % 5
    step_folds = np.repeat(fold, ids.lengths)
    codes = np.where(step_folds == 0, codes_of_ids(ids, 2), 1)
    codes[(step_folds > 0) & (np.arange(ids.n_steps) % 2 == 0)] = -1
    _, training = fit_features(ids, codes, fold)
    assert np.ptp(training.step_features) == 0


def test_fold_without_steps():
    ids = Ragged(random_ids(20).values, np.array([0, *random_ids(20).lengths, 0]))
    fold = np.array([4, *np.arange(20) % 3, 3])
    _, training = fit_features(ids, codes_of_ids(ids, 3), fold)
    assert np.isfinite(training.step_features).all() and len(training) == 22


def test_scores_of_a_sequence_do_not_depend_on_other_sequences(tune):
    ids, new = random_ids(60), random_ids(30, seed=3)
    features, _ = fit_features(ids, codes_of_ids(ids, 3))
    expected = Ragged(features.transform(encoded(new)).step_features, new.lengths).items()
    for row in range(30):
        found = features.transform(encoded(new.take([row]))).step_features
        np.testing.assert_array_equal(found, expected[row], strict=True)
    tune(token_contexts_at_once=7)
    in_blocks = features.transform(encoded(new)).step_features
    np.testing.assert_array_equal(in_blocks, np.concatenate(list(expected)))


def test_transform_uses_the_spelling_of_new_tokens():
    ids = random_ids(100)
    features, _ = fit_features(ids, np.array(["aeiou".index(TOKENS[id_][-1]) % 2 for id_ in ids.values]))
    steps = Ragged(np.ones(5, dtype=np.int32), np.ones(5, dtype=np.int64))
    spelling = Spelling(np.arange(VOCAB, VOCAB + 5, dtype=np.int32), [f"X99{vowel}" for vowel in "aeiou"], VOCAB)
    found = features.transform(EncodedSequences(steps, spelling=spelling)).step_features[:, 0]
    assert (found > 0).tolist() == [False, True, False, True, False]


def test_only_the_first_candidate_for_c_is_fitted_to_many_scores(monkeypatch, tune):
    ids = random_ids(40)
    fitted = []
    fit = linear_models.fit_linear_models
    monkeypatch.setattr(
        linear_models,
        "fit_linear_models",
        lambda *args, **kwargs: fitted.append(kwargs["C"]) or fit(*args, **kwargs),
    )
    fit_features(ids, codes_of_ids(ids, 3))
    assert fitted == list(tag_label_features._C_CANDIDATES)
    tune(max_steps_to_choose=3 * ids.n_steps - 1)
    fit_features(ids, codes_of_ids(ids, 3))
    assert fitted == [*tag_label_features._C_CANDIDATES, tag_label_features._C_CANDIDATES[0]]

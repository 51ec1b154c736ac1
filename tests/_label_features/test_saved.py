"""Saved label features: restored to the bit, without scipy; invalid states are rejected."""

import pickle
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
from scipy.sparse import csr_array

from seqclf._data.encoded import EncodedSequences, Spelling
from seqclf._data.ragged import Ragged
from seqclf._label_features.last_steps import LastSteps
from seqclf._label_features.random_convolutions import RandomConvolutions
from seqclf._label_features.saved import label_features_from_state, label_features_to_state
from seqclf._label_features.series_label_features import SeriesLabelFeatures
from seqclf._label_features.supervision import Calibration, Supervision
from seqclf._label_features.tag_label_features import TagLabelFeatures
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf._label_features.token_features import TokenNames
from seqclf._native import library
from seqclf._saved import Saved, SavedStateError

VOCAB = 40
WORDS = ["", "", *(f"{'abcde'[i % 5]}wor{'Xyz'[i % 3]}d{i}" for i in range(2, VOCAB))]
NEW_WORDS = ["aworX5", "zzz", "a b", "Cworz"]
N_FOLDS = 5


def random_ids(n, seed, high=VOCAB):
    """Rows of token ids; the first and the last are empty."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 12, size=n)
    lengths[[0, -1]] = 0
    return Ragged(rng.integers(2, high, size=lengths.sum()).astype(np.int32), lengths)


def supervise(n, kind, seed=0):
    """Random targets of n rows; the members of the last output of "one fold" are in a single fold."""
    rng = np.random.default_rng(seed)
    ones, fold = np.ones(n), np.arange(n) % N_FOLDS
    n_outputs = {"two": 1, "three": 3, "twelve": 12, "labels": 3, "one fold": 3, "value": 1, "values": 2}[kind]
    if kind.startswith("value"):
        targets = rng.standard_normal((n, n_outputs))
        low, high = np.full(n_outputs, -1.0), np.full(n_outputs, 1.5)
        line = Calibration(np.linspace(1, 2, n_outputs), np.linspace(0, 0.1, n_outputs), 0.5, low, high)
        return Supervision(targets, ones, ones, fold, lambda scores: line)
    members = rng.random((n, n_outputs)) < 0.4
    if kind != "labels":
        members = np.eye(max(n_outputs, 2))[rng.integers(max(n_outputs, 2), size=n)][:, -n_outputs:] > 0
    if kind == "one fold":
        members[:, 2] &= fold == 0
        members[:, 0] |= ~members.any(axis=1)
    scale = 1.5 if kind != "labels" else np.array([1.5, 0.5, 1.0])
    line = Calibration(scale, np.linspace(-0.1, 0.1, n_outputs), 0.5)
    targets = csr_array(members.astype(float))
    return Supervision(targets, ones, ones, fold, lambda scores: line, exclusive=kind != "labels")


def encode(ids, spelled, new_tokens=()):
    """Encoded sequences, in which the ids after those of the vocabulary are `new_tokens`."""
    steps = Ragged(np.where(ids.values < VOCAB, ids.values, 1).astype(np.int32), ids.lengths)
    return EncodedSequences(steps, spelling=Spelling(ids.values, list(new_tokens), VOCAB) if spelled else None)


def texts(kind, nb_ngrams, wide_ngrams, spelled=True, n=60):
    names = TokenNames(WORDS, " ") if spelled else None
    features = TextLabelFeatures(nb_ngrams, wide_ngrams, VOCAB, names)
    features.fit_transform(encode(random_ids(n, 0), spelled), supervise(n, kind))
    return features, encode(random_ids(30, 1, VOCAB + 4 * spelled), spelled, NEW_WORDS), names


def tags(kind, spelled=True):
    ids = random_ids(60, 0, 14)
    features = TagLabelFeatures(WORDS if spelled else None)
    supervision = supervise(ids.n_steps, kind)
    features.fit_transform(encode(ids, spelled), supervision)
    new = encode(random_ids(30, 1, 14 + (VOCAB - 10) * spelled), spelled, NEW_WORDS)
    return features, new, TokenNames(WORDS, " ") if spelled else None


def random_series(n, longest, n_channels, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, size=n)
    lengths[[0, -1]] = 0
    return Ragged(rng.standard_normal((lengths.sum(), n_channels)).cumsum(axis=0) / 9, lengths)


def series(kind, longest=40, n_channels=1, with_last_steps=False):
    steps, features = random_series(40, longest, n_channels, 0), SeriesLabelFeatures(seed=3)
    supervision = supervise(40, kind)
    features.fit_transform(EncodedSequences(steps), supervision)
    if with_last_steps:
        last = np.zeros((40, 1))
        last[1:-1, 0] = [item[-1, 0] - item[0, 0] for item in steps.items()[1:-1]]
        calibrate = lambda scores: Calibration(1.0, np.zeros(1), float(np.mean((scores - last) ** 2)))  # noqa: E731
        features.fit_transform(
            EncodedSequences(steps), Supervision(last, *[np.ones(40)] * 2, supervision.fold, calibrate)
        )
    return features, EncodedSequences(random_series(20, longest, n_channels, 1)), None


CASES = {
    "words, two classes": lambda: texts("two", 2, 2),
    "words, three classes": lambda: texts("three", 1, 2),
    "words, twelve classes": lambda: texts("twelve", 2, 2),
    "words, labels": lambda: texts("labels", 2, 2),
    "words, an output of one fold": lambda: texts("one fold", 2, 1),
    "words, numeric targets": lambda: texts("values", 3, 2),
    "words, no linear model": lambda: texts("two", 2, 0),
    "words, only a linear model": lambda: texts("value", 0, 2),
    "n-grams of five tokens": lambda: texts("two", 2, 5),
    "ids": lambda: texts("three", 2, 2, spelled=False),
    "few rows": lambda: texts("two", 2, 2, n=6),
    "tags": lambda: tags("three"),
    "tags, two classes": lambda: tags("two"),
    "tags of ids": lambda: tags("three", spelled=False),
    "series": lambda: series("two"),
    "series, three classes, channels": lambda: series("three", n_channels=3),
    "series, an output of one fold": lambda: series("one fold"),
    "series, numeric targets": lambda: series("values", n_channels=2),
    "series, short": lambda: series("labels", longest=7, n_channels=2),
    "series, last steps": lambda: series("value", longest=12, with_last_steps=True),
}
CACHE = {}


@pytest.fixture(params=CASES)
def case(request):
    """Fitted features, new sequences, the names of the tokens, and the state."""
    if request.param not in CACHE:
        features, new, names = CASES[request.param]()
        CACHE[request.param] = features, new, names, label_features_to_state(features)
    features, new, names, state = CACHE[request.param]
    return features, new, names, deepcopy(state)


def restore(state, names):
    return label_features_from_state(Saved(state), names)


def arrays_of(sequences):
    """All arrays that were added to sequences."""
    features = sequences.features
    step_features = [] if features is None else [features.entries, *features.tables, features.version]
    return [*step_features, *([] if sequences.scores is None else [sequences.scores])]


def assert_same(found, expected):
    found, expected = arrays_of(found), arrays_of(expected)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def is_same(found, expected):
    try:
        assert_same(found, expected)
    except AssertionError:
        return False
    return True


def test_restored_features_transform_to_the_same_bits(case):
    features, new, names, state = case
    restored = restore(state, names)
    assert_same(restored.transform(new), features.transform(new))
    assert_same(restored.transform(new.take([3])), features.transform(new.take([3])))
    assert restored.n_step_features == features.n_step_features
    assert (restored.scores is None) == (features.scores is None)
    if features.scores is not None:
        assert restored.scores.feature_names() == features.scores.feature_names()
    fold = np.zeros(len(new), dtype=np.int64)
    assert_same(restored.transform(new, fold), features.transform(new))


def test_state_of_restored_features_is_the_same(case):
    _, _, names, state = case
    restored = label_features_to_state(restore(state, names))
    found, expected = list(leaves(restored)), list(leaves(state))
    assert [path for path, _ in found] == [path for path, _ in expected]
    for (path, one), (_, other) in zip(found, expected, strict=True):
        assert type(one) is type(other), path
        np.testing.assert_array_equal(one, other, err_msg=str(path))


def test_state_holds_plain_values_without_token_names(case):
    state = case[3]
    for path, value in leaves(state):
        assert value is None or type(value) in (bool, int, float, str, np.ndarray), path
        assert not isinstance(value, np.ndarray) or value.dtype.kind in "biuf", path
    if state["kind"] == "text":
        assert not {value for _, value in leaves(state) if isinstance(value, str)} & set(WORDS[2:])


def test_cases_cover_all_kinds_of_features():
    cases = [make()[0] for make in CASES.values()]
    texts = [features for features in cases if isinstance(features, TextLabelFeatures)]
    assert {type(each.of_ngrams).__name__ for each in texts} == {"NoneType", "LogCountRatios", "TargetMeans"}
    assert {each.scores and each.scores.features.characters_ is None for each in texts} == {None, True, False}
    kinds = [order["kinds"] for each in texts for order in each.to_state()["ngrams"]["longer"]]
    assert {2 in order for order in kinds} == {True, False}
    series = [features.scores.features for features in cases if isinstance(features, SeriesLabelFeatures)]
    assert {type(each) for each in series} == {RandomConvolutions, LastSteps}
    assert {each.convolutions_ is None for each in series if isinstance(each, RandomConvolutions)} == {True, False}
    assert any(len(each.scores._priors) for each in cases if each.scores is not None)


def test_state_does_not_hold_fold_models():
    ids = random_ids(60, 0)
    features = TextLabelFeatures(2, 2, VOCAB, None)
    features.fit_transform(encode(ids, False), supervise(60, "two"), keep_folds=True)
    restored = restore(label_features_to_state(features), None)
    fold = np.arange(60) % N_FOLDS
    assert_same(restored.transform(encode(ids, False), fold), features.transform(encode(ids, False)))
    assert not is_same(features.transform(encode(ids, False), fold), features.transform(encode(ids, False)))


def test_texts_with_too_many_characters_are_restored(tune):
    tune(max_character_entries=0)
    features, new, names = texts("two", 2, 2)
    assert features.scores.features.characters_ is None
    assert_same(restore(label_features_to_state(features), names).transform(new), features.transform(new))


def test_token_names_must_match_the_state():
    features, _, names = texts("two", 2, 2)
    state = label_features_to_state(features)
    with pytest.raises(SavedStateError, match="not one name for each token"):
        restore(state, names._replace(tokens=WORDS[:-1]))
    with pytest.raises(SavedStateError, match="tokens without names"):
        restore(state, None)


def test_restored_features_reject_other_numbers_of_channels():
    for features, _, _ in (series("two", n_channels=2), series("value", longest=12, with_last_steps=True)):
        restored = restore(label_features_to_state(features), None)
        with pytest.raises(ValueError, match="The series have 3 channels: expected"):
            restored.transform(EncodedSequences(random_series(5, 20, 3, 0)))


WITHOUT_LIBRARIES = """
import pickle, sys
for name in ("torch", "skorch", "sklearn", "scipy", "joblib", "narwhals", "threadpoolctl", "pandas"):
    sys.modules[name] = None
from seqclf._label_features.saved import label_features_from_state
from seqclf._saved import Saved
cases = pickle.load(sys.stdin.buffer)
found = []
for state, new, names in cases:
    found.append(label_features_from_state(Saved(state), names).transform(new))
sys.stdout.buffer.write(pickle.dumps(found))
"""


@pytest.mark.parametrize("kernels", ["cpu", "reference"])
def test_transform_of_restored_features_needs_only_numpy(kernels, monkeypatch):
    if kernels == "cpu" and not library.available()[0]:
        pytest.skip(library.available()[1])
    monkeypatch.setenv("SEQCLF_KERNELS", kernels)
    # Convolutions are slow in numpy.
    slow = {"series", "series, three classes, channels", "series, an output of one fold", "series, numeric targets"}
    fitted = [make() for name, make in CASES.items() if kernels == "cpu" or name not in slow]
    cases = [(label_features_to_state(features), new, names) for features, new, names in fitted]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBRARIES], input=pickle.dumps(cases), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    for found, (features, new, _) in zip(pickle.loads(done.stdout), fitted, strict=True):
        assert_same(found, features.transform(new))


# Damaged and manipulated states


def leaves(state, path=()):
    """(path, value) of all values in a state, including those in lists."""
    if isinstance(state, dict | list):
        for key, value in state.items() if isinstance(state, dict) else enumerate(state):
            yield from leaves(value, (*path, key))
    else:
        yield path, state


def paths(state, path=()):
    """The paths to all values and containers; in lists only to the first and last items."""
    if path:
        yield path
    if isinstance(state, dict):
        for key, value in state.items():
            yield from paths(value, (*path, key))
    elif isinstance(state, list) and state:
        for key in sorted({0, len(state) - 1}):
            yield from paths(state[key], (*path, key))


def value_at(state, path):
    for key in path:
        state = state[key]
    return state


def with_value(state, path, value):
    changed = deepcopy(state)
    value_at(changed, path[:-1])[path[-1]] = value
    return changed


def invalid_values(value):
    """Values of other types or shapes than `value`."""
    yield from (None, "invalid", b"invalid", -1, 2**62, 2.5, np.nan, np.inf, True, [], {}, [None], {"a": 1}, object())
    yield from (np.zeros(3), np.array("a"), np.array([None]), np.zeros((2, 0), dtype=np.float32))
    if isinstance(value, np.ndarray):
        yield from (value[..., None], value[None], value.ravel()[:-1], np.append(value, value[:1], axis=0))
        yield from (value.astype(np.float16), value.astype(object), value.astype(np.complex64), value.tolist())
        yield value.astype(np.int16 if value.dtype.kind == "f" else np.float64)
        if value.size and value.dtype.kind == "f":
            yield from (
                np.where(np.arange(value.size).reshape(value.shape) == 0, bad, value) for bad in (np.nan, np.inf)
            )
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from (value + 1, -value, float(value), str(value))


def invalid_indices(value):
    """Integers that are out of range, out of order, or add up to something else."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu" or not value.size:
        return
    limits = np.iinfo(value.dtype)
    rng = np.random.default_rng(0)
    for position in {0, value.size - 1, int(rng.integers(value.size))}:
        for integer in (limits.min, limits.max, -1, 2**20, int(value.max()) + 1):
            if limits.min <= integer <= limits.max:
                changed = value.copy()
                changed.flat[position] = integer
                yield changed
    yield value[::-1].copy()
    yield rng.permutation(value)
    yield np.zeros_like(value)
    yield np.ones_like(value)


def outcome(state, new, names):
    """The transformed rows, or None if the state is rejected. Any other error fails the test."""
    try:
        return restore(state, names).transform(new)
    except SavedStateError:
        return None


def test_from_state_rejects_values_of_other_types(case):
    """Or they make no difference, such as a missing bound."""
    features, new, names, state = case
    expected, n_rejected = features.transform(new), 0
    for path in paths(state):
        value = value_at(state, path)
        for invalid in invalid_values(value):
            found = outcome(with_value(state, path, invalid), new, names)
            n_rejected += found is None
            if found is not None and not is_same(found, expected):
                assert may_change(path, value, invalid), (path, value, invalid)
    assert n_rejected > 100


def may_change(path, value, invalid):
    """Whether the other value is valid too, and describes another model."""
    if isinstance(value, np.ndarray) and isinstance(invalid, np.ndarray):
        return value.dtype == invalid.dtype and (value.shape == invalid.shape or path[-1] in ("small", "pairs"))
    if path[-1] in ("low", "high", "slope"):
        return invalid is None or type(invalid) in (float, np.ndarray)
    if path[-1] in ("of_ngrams", "scores", "characters"):
        return invalid is None
    return type(value) is type(invalid)


def test_from_state_names_a_missing_value(case):
    _, _, names, state = case
    for path in paths(state):
        if isinstance(path[-1], str):
            changed = deepcopy(state)
            del value_at(changed, path[:-1])[path[-1]]
            with pytest.raises(SavedStateError, match=rf"{path[-1]}.* is missing"):
                restore(changed, names)


def test_from_state_rejects_invalid_indices(case):
    """Indices that are valid by chance describe another model, whose output is finite and has the same shapes."""
    features, new, names, state = case
    expected, n_rejected = arrays_of(features.transform(new)), 0
    for path in paths(state):
        for changed in invalid_indices(value_at(state, path)):
            found = outcome(with_value(state, path, changed), new, names)
            n_rejected += found is None
            for one, other in zip(arrays_of(found) if found else [], expected, strict=bool(found)):
                assert one.dtype == other.dtype and one.shape[0] == other.shape[0] and np.isfinite(one).all(), path
    assert n_rejected > 10 or not any(True for path in paths(state) for _ in invalid_indices(value_at(state, path)))


def test_from_state_rejects_other_kinds():
    for kind in ("os.system", "", None, 3, ["text"], "Text"):
        with pytest.raises(SavedStateError, match=r"kind is .*; expected one of 'text', 'series', 'tags'"):
            restore({"kind": kind}, None)

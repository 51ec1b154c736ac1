"""States of what is learned from targets: the same bits after reading, without scipy; errors for what can't be read."""

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
WORDS = ["", "", *(f"{'abcde'[number % 5]}wor{'Xyz'[number % 3]}d{number}" for number in range(2, VOCAB))]
NEW_WORDS = ["aworX5", "zzz", "a b", "Cworz"]
FOLD = 5


def random_ids(n, seed, high=VOCAB):
    """Rows of token ids; the first and the last have none."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 12, size=n)
    lengths[[0, -1]] = 0
    return Ragged(rng.integers(2, high, size=lengths.sum()).astype(np.int32), lengths)


def supervise(n, kind, seed=0):
    """Targets of n rows that chance draws; of "unknown" no row outside a single fold has the last one."""
    rng = np.random.default_rng(seed)
    ones, fold = np.ones(n), np.arange(n) % FOLD
    n_outputs = {"two": 1, "three": 3, "twelve": 12, "labels": 3, "unknown": 3, "number": 1, "numbers": 2}[kind]
    if kind.startswith("number"):
        targets = rng.standard_normal((n, n_outputs))
        low, high = np.full(n_outputs, -1.0), np.full(n_outputs, 1.5)
        line = Calibration(np.linspace(1, 2, n_outputs), np.linspace(0, 0.1, n_outputs), 0.5, low, high)
        return Supervision(targets, ones, ones, fold, lambda scores: line)
    members = rng.random((n, n_outputs)) < 0.4
    if kind != "labels":
        members = np.eye(max(n_outputs, 2))[rng.integers(max(n_outputs, 2), size=n)][:, -n_outputs:] > 0
    if kind == "unknown":
        members[:, 2] &= fold == 0
        members[:, 0] |= ~members.any(axis=1)
    scale = 1.5 if kind != "labels" else np.array([1.5, 0.5, 1.0])
    line = Calibration(scale, np.linspace(-0.1, 0.1, n_outputs), 0.5)
    targets = csr_array(members.astype(float))
    return Supervision(targets, ones, ones, fold, lambda scores: line, exclusive=kind != "labels")


def encode(ids, spelled, new_tokens=()):
    """Ids from the size of the vocabulary on are those of new tokens."""
    known = Ragged(np.where(ids.values < VOCAB, ids.values, 1).astype(np.int32), ids.lengths)
    return EncodedSequences(known, spelling=Spelling(ids.values, list(new_tokens)) if spelled else None)


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


def series(kind, longest=40, n_channels=1, of_steps=False):
    steps, features = random_series(40, longest, n_channels, 0), SeriesLabelFeatures(seed=3)
    supervision = supervise(40, kind)
    features.fit_transform(EncodedSequences(steps), supervision)
    if of_steps:
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
    "words, an output of one fold": lambda: texts("unknown", 2, 1),
    "words, numbers": lambda: texts("numbers", 3, 2),
    "words, no linear model": lambda: texts("two", 2, 0),
    "words, a linear model alone": lambda: texts("number", 0, 2),
    "five tokens, none in one row": lambda: texts("two", 2, 5),
    "ids": lambda: texts("three", 2, 2, spelled=False),
    "few rows": lambda: texts("two", 2, 2, n=6),
    "tags": lambda: tags("three"),
    "tags, two classes": lambda: tags("two"),
    "tags of ids": lambda: tags("three", spelled=False),
    "series": lambda: series("two"),
    "series, three classes, channels": lambda: series("three", n_channels=3),
    "series, an output of one fold": lambda: series("unknown"),
    "series, numbers": lambda: series("numbers", n_channels=2),
    "series, short": lambda: series("labels", longest=7, n_channels=2),
    "series, last steps": lambda: series("number", longest=12, of_steps=True),
}
MADE = {}


@pytest.fixture(params=CASES)
def case(request):
    """Features, what they transform, the names of the tokens, and the state."""
    if request.param not in MADE:
        features, new, names = CASES[request.param]()
        MADE[request.param] = features, new, names, label_features_to_state(features)
    features, new, names, state = MADE[request.param]
    return features, new, names, deepcopy(state)


def read(state, names):
    return label_features_from_state(Saved(state), names)


def arrays_of(sequences):
    """All that was added to sequences."""
    features = sequences.features
    of_steps = [] if features is None else [features.entries, *features.tables, features.version]
    return [*of_steps, *([] if sequences.scores is None else [sequences.scores])]


def assert_same(found, expected):
    found, expected = arrays_of(found), arrays_of(expected)
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def is_same(found, expected):
    try:
        assert_same(found, expected)
    except AssertionError:
        return False
    return True


def test_what_is_read_transforms_to_the_same_bits(case):
    features, new, names, state = case
    again = read(state, names)
    assert_same(again.transform(new), features.transform(new))
    assert_same(again.transform(new.take([3])), features.transform(new.take([3])))
    assert again.n_step_features == features.n_step_features
    assert (again.scores is None) == (features.scores is None)
    if features.scores is not None:
        assert again.scores.feature_names() == features.scores.feature_names()
    fold = np.zeros(len(new), dtype=np.int64)
    assert_same(again.transform(new, fold), features.transform(new))


def test_a_state_of_what_was_read_is_the_same(case):
    _, _, names, state = case
    again = label_features_to_state(read(state, names))
    found, expected = list(leaves(again)), list(leaves(state))
    assert [path for path, _ in found] == [path for path, _ in expected]
    for (path, ours), (_, theirs) in zip(found, expected, strict=True):
        assert type(ours) is type(theirs), path
        np.testing.assert_array_equal(ours, theirs, err_msg=str(path))


def test_a_state_holds_plain_values_and_no_names_of_tokens(case):
    state = case[3]
    for path, value in leaves(state):
        assert value is None or type(value) in (bool, int, float, str, np.ndarray), path
        assert not isinstance(value, np.ndarray) or value.dtype.kind in "biuf", path
    if state["kind"] == "text":
        assert not {value for _, value in leaves(state) if isinstance(value, str)} & set(WORDS[2:])


def test_the_cases_are_of_all_kinds():
    made = {name: make()[0] for name, make in CASES.items()}
    of_texts = [each for each in made.values() if isinstance(each, TextLabelFeatures)]
    assert {type(each.of_ngrams).__name__ for each in of_texts} == {"NoneType", "LogCountRatios", "TargetMeans"}
    assert {each.scores and each.scores.features.characters_ is None for each in of_texts} == {None, True, False}
    kinds = [part["kinds"] for each in of_texts for part in each.to_state()["ngrams"]["longer"]]
    assert {2 in part for part in kinds} == {True, False}
    of_series = [each.scores.features for each in made.values() if isinstance(each, SeriesLabelFeatures)]
    assert {type(each) for each in of_series} == {RandomConvolutions, LastSteps}
    assert {each.convolutions_ is None for each in of_series if isinstance(each, RandomConvolutions)} == {True, False}
    assert any(len(each.scores._priors) for each in made.values() if each.scores is not None)


def test_folds_are_not_saved():
    ids = random_ids(60, 0)
    features = TextLabelFeatures(2, 2, VOCAB, None)
    features.fit_transform(encode(ids, False), supervise(60, "two"), keep_folds=True)
    again = read(label_features_to_state(features), None)
    fold = np.arange(60) % FOLD
    assert_same(again.transform(encode(ids, False), fold), features.transform(encode(ids, False)))
    assert not is_same(features.transform(encode(ids, False), fold), features.transform(encode(ids, False)))


def test_texts_with_too_many_characters(tune):
    tune(max_character_entries=0)
    features, new, names = texts("two", 2, 2)
    assert features.scores.features.characters_ is None
    assert_same(read(label_features_to_state(features), names).transform(new), features.transform(new))


def test_names_have_to_be_those_of_the_tokens():
    features, _, names = texts("two", 2, 2)
    state = label_features_to_state(features)
    with pytest.raises(SavedStateError, match="not one name for each token"):
        read(state, names._replace(tokens=WORDS[:-1]))
    with pytest.raises(SavedStateError, match="tokens without names"):
        read(state, None)


def test_series_of_other_channels_are_refused():
    for features, _, _ in (series("two", n_channels=2), series("number", longest=12, of_steps=True)):
        again = read(label_features_to_state(features), None)
        with pytest.raises(ValueError, match="The series have 3 channels, expected"):
            again.transform(EncodedSequences(random_series(5, 20, 3, 0)))


WITHOUT = """
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
def test_scipy_and_scikit_learn_are_not_needed(kernels, monkeypatch):
    if kernels == "cpu" and not library.available()[0]:
        pytest.skip(library.available()[1])
    monkeypatch.setenv("SEQCLF_KERNELS", kernels)
    # Numpy takes long for convolutions.
    slow = {"series", "series, three classes, channels", "series, an output of one fold", "series, numbers"}
    made = [make() for name, make in CASES.items() if kernels == "cpu" or name not in slow]
    cases = [(label_features_to_state(features), new, names) for features, new, names in made]
    done = subprocess.run([sys.executable, "-c", WITHOUT], input=pickle.dumps(cases), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    for found, (features, new, _) in zip(pickle.loads(done.stdout), made, strict=True):
        assert_same(found, features.transform(new))


# States that are damaged, or made to do harm


def leaves(state, path=()):
    """(path, value) of all values of a state; a list of texts is one of them for each text."""
    if isinstance(state, dict | list):
        for key, value in state.items() if isinstance(state, dict) else enumerate(state):
            yield from leaves(value, (*path, key))
    else:
        yield path, state


def places(state, path=()):
    """Paths to all values and parts, but of a long list to its first and last ones."""
    if path:
        yield path
    if isinstance(state, dict):
        for key, value in state.items():
            yield from places(value, (*path, key))
    elif isinstance(state, list) and state:
        for key in sorted({0, len(state) - 1}):
            yield from places(state[key], (*path, key))


def value_at(state, path):
    for key in path:
        state = state[key]
    return state


def with_value(state, path, value):
    changed = deepcopy(state)
    value_at(changed, path[:-1])[path[-1]] = value
    return changed


def strange_values(value):
    """Values that are not of the kind that the value is."""
    yield from (None, "strange", b"strange", -1, 2**62, 2.5, np.nan, np.inf, True, [], {}, [None], {"a": 1}, object())
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


def wrong_indices(value):
    """Integers that are out of range or out of order, or add up to something else, in one place after the other."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu" or not value.size:
        return
    limits = np.iinfo(value.dtype)
    rng = np.random.default_rng(0)
    for place in {0, value.size - 1, int(rng.integers(value.size))}:
        for number in (limits.min, limits.max, -1, 2**20, int(value.max()) + 1):
            if limits.min <= number <= limits.max:
                changed = value.copy()
                changed.flat[place] = number
                yield changed
    yield value[::-1].copy()
    yield rng.permutation(value)
    yield np.zeros_like(value)
    yield np.ones_like(value)


def outcome(state, new, names):
    """What a state transforms rows to, or None where it is refused. Any other error is one of the test."""
    try:
        return read(state, names).transform(new)
    except SavedStateError:
        return None


def test_values_of_another_kind_are_refused(case):
    """Or make no difference, as a bound that is not there."""
    features, new, names, state = case
    expected, n_refused = features.transform(new), 0
    for path in places(state):
        value = value_at(state, path)
        for strange in strange_values(value):
            found = outcome(with_value(state, path, strange), new, names)
            n_refused += found is None
            if found is not None and not is_same(found, expected):
                assert may_change(path, value, strange), (path, value, strange)
    assert n_refused > 100


def may_change(path, value, strange):
    """Whether a value that could be there was put there, so that another model was described."""
    if isinstance(value, np.ndarray) and isinstance(strange, np.ndarray):
        return value.dtype == strange.dtype and (value.shape == strange.shape or path[-1] in ("small", "pairs"))
    if path[-1] in ("low", "high", "slope"):
        return strange is None or type(strange) in (float, np.ndarray)
    if path[-1] in ("of_ngrams", "scores", "characters"):
        return strange is None
    return type(value) is type(strange)


def test_a_value_that_is_missing_is_named(case):
    _, _, names, state = case
    for path in places(state):
        if isinstance(path[-1], str):
            changed = deepcopy(state)
            del value_at(changed, path[:-1])[path[-1]]
            with pytest.raises(SavedStateError, match=rf"{path[-1]}.* is missing"):
                read(changed, names)


def test_wrong_indices_are_refused_or_harmless(case):
    """Those that are in range after all describe another model, which gives finite numbers of the same shapes."""
    features, new, names, state = case
    expected, n_refused = arrays_of(features.transform(new)), 0
    for path in places(state):
        for changed in wrong_indices(value_at(state, path)):
            found = outcome(with_value(state, path, changed), new, names)
            n_refused += found is None
            for ours, theirs in zip(arrays_of(found) if found else [], expected, strict=bool(found)):
                assert ours.dtype == theirs.dtype and ours.shape[0] == theirs.shape[0] and np.isfinite(ours).all(), path
    assert n_refused > 10 or not any(True for path in places(state) for _ in wrong_indices(value_at(state, path)))


def test_a_kind_is_one_of_a_few():
    for kind in ("os.system", "", None, 3, ["text"], "Text"):
        with pytest.raises(SavedStateError, match=r"kind is .*; expected one of 'text', 'series', 'tags'"):
            read({"kind": kind}, None)

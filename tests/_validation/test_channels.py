"""The channels of series: their form in a saved state, axis order, names, and advice for a single series."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from _series_frames import NAMES, RAGGED, X, Y, arrow_table, classifier, fit_and_score, pandas_frame, polars_frame
from seqclf import RNNClassifier, SequencePadder
from seqclf._saved import Saved, SavedStateError
from seqclf._validation.channels import SeriesForm

FRAMES = {"pandas": pandas_frame, "polars": polars_frame, "arrow": arrow_table}
every_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


# State

FORMS = [SeriesForm(1), SeriesForm(3, 2), SeriesForm(2, 1, ("b", "a")), SeriesForm(2, 2, ("a", "a"))]


@pytest.mark.parametrize("form", FORMS)
def test_series_form_round_trip(form):
    assert SeriesForm.from_state(Saved(form.to_state())) == form


@pytest.mark.parametrize("form", FORMS)
def test_from_state_of_an_altered_state_is_an_error_or_a_valid_form(form, altered):
    n_errors = 0
    for state in altered(form.to_state()):
        try:
            restored = SeriesForm.from_state(Saved(state))
        except SavedStateError:
            n_errors += 1
            continue
        assert 1 <= restored.n_channels < 2**31 and restored.n_axes in (None, 1, 2)
        assert restored.channel_names is None or len(restored.channel_names) == restored.n_channels
    assert n_errors > 30


# Axis order


def test_channels_first_equals_the_transposed_array():
    expected = fit_and_score(X)
    transposed = X.transpose(0, 2, 1)
    for data in (
        transposed,
        list(transposed),
        transposed.tolist(),
        torch.from_numpy(transposed),
        transposed.astype(np.float32),
    ):
        np.testing.assert_array_equal(fit_and_score(data, channels_first=True), expected)
    np.testing.assert_array_equal(fit_and_score([row.T for row in RAGGED], channels_first=True), fit_and_score(RAGGED))


def test_channels_first_does_not_matter_for_one_channel_and_tables():
    rows = [row[:, 0] for row in RAGGED]
    for data in (rows, X[:, :, 0]):
        np.testing.assert_array_equal(fit_and_score(data, channels_first=True), fit_and_score(data))


@pytest.mark.parametrize("name", ["GunPoint", "BasicMotions"])
def test_channels_first_on_real_series(name, data_folder):
    with np.load(data_folder / "ucr_uea" / f"{name}.npz", allow_pickle=False) as arrays:
        train, y, test = arrays["X_train"], arrays["y_train"], arrays["X_test"]
    expected = classifier().fit(train, y).decision_function(test)
    fitted = classifier(channels_first=True).fit(train.transpose(0, 2, 1), y)
    np.testing.assert_array_equal(fitted.decision_function(test.transpose(0, 2, 1)), expected)
    with pytest.warns(UserWarning, match=rf": (at most )?\d+ steps? of {train.shape[1]} channels.*channels_first=True"):
        classifier().fit(train.transpose(0, 2, 1), y)


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (X[:, :1].transpose(0, 2, 1)[:, :1].repeat(150, axis=2), "1 step of 150 channels"),
        (X.transpose(0, 2, 1), "at most 3 steps of 7 channels"),
        (list(X.transpose(0, 2, 1)), "at most 3 steps of 7 channels"),
        ([np.ones((2, 4)), np.zeros((3, 4))] * 6, "at most 3 steps of 4 channels"),
    ],
)
@pytest.mark.parametrize("make", [lambda: classifier(), lambda: SequencePadder()], ids=["classifier", "padder"])
def test_fewer_steps_than_channels_warn_once_and_only_in_fit(data, shape, make):
    with pytest.warns(UserWarning, match="fewer steps than channels") as caught:
        fitted = make().fit(data, Y)
    assert len(caught) == 1
    for words in (shape, "channels_first=True", "X.transpose(0, 2, 1)"):
        assert words in str(caught[0].message)
    if isinstance(fitted, RNNClassifier):
        fitted.predict(data)
    else:
        fitted.transform(data)


def test_equal_numbers_of_steps_and_channels_do_not_warn():
    classifier().fit(np.concatenate([X[:, :3]] * 2)[:12], Y)
    classifier().fit([np.ones((2, 3))] * 11 + [np.ones((3, 3))], Y)
    classifier(channels_first=True).fit(X, Y)  # 3 steps of 7 channels, by the choice of the user


def test_channels_first_with_series_of_one_step_warns():
    with pytest.warns(UserWarning, match=": 1 step of 7 channels.*channels_first=False"):
        classifier(channels_first=True).fit(X[:, :, :1], Y)


@pytest.mark.parametrize(
    ("rows", "channels_first", "words"),
    [
        ([np.ones((3, 20)), np.ones((3, 26))], False, "channels_first=True"),
        ([np.ones((20, 3)), np.ones((26, 3))], True, "channels_first=False"),
    ],
)
@pytest.mark.parametrize("make", [classifier, SequencePadder])
def test_ragged_rows_with_swapped_axes_have_advice(rows, channels_first, words, make):
    with pytest.raises(ValueError, match=rf"26 channels, but row 0 has 20.*length 3 in all rows.*{words}"):
        make(channels_first=channels_first).fit(rows * 6, Y)


def test_rows_with_different_channels_have_no_advice_on_axes():
    with pytest.raises(ValueError, match="Row 1 of X has 3") as caught:
        classifier().fit([np.ones((4, 2)), np.ones((5, 3))] * 6, Y)
    assert "channels_first" not in str(caught.value)


@pytest.mark.parametrize("make", [list, np.asarray])
def test_swapped_axes_in_predict_have_advice(make):
    fitted = classifier().fit(X, Y)
    with pytest.raises(ValueError, match=r"7 channels, but X of fit had 3.*length 3 .*channels_first=True"):
        fitted.predict(make(X.transpose(0, 2, 1)))


def test_sequence_padder_keeps_channels_first():
    rows = [row.T for row in RAGGED]
    padder = SequencePadder(channels_first=True)
    padded = padder.fit_transform(rows)
    np.testing.assert_array_equal(padded, SequencePadder().fit_transform(RAGGED).transpose(0, 2, 1))
    np.testing.assert_array_equal(padder.transform(padded), padded)
    for unpadded, row in zip(padder.inverse_transform(padded), rows, strict=True):
        np.testing.assert_array_equal(unpadded, row)
    assert SequencePadder(channels_first=True).fit_transform([[1, 2], [3]]).tolist() == [[1, 2], [3, 0]]


# Names of channels


@every_frame
@given(order=st.permutations(range(3)), seed=st.integers(0, 9))
@settings(max_examples=5)
def test_named_channels_can_have_any_order(frame, order, seed):
    """In predict, and also within one fit, where the first row determines the order."""
    expected = fit_and_score(RAGGED)
    orders = [np.random.default_rng(seed + index).permutation(3) for index in range(len(RAGGED))]
    orders[0] = np.arange(3)
    mixed = [frame(row[:, o], [NAMES[i] for i in o]) for row, o in zip(RAGGED, orders, strict=True)]
    fitted = classifier().fit(mixed, Y)
    assert fitted.channel_names_in_.tolist() == list(NAMES) and isinstance(fitted.channel_names_in_, np.ndarray)
    permuted = [frame(row[:, order], [NAMES[i] for i in order]) for row in RAGGED]
    np.testing.assert_array_equal(fitted.decision_function(permuted), expected)
    np.testing.assert_array_equal(fitted.decision_function(mixed), expected)


@every_frame
def test_sequence_padder_matches_channel_names(frame):
    padder = SequencePadder().fit([frame(row) for row in RAGGED])
    assert padder.channel_names_in_.tolist() == list(NAMES)
    reversed_rows = [frame(row[:, ::-1], NAMES[::-1]) for row in RAGGED]
    np.testing.assert_array_equal(padder.transform(reversed_rows), SequencePadder().fit_transform(RAGGED))
    assert not hasattr(padder.fit(RAGGED), "channel_names_in_")
    assert not hasattr(padder.fit([[1, 2], [3]]), "channel_names_in_")


@every_frame
def test_other_channel_names_than_in_fit_are_errors(frame):
    fitted = classifier().fit([frame(row) for row in RAGGED], Y)
    bad = [frame(RAGGED[0]), frame(RAGGED[1], ("x", "q", "z"))]
    with pytest.raises(ValueError, match=r"Row 1 of X does not have the columns of fit: missing 'y'; unexpected 'q'"):
        fitted.predict(bad)
    with pytest.raises(ValueError, match=r"Row 0 of X does not have the columns of fit: missing 'z'\."):
        fitted.predict([frame(RAGGED[0][:, :2], ("x", "y"))])
    with pytest.raises(ValueError, match=r"Row 0 of X does not have the columns of fit: unexpected 'w'\."):
        fitted.predict([frame(RAGGED[0][:, [0, 1, 2, 0]], (*NAMES, "w"))])
    with pytest.raises(ValueError, match=r"Row 1 of X does not have the columns of row 0: missing 'y'; unexpected 'q'"):
        classifier().fit([frame(row, ("x", "qy"[index != 1], "z")) for index, row in enumerate(RAGGED)], Y)
    with pytest.raises(ValueError, match=r"Row 0 of X_val does not have the columns of fit"):
        classifier().fit([frame(row) for row in RAGGED], Y, X_val=bad[1:], y_val=[0])


def test_frames_of_several_libraries_are_matched_by_name():
    frames = [(pandas_frame, polars_frame, arrow_table)[index % 3](row) for index, row in enumerate(RAGGED)]
    np.testing.assert_array_equal(fit_and_score(frames), fit_and_score(RAGGED))


@pytest.mark.parametrize("unnamed", [RAGGED, X, [pd.DataFrame(row) for row in RAGGED]], ids=["list", "3-D", "unnamed"])
def test_missing_names_in_predict_warn_and_match_by_position(unnamed):
    fitted = classifier().fit([pandas_frame(row) for row in RAGGED], Y)
    with pytest.warns(UserWarning, match=r"no channel names, but in fit they were \['x', 'y', 'z'\].*by position"):
        found = fitted.decision_function(unnamed)
    named = [pandas_frame(np.asarray(row)) for row in unnamed]
    np.testing.assert_array_equal(found, fitted.decision_function(named))


def test_names_only_in_predict_warn():
    fitted = classifier().fit(RAGGED, Y)
    assert not hasattr(fitted, "channel_names_in_")
    with pytest.warns(UserWarning, match="Row 0 of X has channel names, but in fit there were none"):
        fitted.predict([pandas_frame(row) for row in RAGGED])


def test_rows_without_names_among_named_rows_warn():
    mixed = [*(pandas_frame(row) for row in RAGGED[:3]), *RAGGED[3:]]
    with pytest.warns(UserWarning, match="Row 3 of X has no channel names, but those of row 0 are"):
        fitted = classifier().fit(mixed, Y)
    np.testing.assert_array_equal(
        fitted.decision_function([pandas_frame(row) for row in RAGGED]), fit_and_score(RAGGED)
    )


def test_default_column_labels_are_not_names():
    assert not hasattr(classifier().fit([pd.DataFrame(row) for row in RAGGED], Y), "channel_names_in_")
    fitted = classifier().fit([pandas_frame(row, (7, 3, 5)) for row in RAGGED], Y)
    assert fitted.channel_names_in_.tolist() == ["7", "3", "5"]
    reversed_rows = [pandas_frame(row[:, ::-1], (5, 3, 7)) for row in RAGGED]
    np.testing.assert_array_equal(fitted.decision_function(reversed_rows), fit_and_score(RAGGED))


def test_refit_without_names_removes_channel_names():
    fitted = classifier().fit([pandas_frame(row) for row in RAGGED], Y)
    assert not hasattr(fitted.fit(RAGGED, Y), "channel_names_in_")
    assert not hasattr(fitted.fit([pandas_frame(row) for row in RAGGED], Y).fit(X[:, :, 0], Y), "channel_names_in_")


def test_duplicate_column_names_are_errors():
    with pytest.raises(ValueError, match=r"Row 0 of X has two columns named 'x': rename"):
        classifier().fit([pandas_frame(row, ("x", "y", "x")) for row in RAGGED], Y)
    with pytest.raises(ValueError, match=r"X has two columns named 'x': rename"):
        classifier().fit(pandas_frame(X[:, 0], ("x", "y", "x")), Y)


@every_frame
def test_channels_first_does_not_apply_to_frames_with_names(frame):
    np.testing.assert_array_equal(
        fit_and_score([frame(row) for row in RAGGED], channels_first=True), fit_and_score(RAGGED)
    )


# One series


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("fit_on", [lambda data: data, list], ids=["3-D", "list"])
def test_single_series_is_an_error_with_advice(n_channels, fit_on):
    data = X[:, :, :n_channels]
    fitted, padder = classifier().fit(fit_on(data), Y), SequencePadder().fit(fit_on(data))
    for call in (fitted.predict, fitted.predict_proba, padder.transform):
        with pytest.raises(ValueError, match=r"If it is one series, pass X\[None\]"):
            call(data[0])
        with pytest.raises(ValueError, match=r"If it is one series, pass \[X\]"):
            call(data[0].tolist())
    assert fitted.predict(data[0][None]).shape == (1,)
    for frame in (pd.DataFrame(data[0]), pl.DataFrame(data[0])):
        with pytest.raises(ValueError, match=r"If it is one series, pass \[X\]"):
            fitted.predict(frame)


def test_lists_of_1d_rows_are_valid_for_one_channel():
    fitted = classifier().fit(X[:, :, :1], Y)
    expected = fitted.decision_function(X[:, :, :1])
    rows = [row[:, 0] for row in X]
    for data in (rows, [row.tolist() for row in rows], pd.Series(rows), [pd.Series(row) for row in rows]):
        np.testing.assert_array_equal(fitted.decision_function(data), expected)
    with pytest.raises(ValueError, match=r"If it is several series of one channel, pass X\[:, :, None\]"):
        fitted.predict(X[:, :, 0])


def test_single_series_as_a_column_is_an_error_after_fit_on_a_list():
    rows = [row[:, 0] for row in RAGGED]
    fitted, padder = classifier().fit(rows, Y), SequencePadder().fit(rows)
    for call in (fitted.predict, padder.transform):
        with pytest.raises(ValueError, match=r"the shape \(7, 1\).*If it is one series, pass X\.T\."):
            call(X[0, :, :1])
        call(X[0, :, :1].T)
        call(list(X[0, :, :1]))
    assert SequencePadder().fit(X[:, :1, 0]).transform(X[:, :1, 0]).shape == (12, 1, 1)


def test_channels_of_a_single_series_as_rows_have_advice():
    with pytest.raises(
        ValueError, match=r"If it is one series with a row for each channel, pass \[numpy\.column_stack\(X\)\]"
    ):
        classifier().fit(X, Y).predict(list(X[0].T))


def test_single_series_of_one_axis_is_an_error_with_advice():
    for data in ([row[:, 0] for row in X], X[:, :, :1]):
        with pytest.raises(ValueError, match=r"Row 0 of X is .*If it is one series, pass \[X\]"):
            classifier().fit(data, Y).predict(list(X[0, :, 0]))
    with pytest.raises(ValueError, match=r"Expected 2D array, got 1D array.*If it is one series, pass X\[None\]"):
        classifier().fit(X[:, :, 0], Y).predict(X[0, :, 0])

"""`HiddenStatesDisplay`: the states, tokens and values of one text or series."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from _factories import draw_figure, run_python, series_classifier, text_classifier
from _fitted_models import TEXTS, fitted
from seqclf import RNNTextClassifier, TextTokenizer, save_model
from seqclf.inspection import HiddenStatesDisplay


@cache
def one_direction():
    X = [np.random.default_rng(n).normal(size=(5 + n, 1)) for n in range(20)]
    model = series_classifier(units=4, bidirectional=False, wide=False, conv_filters=0)
    return model.fit(X, np.arange(20) % 2), X[3]


def tick_labels(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def test_states_and_tokens_of_a_text():
    model, text = fitted("texts, two classes")[0], "Good film, $5 or $7"
    display = HiddenStatesDisplay.from_estimator(model, text)
    tokens = ["good", "film", "(,)", "($)", "(5)", "or", "($)", "(7)"]
    assert display.tokens == tokens and display.series is None
    expected = np.split(model.hidden_states([text])[0], 2, axis=1)
    for states, image, half in zip(display.states, display.images_, expected, strict=True):
        np.testing.assert_array_equal(states, half)
        np.testing.assert_array_equal(image.get_array(), half.T)
        assert tuple(image.get_extent()) == (0.5, 8.5, 2.5, -0.5)
        assert image.get_clim() == (-np.abs(expected).max(), np.abs(expected).max())
    assert [ax.get_ylabel() for ax in display.axes_] == ["forward unit", "reverse unit"]
    assert display.ax_ is display.axes_[0] and display.figure_ is display.ax_.figure
    draw_figure(display.figure_)
    assert tick_labels(display.axes_[1]) == tokens, "a dollar sign must not begin a formula"
    assert not any(label.get_parse_math() for label in display.axes_[1].get_xticklabels())


@pytest.mark.parametrize(
    ("name", "row", "tokens"),
    [
        ("tokens", ["good", "New", "film"], ["good", "(new)", "film"]),
        ("characters", "go x", ["g", "o", " ", "(x)"]),
        ("ids", [2, 99, 1], ["2", "(99)", "1"]),
        ("scattered ids", [2 * 10**9, 5], [str(2 * 10**9), "(5)"]),
        ("tags of tokens", ["good", "unseen"], ["good", "(unseen)"]),
        ("tags of ids", np.array([2, 99]), ["2", "(99)"]),
    ],
)
def test_tokens_of_every_kind_of_text(name, row, tokens):
    display = HiddenStatesDisplay.from_estimator(fitted(name)[0], row)
    assert display.tokens == tokens
    assert all(len(states) == len(tokens) for states in display.states)


def test_tokens_that_the_tokenizer_cuts_off_are_not_shown():
    model = RNNTextClassifier(TextTokenizer(max_length=2), units=2, max_epochs=1, random_state=0)
    display = HiddenStatesDisplay.from_estimator(model.fit(TEXTS, np.arange(60) % 2), "good bad film plot")
    assert display.tokens == ["film", "plot"] and len(display.states[0]) == 2


class LengthTokenizer:
    """A tokenizer of another package: the id of a word is its length."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return [[2 + len(word) for word in text.split()] for text in X]

    def get_params(self, deep=True):
        return {}


def test_tokens_of_another_tokenizer_are_ids():
    model = text_classifier(tokenizer=LengthTokenizer()).fit(TEXTS, np.arange(60) % 2)
    assert HiddenStatesDisplay.from_estimator(model, "good or").tokens == ["6", "4"]


def test_a_series_is_drawn_above_its_states():
    model, series = one_direction()
    display = HiddenStatesDisplay.from_estimator(model, series, vmax=1)
    above, below = display.axes_
    assert display.tokens is None and display.ax_ is below and len(display.images_) == 1
    (line,) = above.lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 9))
    np.testing.assert_array_equal(line.get_ydata(), series[:, 0])  # before scaling
    np.testing.assert_array_equal(display.states[0], model.hidden_states([series])[0])
    assert display.images_[0].get_clim() == (-1, 1)
    assert below.get_ylabel() == "unit" and below.get_xlabel() == "step"
    draw_figure(display.figure_)
    assert [above.get_position().x0, above.get_position().x1] == pytest.approx(
        [below.get_position().x0, below.get_position().x1], abs=1e-3
    )
    assert above.get_xlim() == below.get_xlim()


def test_rows_of_a_table_and_missing_values():
    model, X = fitted("matrix with holes")
    display = HiddenStatesDisplay.from_estimator(model, X[0])
    assert np.isnan(X[0]).any() and display.series.shape == (14, 1) and np.isfinite(display.series).all()
    np.testing.assert_array_equal(np.hstack(display.states), model.hidden_states(X)[0])


def test_a_row_of_a_frame():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), columns=list("abcd"))
    model = series_classifier(wide=False, conv_filters=0).fit(frame, np.arange(20) % 2)
    expected = model.hidden_states(frame)[2]
    for row in (frame.iloc[2], frame.iloc[[2]]):
        display = HiddenStatesDisplay.from_estimator(model, row)
        np.testing.assert_array_equal(np.hstack(display.states), expected)
    with pytest.raises(ValueError, match="X_row must be one row of X; got 20 rows"):
        HiddenStatesDisplay.from_estimator(model, frame)


def test_channels_have_their_names():
    frames = [pd.DataFrame({"pulse": np.arange(n + 3.0), "hour": 1.0}) for n in range(20)]
    model = series_classifier(wide=False, conv_filters=0).fit(frames, np.arange(20) % 2)
    display = HiddenStatesDisplay.from_estimator(model, frames[0])
    assert [text.get_text() for text in display.axes_[0].get_legend().get_texts()] == ["pulse", "hour"]
    rows = [frame.to_numpy() for frame in frames]
    model = series_classifier(wide=False, conv_filters=0).fit(rows, np.arange(20) % 2)
    display = HiddenStatesDisplay.from_estimator(model, rows[0])
    assert [text.get_text() for text in display.axes_[0].get_legend().get_texts()] == ["channel 0", "channel 1"]


def test_units_can_be_chosen():
    model, series = one_direction()
    display = HiddenStatesDisplay.from_estimator(model, series, units=[3, 0], colorbar=False)
    np.testing.assert_array_equal(display.states[0], model.hidden_states([series])[0][:, [3, 0]])
    assert display.colorbar_ is None
    draw_figure(display.figure_)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert [label for label in labels if label] == ["3", "0"]


@pytest.mark.parametrize("n_words", [1, 70, 71, 500])
def test_short_and_long_texts(n_words):
    display = HiddenStatesDisplay.from_estimator(fitted("texts, two classes")[0], " ".join(["good"] * n_words))
    draw_figure(display.figure_)
    labels = tick_labels(display.axes_[-1])
    assert set(labels) == {"good"} and len(labels) == -(-n_words // -(-n_words // 70)) <= 70
    assert display.axes_[-1].get_xlabel() == ("" if n_words <= 70 else f"tokens, 1 of {-(-n_words // 70)}")
    assert 5 < display.figure_.get_size_inches()[0] <= 14


def test_a_long_token_is_cut():
    display = HiddenStatesDisplay.from_estimator(fitted("texts, two classes")[0], "x" * 5_000)
    assert tick_labels(display.axes_[-1]) == ["(" + "x" * 16 + "…"]


def test_axes_of_the_caller():
    model, series = one_direction()
    figure, axes = plt.subplots(2, 2, layout="constrained")
    display = HiddenStatesDisplay.from_estimator(model, series, ax=axes[:, 0])
    assert display.axes_ == [axes[0, 0], axes[1, 0]]
    divided = HiddenStatesDisplay.from_estimator(model, series, ax=axes[0, 1])
    assert divided.figure_ is figure and not axes[0, 1].axison
    draw_figure(figure)
    with pytest.raises(ValueError, match="ax holds 4 axes, but HiddenStatesDisplay needs 2"):
        HiddenStatesDisplay.from_estimator(model, series, ax=axes)
    assert len(plt.get_fignums()) == 1


def test_names_of_channels_are_no_formulas():
    states, names = [np.zeros((3, 2), dtype=np.float32)], ["$x_{1$", "$y"]
    display = HiddenStatesDisplay(states, series=np.zeros((3, 2)), channel_names=names).plot()
    draw_figure(display.figure_)
    assert [text.get_text() for text in display.axes_[0].get_legend().get_texts()] == names


def test_states_that_are_zero():
    display = HiddenStatesDisplay([np.zeros((3, 2), dtype=np.float32)], tokens=["a", "b", "c"]).plot()
    assert display.images_[0].get_clim() == (-1, 1)
    draw_figure(display.figure_)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X_row": ""}, "X_row has no steps"),
        ({"X_row": ["good"]}, "Row 0 of X_row is a list of tokens"),
        ({"units": []}, "units must be None or a sequence of integers from 0 to 2; got"),
        ({"units": [3]}, "units must be"),
        ({"units": [-1]}, "units must be"),
        ({"units": [0.0]}, "units must be"),
        ({"units": 1}, "units must be"),
        ({"vmax": 0}, "vmax must be None or a number above 0; got 0"),
        ({"units": [[0], [1, 2]]}, "units must be"),
        ({"vmax": float("nan")}, "vmax must be"),
        ({"vmax": float("inf")}, "vmax must be"),
        ({"vmax": "large"}, "vmax must be None or a number above 0; got 'large'"),
        ({"cmap": "none"}, "'none' is not a valid value for cmap"),
    ],
)
def test_invalid_arguments(arguments, message):
    arguments = {"estimator": fitted("texts, two classes")[0], "X_row": "good film"} | arguments
    with pytest.raises(ValueError, match=message):
        HiddenStatesDisplay.from_estimator(**arguments)
    assert not plt.get_fignums()


def test_other_estimators():
    with pytest.raises(NotFittedError):
        HiddenStatesDisplay.from_estimator(RNNTextClassifier(), "good")
    with pytest.raises(TypeError, match="estimator must be a fitted estimator of seqclf"):
        HiddenStatesDisplay.from_estimator("good", "good")


def test_a_loaded_model_is_drawn_without_torch(tmp_path):
    path = tmp_path / "model.zip"
    save_model(fitted("texts, two classes")[0], path)
    code = f"""
    import sys
    import matplotlib
    matplotlib.use("Agg")
    from seqclf import load_model
    from seqclf.inspection import HiddenStatesDisplay
    display = HiddenStatesDisplay.from_estimator(load_model({str(path)!r}), "good film")
    print(display.tokens, "torch" in sys.modules)
    """
    assert run_python(code).strip() == "['good', 'film'] False"

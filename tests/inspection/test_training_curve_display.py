"""`TrainingCurveDisplay`: lines, marks and legends of the histories of one or several estimators."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from _factories import draw_figure, run_python, series_classifier
from seqclf import RNNClassifier, RNNRegressor, SequencePadder
from seqclf.inspection import TrainingCurveDisplay

X = np.random.default_rng(0).normal(size=(40, 6))
y = np.arange(40) % 2
PLAIN = {"wide": False, "conv_filters": 0}


@cache
def with_validation():
    return series_classifier(max_epochs=6, patience=3, learning_rate=0.3, **PLAIN).fit(X, y)


@cache
def without_validation():
    return series_classifier(max_epochs=3, **PLAIN).fit(X, y)


@cache
def regressor():
    return RNNRegressor(units=2, max_epochs=2, random_state=0, **PLAIN).fit(X, X[:, 0])


def values(model, name):
    return [epoch[name] for epoch in model.history_]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_curves_are_those_of_the_history():
    model = with_validation()
    display = TrainingCurveDisplay.from_estimator(model)
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "accuracy"]
    assert display.ax_ is display.axes_[0] and display.figure_ is display.ax_.figure
    for metric, lines in zip(("loss", "score"), display.lines_, strict=True):
        for part, line in zip(("train", "valid"), lines, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, model.n_iter_ + 1))
            np.testing.assert_array_equal(line.get_ydata(), values(model, f"{part}_{metric}"))
    best = model.best_epoch_
    assert best < model.n_iter_, "otherwise the mark could be at the last epoch"
    for metric, (mark,) in zip(("loss", "score"), display.best_epochs_, strict=True):
        assert mark.get_xdata().tolist() == [best]
        assert mark.get_ydata().tolist() == [model.history_[best - 1][f"valid_{metric}"]]
    assert legend(display.ax_) == ["training", "validation", f"best epoch ({best})"]
    draw_figure(display.figure_)


def test_without_validation_the_mark_is_on_the_training_curve():
    model = without_validation()
    display = TrainingCurveDisplay.from_estimator(model, metric="loss")
    assert len(display.axes_) == len(display.lines_) == 1
    ((line,),), ((mark,),) = display.lines_, display.best_epochs_
    assert line.get_ydata().tolist() == values(model, "train_loss")
    assert (mark.get_xdata().tolist(), mark.get_ydata().tolist()) == ([3], [model.history_[2]["train_loss"]])
    assert legend(display.ax_) == ["training", "best epoch (3)"]


def test_scores_of_a_regressor_have_their_name():
    display = TrainingCurveDisplay.from_estimator(regressor(), metric=["score"])
    assert display.ax_.get_ylabel() == "R squared"
    both = TrainingCurveDisplay.from_estimator([regressor(), with_validation()], metric="score")
    assert both.ax_.get_ylabel() == "score"


def test_several_estimators_have_a_colour_each():
    display = TrainingCurveDisplay.from_estimator({"with": with_validation(), "without": without_validation()})
    for ax, lines, marks in zip(display.axes_, display.lines_, display.best_epochs_, strict=True):
        assert legend(ax) == ["with, training", "with, validation", "without, training", "best epoch"]
        assert [line.get_linestyle() for line in lines] == ["--", "-", "-"]
        assert same_color(lines[0].get_color(), lines[1].get_color())
        assert not same_color(lines[1].get_color(), lines[2].get_color())
        assert [mark.get_xdata().tolist() for mark in marks] == [[with_validation().best_epoch_], [3]]
    draw_figure(display.figure_)


@pytest.mark.parametrize(
    ("estimators", "name", "expected"),
    [
        (lambda a, b: [a, b], None, ["RNNClassifier 1", "RNNClassifier 2"]),
        (lambda a, b: (a, regressor()), None, ["RNNClassifier", "RNNRegressor"]),
        (lambda a, b: [a, b], ["x", "y"], ["x", "y"]),
        (lambda a, b: {1: a, "b": b}, None, ["1", "b"]),
        (lambda a, b: a, "mine", ["mine"]),
        (lambda a, b: a, None, ["RNNClassifier"]),
    ],
)
def test_names(estimators, name, expected):
    display = TrainingCurveDisplay.from_estimator(estimators(with_validation(), without_validation()), name=name)
    assert [curve.name for curve in display.curves] == expected


def test_names_are_no_formulas():
    display = TrainingCurveDisplay.from_estimator({"$x_{1$": with_validation(), "$y": without_validation()})
    display.figure_.canvas.draw()
    assert legend(display.ax_)[0] == "$x_{1$, training"


def test_one_epoch_is_visible():
    display = TrainingCurveDisplay.from_estimator(series_classifier(max_epochs=1, **PLAIN).fit(X, y))
    (line,) = display.lines_[0]
    assert line.get_marker() == "."
    low, high = display.ax_.get_xlim()
    assert low < 1 < high
    draw_figure(display.figure_)
    assert [tick for tick in display.ax_.get_xticks() if low <= tick <= high] == [1]


def test_many_epochs():
    model = series_classifier(max_epochs=200, patience=200, schedule="constant", **PLAIN).fit(
        X, y, X_val=X[:8], y_val=y[:8]
    )
    display = TrainingCurveDisplay.from_estimator(model)
    assert display.lines_[0][0].get_marker() == ""
    draw_figure(display.figure_)


def test_axes_of_the_caller():
    model = with_validation()
    figure, axes = plt.subplots(1, 2, layout="constrained")
    assert TrainingCurveDisplay.from_estimator(model, ax=axes).axes_ == list(axes)
    assert TrainingCurveDisplay.from_estimator(model, ax=axes[1], metric="loss").axes_ == [axes[1]]
    figure, (left, _) = plt.subplots(1, 2, layout="constrained")
    divided = TrainingCurveDisplay.from_estimator(model, ax=left)
    assert divided.figure_ is figure and len(divided.axes_) == 2 and not left.axison
    draw_figure(figure)
    assert max(ax.get_position().x1 for ax in divided.axes_) <= left.get_position().x1 + 0.01
    assert len(plt.get_fignums()) == 2, "no further figure was created"
    again = divided.plot(metric="loss")
    assert again is divided and divided.figure_ is not figure


def test_line_settings():
    display = TrainingCurveDisplay.from_estimator(with_validation(), line_kw={"linewidth": 5, "color": "red"})
    assert {line.get_linewidth() for lines in display.lines_ for line in lines} == {5}
    assert all(same_color(line.get_color(), "red") for lines in display.lines_ for line in lines)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"metric": "accuracy"}, ValueError, "metric must be 'loss', 'score', or a sequence of them; got 'accuracy'"),
        ({"metric": []}, ValueError, "metric must be"),
        ({"metric": None}, ValueError, "metric must be"),
        ({"ax": 3}, TypeError, "ax must be None, a matplotlib Axes or a sequence of Axes; got int"),
        ({"ax": [None]}, TypeError, "ax must be None"),
        ({"name": ["a"]}, TypeError, "name must be None or a str for one estimator; got list"),
        ({"estimator": []}, ValueError, "estimator holds no estimators"),
        ({"estimator": {}}, ValueError, "estimator holds no estimators"),
        ({"estimator": None}, TypeError, "estimator must be a fitted estimator of seqclf"),
        ({"estimator": RNNClassifier()}, NotFittedError, "not fitted yet"),
        ({"estimator": {"a": RNNClassifier}}, TypeError, r"estimator\['a'\] must be a fitted estimator"),
        (
            {"estimator": lambda: [with_validation(), make_pipeline(SequencePadder(), with_validation())]},
            TypeError,
            r"estimator\[1\] must be .* Pass the last step of the pipeline",
        ),
        ({"estimator": lambda: [with_validation()], "name": "a"}, ValueError, "a list of 1 names.*got 'a'"),
        ({"estimator": lambda: [with_validation()], "name": ["a", "b"]}, ValueError, "got 2 names"),
        ({"estimator": lambda: [with_validation()], "name": 5}, ValueError, "a list of 1 names.*got 5"),
        ({"line_kw": ["red"]}, TypeError, "line_kw must be None or a dict of settings"),
        ({"line_kw": {"color": "no colour"}}, ValueError, "is not a valid value for color"),
        ({"estimator": lambda: {"a": with_validation()}, "name": ["a"]}, ValueError, "its keys are the names"),
    ],
)
def test_invalid_arguments(arguments, error, message):
    arguments = {"estimator": with_validation} | arguments
    estimator = arguments.pop("estimator")
    if callable(estimator) and not isinstance(estimator, type):
        estimator = estimator()
    with pytest.raises(error, match=message):
        TrainingCurveDisplay.from_estimator(estimator, **arguments)
    assert not plt.get_fignums()


def test_a_wrong_number_of_axes():
    figure, axes = plt.subplots(1, 3)
    with pytest.raises(ValueError, match="ax holds 3 axes, but TrainingCurveDisplay needs 2, one for each panel"):
        TrainingCurveDisplay.from_estimator(with_validation(), ax=axes)
    with pytest.raises(ValueError, match="an axes that is not part of a grid can't be divided"):
        TrainingCurveDisplay.from_estimator(with_validation(), ax=figure.add_axes((0, 0, 1, 1)))


def test_without_matplotlib():
    code = """
    import sys
    sys.modules["matplotlib"] = sys.modules["matplotlib.pyplot"] = None
    from seqclf.inspection import TrainingCurveDisplay
    try:
        TrainingCurveDisplay([]).plot()
    except ImportError as error:
        print(error)
    """
    assert run_python(code).startswith("TrainingCurveDisplay draws with matplotlib, which is not installed")

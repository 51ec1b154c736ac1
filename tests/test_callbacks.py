"""scikit-learn's callbacks: the tasks at which they are called, the models that they get, and what they change."""

import copy
import importlib.util
import pickle
import sys
from functools import partial

import joblib
import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.callback import FitCallback, ProgressBar, ScoringMonitor
from sklearn.callback._callback_context import VALID_HOOK_PARAMS_OUT
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import seqclf._callbacks
from _factories import assert_same_predictions, run_python
from _fitted_models import INDICATOR, LABELS, SERIES, TEXTS, TOKENS, VALUES, length_tags
from seqclf import (
    SKOPS_TRUSTED_TYPES,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    RNNTextClassifier,
    RNNTextRegressor,
    load_model,
    save_model,
)
from seqclf._callbacks import CALLBACK_ATTRIBUTES, CONTEXT_ATTRIBUTES
from seqclf._kernels.cpu.lazy_rows import LazyRows
from seqclf._kernels.dispatch import is_native_enabled
from seqclf._nn.network import Network

SMALL = {"units": 3, "max_epochs": 3, "schedule": "constant", "random_state": 0, "n_threads": 1, "batch_size": 16}
# For each name a function that returns an estimator, and the data to fit it to.
FITS = {
    "texts": (partial(RNNTextClassifier, **SMALL), TEXTS, LABELS),
    "texts, labels": (partial(RNNTextClassifier, **SMALL), TEXTS, INDICATOR),
    "texts, values": (partial(RNNTextRegressor, **SMALL), TEXTS, VALUES),
    "series": (partial(RNNClassifier, **SMALL), SERIES, LABELS),
    "series, without a linear model": (partial(RNNClassifier, **SMALL, wide=False), SERIES, LABELS),
    "series, values": (partial(RNNRegressor, **SMALL), SERIES, VALUES),
    "tokens, tags": (partial(RNNTagger, **SMALL), TOKENS, length_tags(TOKENS)),
}


class Recorder:
    """Records the hooks that are called, and runs a function at the end of each task."""

    def __init__(self, at_end=None):
        self.calls, self.at_end = [], at_end

    def record(self, hook, context):
        self.calls.append((hook, context.task_name, context.task_id, context.max_subtasks))

    def setup(self, estimator, context):
        self.record("setup", context)

    def teardown(self, estimator, context):
        self.record("teardown", context)

    def on_fit_task_begin(self, estimator, context):
        self.record("begin", context)

    def on_fit_task_end(self, estimator, context):
        self.record("end", context)
        return self.at_end is not None and self.at_end(estimator, context)


class Models(Recorder):
    """Records the models after each epoch and at the end, and their predictions for some rows."""

    def __init__(self, X):
        super().__init__()
        self.X, self.started, self.epochs, self.final = X, [], [], None

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.started.append((fitted_estimator, fitted_estimator.predict(self.X)))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.epochs.append((fitted_estimator, fitted_estimator.predict(self.X)))
        else:
            self.final = fitted_estimator


def in_epoch(number, action):
    """A function for `Recorder` that calls `action` at the end of this epoch, counted from 0."""
    return lambda estimator, context: context.task_name == "epoch" and context.task_id == number and action(estimator)


def stop(estimator):
    return True


def interrupt(estimator):
    raise KeyboardInterrupt


def assert_same_weights(one, other):
    ours, theirs = one.network_.to_arrays(), other.network_.to_arrays()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def without_seconds(history):
    return [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in history]


def series_classifier(**changes):
    return RNNClassifier(**(SMALL | changes))


def test_callbacks_were_checked_with_this_version_of_scikit_learn():
    """sklearn.callback is experimental: read its changes, and `seqclf/_callbacks.py`, before this version is raised."""
    assert sklearn.__version__.startswith("1.9.")
    assert VALID_HOOK_PARAMS_OUT == ["X", "y", "metadata", "fitted_estimator"]


@pytest.mark.parametrize("name", FITS)
def test_callbacks_are_called_at_the_fit_and_at_each_epoch(name):
    make, X, y = FITS[name]
    recorder = Recorder()
    assert isinstance(recorder, FitCallback)
    make().set_callbacks(recorder).fit(X, y)
    epochs = [(hook, "epoch", epoch, 0) for epoch in range(3) for hook in ("begin", "end")]
    fit = ("fit", 0, 3)
    assert recorder.calls == [("setup", *fit), ("begin", *fit), *epochs, ("end", *fit), ("teardown", *fit)]


@pytest.mark.parametrize("name", FITS)
def test_fitted_estimator_is_the_model_of_a_fit_with_as_many_epochs(name):
    make, X, y = FITS[name]
    models = Models(X)
    fitted = make().set_callbacks(models).fit(X, y)
    assert len(models.epochs) == 3
    for n_epochs, (model, predictions) in enumerate(models.epochs, 1):
        expected = make(max_epochs=n_epochs).fit(X, y)
        assert_same_weights(model, expected)
        assert_same_predictions(predictions, expected.predict(X))
        assert without_seconds(model.history_) == without_seconds(expected.history_)
        assert model.n_iter_ == model.best_epoch_ == n_epochs and model.n_parameters_ == expected.n_parameters_
        names = {each for each in vars(expected) if each != "max_epochs"}
        assert vars(model).keys() - {"max_epochs"} == names
    for (before, predictions), (after, expected) in zip(models.started[1:], models.epochs[:-1], strict=True):
        assert before.n_iter_ == after.n_iter_ and before is not after
        assert_same_predictions(predictions, expected)
    assert models.started[0][0].history_ == [] and models.started[0][0].n_iter_ == 0
    assert_same_predictions(models.final.predict(X), fitted.predict(X))


@pytest.mark.parametrize("name", FITS)
def test_a_fit_has_the_same_bits_with_callbacks(name, unchanged_global_state):
    make, X, y = FITS[name]
    expected = make(dropout=0.2).fit(X, y)
    found = make(dropout=0.2).set_callbacks(Models(X), Recorder()).fit(X, y)
    assert_same_weights(found, expected)
    assert_same_predictions(found.predict(X), expected.predict(X))
    assert without_seconds(found.history_) == without_seconds(expected.history_)


def test_postponed_updates_of_the_embedding_are_in_the_fitted_estimator(tune, monkeypatch):
    tune(min_sparse_values=1, min_lazy_rows=1)
    n_synced, sync = [], LazyRows.begin_batch
    monkeypatch.setattr(LazyRows, "begin_batch", lambda rows, ids: n_synced.append(len(ids)) or sync(rows, ids))
    models = Models(TEXTS)
    classifier = RNNTextClassifier(**SMALL, optimizer="adam", wide=False)
    fitted = clone(classifier).set_callbacks(models).fit(TEXTS, LABELS)
    assert n_synced or not is_native_enabled()
    assert_same_weights(fitted, clone(classifier).fit(TEXTS, LABELS))
    for n_epochs, (model, _) in enumerate(models.epochs, 1):
        assert_same_weights(model, clone(classifier).set_params(max_epochs=n_epochs).fit(TEXTS, LABELS))


def test_no_network_is_copied_unless_a_callback_takes_it(monkeypatch):
    def fail(*args):
        raise AssertionError

    monkeypatch.setattr(Network, "from_arrays", fail)
    recorder = Recorder()
    series_classifier().set_callbacks(recorder).fit(SERIES, LABELS)
    assert len(recorder.calls) == 10
    with pytest.raises(AssertionError):
        series_classifier().set_callbacks(Models(SERIES)).fit(SERIES, LABELS)


@pytest.mark.parametrize("patience", [None, 1])
@pytest.mark.parametrize("hook", ["on_fit_task_begin", "on_fit_task_end"])
def test_a_callback_can_change_the_fitted_estimator_without_changing_the_fit(hook, patience):
    def change(self, estimator, context, *, fitted_estimator):
        if fitted_estimator is not None:
            with torch.no_grad():
                for parameter in fitted_estimator.network_.parameters():
                    parameter.zero_()
            fitted_estimator.history_[0:1] = [epoch.clear() for epoch in fitted_estimator.history_]

    changing = type("Changing", (Recorder,), {hook: change})()
    plain = series_classifier(patience=patience).fit(SERIES, LABELS)
    model = series_classifier(patience=patience).set_callbacks(changing).fit(SERIES, LABELS)
    assert_same_weights(model, plain)
    assert without_seconds(model.history_) == without_seconds(plain.history_)


def test_callbacks_get_the_estimator_of_the_user_which_is_unchanged_until_the_end():
    seen = []

    class Arguments(Recorder):
        def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None):
            seen.append((estimator, hasattr(estimator, "network_"), X, y, metadata))

    classifier, weights = series_classifier().set_callbacks(Arguments()), np.ones(60)
    classifier.fit(SERIES, LABELS, sample_weight=weights, groups=np.arange(60))
    assert len(seen) == 4
    for estimator, is_fitted, X, y, metadata in seen:
        assert estimator is classifier and not is_fitted and X is SERIES and y is LABELS
        assert metadata.keys() == {"sample_weight"} and metadata["sample_weight"] is weights
    seen.clear()
    classifier.fit(SERIES, LABELS)
    assert all(metadata is None and is_fitted for _, is_fitted, _, _, metadata in seen)


# Stopping


def test_a_callback_that_returns_true_stops_after_the_epoch():
    recorder = Recorder(in_epoch(1, stop))
    stopped = series_classifier().set_callbacks(recorder).fit(SERIES, LABELS)
    expected = series_classifier(max_epochs=2).fit(SERIES, LABELS)
    assert stopped.n_iter_ == stopped.best_epoch_ == len(stopped.history_) == 2
    assert_same_weights(stopped, expected)
    assert_same_predictions(stopped.predict_proba(SERIES), expected.predict_proba(SERIES))
    assert [call[:3] for call in recorder.calls[-3:]] == [
        ("end", "epoch", 1),
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]


def test_early_stopping_restores_the_best_weights_after_a_stop():
    parameters = {"patience": 9, "max_epochs": 9, "learning_rate": 0.2, "wide": False}
    models = Models(SERIES)
    stopped = series_classifier(**parameters).set_callbacks(models, Recorder(in_epoch(5, stop)))
    stopped.fit(SERIES, LABELS)
    assert stopped.n_iter_ == 6 and stopped.best_epoch_ < 6
    best, of_best = models.epochs[stopped.best_epoch_ - 1]
    assert_same_weights(stopped, best)
    assert_same_predictions(stopped.predict(SERIES), of_best)
    # During the training a model has the weights of its own epoch.
    assert [model.best_epoch_ for model, _ in models.epochs] == [1, 2, 3, 4, 5, 6]


def test_early_stopping_ends_the_epochs():
    recorder = Recorder()
    classifier = series_classifier(patience=1, max_epochs=50, learning_rate=0.3).set_callbacks(recorder)
    classifier.fit(SERIES, LABELS)
    assert classifier.n_iter_ < 50
    assert sum(call[:2] == ("end", "epoch") for call in recorder.calls) == classifier.n_iter_
    assert recorder.calls[0] == ("setup", "fit", 0, 50)


# Errors


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("task", ["epoch", "fit"])
@pytest.mark.parametrize("is_fitted", [False, True])
def test_after_an_error_of_a_callback_the_estimator_is_unchanged(error, task, is_fitted):
    def fail(estimator, context):
        if context.task_name == task:
            raise error("from the callback")

    classifier = series_classifier()
    if is_fitted:
        classifier.fit(SERIES, LABELS)
    recorder = Recorder(fail)
    before = dict(vars(classifier.set_callbacks(recorder)))
    with pytest.raises(error, match="from the callback"):
        classifier.fit(SERIES[::-1], LABELS)
    assert vars(classifier).keys() == before.keys()
    assert all(vars(classifier)[name] is value for name, value in before.items())
    assert recorder.calls[-1][0] == "teardown"
    recorder.at_end = None
    assert_same_weights(classifier.fit(SERIES, LABELS), series_classifier().fit(SERIES, LABELS))


def test_invalid_data_is_an_error_before_any_callback():
    recorder = Recorder()
    classifier = series_classifier().set_callbacks(recorder)
    with pytest.raises(ValueError, match="y"):
        classifier.fit(SERIES, LABELS[:5])
    assert recorder.calls == [] and classifier._skl_callbacks == [recorder]


@pytest.mark.parametrize("others", [(), (Recorder(),)])
def test_callbacks_that_are_set_during_a_fit_stay(others):
    classifier = series_classifier()
    classifier.set_callbacks(Recorder(in_epoch(1, lambda estimator: estimator.set_callbacks(*others) and None)))
    classifier.fit(SERIES, LABELS)
    assert getattr(classifier, "_skl_callbacks", []) == list(others)
    assert not set(CALLBACK_ATTRIBUTES[1:]) & vars(classifier).keys()


# Copies and files


def fitted_with_callbacks():
    return series_classifier().set_callbacks(ScoringMonitor(scoring="accuracy")).fit(SERIES, LABELS)


def test_files_of_fitted_estimators_have_no_callbacks(tmp_path):
    fitted = fitted_with_callbacks()
    joblib.dump(fitted, tmp_path / "model.joblib")
    save_model(fitted, tmp_path / "model.zip")
    restored = [pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib"), copy.deepcopy(fitted)]
    for model in [*restored, load_model(tmp_path / "model.zip")]:
        assert not set(CALLBACK_ATTRIBUTES) & vars(model).keys()
        assert_same_predictions(model.predict(SERIES), fitted.predict(SERIES))
    assert len(fitted._skl_callbacks) == 1
    assert pickle.dumps(fitted) == pickle.dumps(fitted.set_callbacks())


def test_skops_trusts_fitted_estimators_with_callbacks():
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(fitted_with_callbacks())
    assert set(skops.get_untrusted_types(data=content)) == {SKOPS_TRUSTED_TYPES[0]}
    assert not hasattr(skops.loads(content, trusted=SKOPS_TRUSTED_TYPES), "_skl_callbacks")


def test_pickles_without_a_fit_have_callbacks_for_other_processes():
    classifier = series_classifier().set_callbacks(ScoringMonitor(scoring="accuracy"))
    classifier._parent_callback_ctx = "of a search"
    restored = pickle.loads(pickle.dumps(classifier))
    assert [type(callback) for callback in restored._skl_callbacks] == [ScoringMonitor]
    assert not hasattr(restored, "_parent_callback_ctx")


def test_clone_and_copy_have_the_same_callbacks():
    fitted = fitted_with_callbacks()
    assert clone(fitted)._skl_callbacks[0] is fitted._skl_callbacks[0]
    copied = copy.copy(fitted)
    assert vars(copied) == vars(fitted) and type(copied) is RNNClassifier
    network = copied.network_
    assert fitted.fit(SERIES, VALUES > 0).network_ is not network is copied.network_


def test_copies_that_a_callback_makes_have_no_context_of_the_fit():
    """With one, a later fit of the copy would be a part of a search that is over."""
    copies = []
    recorder = Recorder(in_epoch(0, lambda estimator: copies.append(copy.copy(estimator))))
    classifier = series_classifier().set_callbacks(recorder).fit(SERIES, LABELS)
    assert not set(CONTEXT_ATTRIBUTES) & vars(copies[0]).keys()
    classifier._parent_callback_ctx = "of a search"
    assert copy.copy(classifier).fit(SERIES, LABELS).n_iter_ == classifier.n_iter_


def test_fitted_estimator_has_no_attribute_of_an_earlier_fit():
    """The earlier fits were on a stream, and of a model that was loaded from a pickle."""
    stream = RNNTagger(**SMALL).partial_fit(SERIES.reshape(60, 7, 2), [["a"] * 6 + ["b"]] * 60, ["a", "b"])
    loaded = pickle.loads(pickle.dumps(RNNTagger(**SMALL).fit(TOKENS, length_tags(TOKENS))))
    for tagger in (stream, loaded):
        models = Models(TOKENS)
        fitted = tagger.set_callbacks(models).fit(TOKENS, length_tags(TOKENS))
        model, predictions = models.epochs[-1]
        assert vars(model).keys() == vars(fitted).keys() - {"_skl_callbacks"}
        assert_same_predictions(pickle.loads(pickle.dumps(model)).predict(TOKENS), predictions)
        assert_same_predictions(fitted.predict(TOKENS), predictions)


def test_a_callback_can_save_the_fitted_estimator(tmp_path):
    class Save(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            save_model(fitted_estimator, tmp_path / f"{context.task_name}{context.task_id}.zip")

    fitted = series_classifier().set_callbacks(Save()).fit(SERIES, LABELS)
    assert [load_model(tmp_path / f"epoch{epoch}.zip").n_iter_ for epoch in range(3)] == [1, 2, 3]
    for name in ("epoch2", "fit0"):
        assert_same_predictions(load_model(tmp_path / f"{name}.zip").predict(SERIES), fitted.predict(SERIES))


# Trainings that continue


def test_a_resumed_fit_calls_callbacks_for_the_remaining_epochs(tmp_path):
    classifier = series_classifier(max_epochs=5, checkpoint_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        clone(classifier).set_callbacks(Recorder(in_epoch(1, interrupt))).fit(SERIES, LABELS)
    assert len(list(tmp_path.glob("*.ckpt"))) == 1
    recorder, models = Recorder(), Models(SERIES)
    resumed = clone(classifier).set_callbacks(recorder, models).fit(SERIES, LABELS)
    assert recorder.calls[1] == ("begin", "fit", 0, 5)
    assert [call[1:3] for call in recorder.calls if call[0] == "end"] == [
        *(("epoch", n) for n in (2, 3, 4)),
        ("fit", 0),
    ]
    assert [model.n_iter_ for model, _ in models.epochs] == [3, 4, 5]
    expected = series_classifier(max_epochs=5).fit(SERIES, LABELS)
    assert_same_weights(resumed, expected)
    assert not list(tmp_path.iterdir())


def test_callbacks_do_not_select_the_checkpoint(tmp_path):
    classifier = series_classifier(checkpoint_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        clone(classifier).set_callbacks(Recorder(in_epoch(1, interrupt))).fit(SERIES, LABELS)
    clone(classifier).fit(SERIES, LABELS)  # would warn about the checkpoint of another fit
    assert not list(tmp_path.iterdir())


def test_a_callback_can_stop_a_fit_with_checkpoints(tmp_path):
    classifier = series_classifier(max_epochs=5, checkpoint_dir=tmp_path)
    assert classifier.set_callbacks(Recorder(in_epoch(2, stop))).fit(SERIES, LABELS).n_iter_ == 3
    assert not list(tmp_path.iterdir())


def test_warm_start_with_callbacks():
    expected = series_classifier(warm_start=True).fit(SERIES, LABELS).fit(SERIES, LABELS)
    models = Models(SERIES)
    found = series_classifier(warm_start=True).fit(SERIES, LABELS).set_callbacks(models).fit(SERIES, LABELS)
    assert_same_weights(found, expected)
    assert_same_weights(models.epochs[-1][0], expected)


def test_partial_fit_calls_no_callbacks():
    recorder = Recorder()
    classifier = series_classifier().set_callbacks(recorder).partial_fit(SERIES, LABELS, np.unique(LABELS))
    assert recorder.calls == [] and classifier._skl_callbacks == [recorder]


# Callbacks of scikit-learn


@pytest.mark.parametrize("name", [name for name in FITS if name != "tokens, tags"])
def test_scoring_monitor_logs_the_score_of_each_epoch(name):
    """With validation rows too, which are not passed to the score."""
    make, X, y = FITS[name]
    score = "r2" if "values" in name else "accuracy"
    monitor, models, weights = ScoringMonitor(scoring=score), Models(X), np.linspace(0.5, 1, len(X))
    fitted = make().set_callbacks(monitor, models).fit(X, y, sample_weight=weights, X_val=X, y_val=y)
    rows = monitor.get_logs().data
    assert [row["task_id_path"] for row in rows] == [(0,), (0, 0), (0, 1), (0, 2)]
    scores = [row[score] for row in rows]
    expected = [fitted, *(model for model, _ in models.epochs)]
    assert scores == [model.score(X, y, sample_weight=weights) for model in expected]


def test_scoring_monitor_with_held_out_rows():
    def held_out(estimator, X, y, **kwargs):
        return {"held_out": estimator.score(SERIES[40:], LABELS[40:])}

    monitor = ScoringMonitor(scoring=held_out)
    fitted = series_classifier().set_callbacks(monitor).fit(SERIES[:40], LABELS[:40])
    assert monitor.get_logs().data[0]["held_out"] == fitted.score(SERIES[40:], LABELS[40:])


def test_scoring_monitor_with_the_score_of_a_tagger():
    make, X, y = FITS["tokens, tags"]
    monitor = ScoringMonitor(scoring=lambda estimator, X, y: {"accuracy": estimator.score(X, y)})
    fitted = make().set_callbacks(monitor).fit(X, y)
    scores = [row["accuracy"] for row in monitor.get_logs().data]
    assert len(scores) == 4 and scores[0] == scores[-1] == fitted.score(X, y)


def pipeline(*callbacks):
    classifier = series_classifier(max_epochs=2).set_callbacks(*callbacks)
    return Pipeline([("scaler", StandardScaler()), ("classifier", classifier)])


def test_callbacks_of_an_estimator_are_called_in_the_processes_of_a_search():
    monitor = ScoringMonitor(scoring="accuracy")
    search = GridSearchCV(pipeline(monitor), {"classifier__units": [2, 3]}, cv=2, n_jobs=2).fit(SERIES, LABELS)
    rows = monitor.get_logs().data
    epochs = [row for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == (4 + 1) * 2 and len({row["task_id_path"][:3] for row in epochs}) == 4 + 1
    assert all(0 <= row["accuracy"] <= 1 for row in epochs)
    of_best = [row["accuracy"] for row in rows if row["task_id_path"][:2] == (0, 1) and row["task_name"] == "fit"]
    assert of_best == [search.best_estimator_.score(SERIES, LABELS)]


class Propagated(Recorder):
    """A recorder that is propagated from a search to the estimators inside."""

    max_propagation_depth = None

    def record(self, hook, context):
        super().record(hook, context)
        self.calls[-1] = (*self.calls[-1], context.estimator_name, context.source_task_name)


def test_callbacks_of_a_search_are_propagated():
    recorder = Propagated()
    search = GridSearchCV(pipeline(), {"classifier__units": [2]}, cv=2).set_callbacks(recorder).fit(SERIES, LABELS)
    ours = [call[:4] for call in recorder.calls if call[4] == "RNNClassifier"]
    fit = [(hook, "epoch", epoch, 0) for epoch in range(2) for hook in ("begin", "end")]
    assert ours == [("begin", "fit", 1, 2), *fit, ("end", "fit", 1, 2)] * 3
    assert not set(CALLBACK_ATTRIBUTES) & vars(search.best_estimator_["classifier"]).keys()
    assert [call[0] for call in recorder.calls].count("teardown") == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_of_a_search_shows_the_epochs(n_jobs, capsys):
    pytest.importorskip("rich")
    search = GridSearchCV(pipeline(), {"classifier__units": [2, 3]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(SERIES, LABELS)
    lines = [line for line in capsys.readouterr().out.splitlines() if "RNNClassifier" in line]
    assert len(lines) == 4 + 1 and all("100%" in line for line in lines)


def test_progress_bar_of_an_estimator(capsys):
    pytest.importorskip("rich")
    series_classifier().set_callbacks(ProgressBar()).fit(SERIES, LABELS)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("RNNClassifier - fit") and "100%" in line


# Other versions of scikit-learn


def test_estimators_work_without_callbacks_in_scikit_learn():
    code = """
    import sys
    sys.modules["sklearn.callback"] = None
    import seqclf._callbacks
    del sys.modules["sklearn.callback"]
    import numpy as np
    from seqclf import RNNClassifier
    X = np.random.default_rng(0).normal(size=(20, 4))
    model = RNNClassifier(units=2, max_epochs=2, random_state=0).fit(X, X[:, 0] > 0)
    print(hasattr(model, "set_callbacks"), model.n_iter_, model.score(X, X[:, 0] > 0) > 0.5)
    """
    assert run_python(code).split() == ["False", "2", "True"]


def test_without_callbacks_in_scikit_learn_nothing_is_called(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("callbacks_of_no_version", seqclf._callbacks.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    callbacks = module.FitCallbacks(module.CallbackSupportMixin(), SERIES, LABELS, None)
    fit = module.with_callbacks(lambda: callbacks.begin(3, 1))
    assert fit() is None

    def fitted():
        raise AssertionError

    callbacks.begin_epoch(fitted)
    assert callbacks.end_epoch(fitted) is False
    callbacks.end(fitted)

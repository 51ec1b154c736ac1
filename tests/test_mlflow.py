"""MLflow saves models with skops, its default, or as a file of save_model, without pickle and skops."""

from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from _fitted_models import LABELS, SERIES, TEXTS
from seqclf import (
    SKOPS_TRUSTED_TYPES,
    RNNClassifier,
    RNNTextClassifier,
    SequencePadder,
    TextTokenizer,
    save_model,
)

pytestmark = [
    pytest.mark.skipif(not all(map(find_spec, ("mlflow", "skops"))), reason="MLflow and skops are not installed"),
    pytest.mark.timeout(600),
    # MLflow itself warns about its type hints and those of models, and about its database.
    pytest.mark.filterwarnings("ignore:.*type hint"),
    pytest.mark.filterwarnings("ignore:.*``noload`` loader strategy"),
]

SMALL = {"units": 2, "max_epochs": 1, "random_state": 0, "n_threads": 1}
MODELS = {
    "texts": (lambda: RNNTextClassifier(**SMALL), TEXTS),
    "series": (lambda: RNNClassifier(**SMALL), SERIES),
    "pipeline": (
        lambda: Pipeline(
            [("ids", TextTokenizer()), ("array", SequencePadder()), ("model", RNNTextClassifier(**SMALL))]
        ),
        TEXTS,
    ),
}


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow with a temporary database and folder, inside a run."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")
    import mlflow
    import mlflow.pyfunc
    import mlflow.sklearn

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = mlflow.create_experiment("models", artifact_location=(tmp_path / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=experiment):
        yield mlflow
    mlflow.set_tracking_uri(before)


@pytest.mark.parametrize("name", MODELS)
def test_log_model_saves_with_skops(name, mlflow):
    make, X = MODELS[name]
    model = make().fit(X, LABELS)
    logged = mlflow.sklearn.log_model(
        model, name="model", skops_trusted_types=list(SKOPS_TRUSTED_TYPES), pip_requirements=["seqclf"]
    )
    flavor = mlflow.models.get_model_info(logged.model_uri).flavors["sklearn"]
    assert flavor["serialization_format"] == "skops"
    loaded = mlflow.sklearn.load_model(logged.model_uri)
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(mlflow.pyfunc.load_model(logged.model_uri).predict(X), model.predict(X))


def test_log_model_rejects_untrusted_types(mlflow):
    model = RNNClassifier(**SMALL).fit(SERIES, LABELS)
    with pytest.raises(mlflow.MlflowException, match=r"seqclf\._rnn_classifier\.RNNClassifier"):
        mlflow.sklearn.log_model(model, name="model", pip_requirements=["seqclf"])


CODE = """
import mlflow
from seqclf import load_predictor


class Saved(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.predictor = load_predictor(context.artifacts["file"])

    def predict(self, context, model_input, params=None):
        return self.predictor.predict_proba(model_input)


mlflow.models.set_model(Saved())
"""


@pytest.mark.parametrize("name", ["texts", "series"])
def test_pyfunc_model_of_a_model_file_needs_neither_pickle_nor_skops(name, mlflow, tmp_path):
    """A "model from code" in MLflow: the class is saved as source code, the network as a file of save_model."""
    make, X = MODELS[name]
    model = make().fit(X, LABELS)
    save_model(model, tmp_path / "model.zip")
    (tmp_path / "saved.py").write_text(CODE)
    logged = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(tmp_path / "saved.py"),
        artifacts={"file": str(tmp_path / "model.zip")},
        pip_requirements=["seqclf"],
    )
    files = {path.suffix for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}
    assert ".zip" in files and not files & {".pkl", ".skops"}
    loaded = mlflow.pyfunc.load_model(logged.model_uri)
    np.testing.assert_array_equal(loaded.predict(X), model.predict_proba(X))


def test_a_callback_logs_the_history_of_each_epoch(mlflow):
    """docs/callbacks.md has this callback, with a run of its own."""

    class Logger:
        def setup(self, estimator, context):
            mlflow.log_params(estimator.get_params(deep=False))

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name == "epoch":
                mlflow.log_metrics(fitted_estimator.history_[-1], step=fitted_estimator.n_iter_)

    model = RNNClassifier(**(SMALL | {"max_epochs": 3})).set_callbacks(Logger()).fit(SERIES, LABELS)
    run = mlflow.active_run().info.run_id
    logged = mlflow.MlflowClient().get_metric_history(run, "train_loss")
    assert [(metric.step, metric.value) for metric in logged] == [
        (epoch["epoch"], epoch["train_loss"]) for epoch in model.history_
    ]
    assert mlflow.get_run(run).data.params["units"] == "2"

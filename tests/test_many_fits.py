"""Searches on the workers of Dask and Ray: the results of one process, data sent once, small models."""

import os
import pickle
import sys
from importlib.util import find_spec

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate

from _fitted_models import LABELS, SERIES, TEXTS
from seqclf import RNNClassifier, RNNTagger, RNNTextClassifier, TextTokenizer, datasets

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: make test-ray")

SMALL = {"units": 2, "max_epochs": 1, "random_state": 0}
GRID = {"cell": ["lstm", "gru"], "units": [2, 3]}
X, Y = datasets.make_order_reviews(80, random_state=0, return_X_y=True)
N_TASKS = 8


def count_threads(model, X, y):
    """A scorer that also returns the number of threads in the worker."""
    import torch

    from seqclf._native.threads import n_threads

    return {"loss": -np.log(model.predict_proba(X)).mean(), "ours": n_threads(), "torch": torch.get_num_threads()}


def search(**settings):
    model = RNNTextClassifier(**SMALL)
    settings = {"scoring": count_threads, "refit": "loss", "error_score": "raise", **settings}
    return GridSearchCV(model, GRID, cv=2, **settings).fit(X, Y)


@pytest.fixture(scope="module")
def alone():
    """The search in one process."""
    return search()


def assert_same_results(found, expected):
    for split in range(2):
        name = f"split{split}_test_loss"
        np.testing.assert_array_equal(found.cv_results_[name], expected.cv_results_[name])
    assert len(np.unique(expected.cv_results_["split0_test_loss"])) == 4
    assert found.best_params_ == expected.best_params_
    np.testing.assert_array_equal(found.decision_function(X), expected.decision_function(X))


def assert_one_thread(found):
    """Each of two workers has one of two processors, or more of more."""
    for split in range(2):
        for name in ("ours", "torch"):
            assert set(found.cv_results_[f"split{split}_test_{name}"]) == {1}


# --- Dask


@pytest.fixture(scope="module")
def cluster():
    """Two processes with one thread each."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


class CountedTexts(list):
    """A list that counts how often it is pickled. Like a plain list, and unlike an array, it has no weak references."""

    __slots__ = ()
    n_pickles = 0

    def __reduce__(self):
        type(self).n_pickles += 1
        return list, (list(self),)


def test_search_on_dask_equals_one_process(cluster, alone):
    with joblib.parallel_config(backend="dask", scatter=[X, Y]):
        found = search()
    assert_same_results(found, alone)
    assert_one_thread(found)


def test_loky_equals_one_process(alone):
    assert_same_results(search(n_jobs=2), alone)


def test_scatter_sends_texts_once(cluster):
    """Without it Dask pickles a list for every task: only arrays and frames are sent once by themselves."""
    texts, settings = CountedTexts(X), {"cv": 2, "scoring": "accuracy", "refit": False, "error_score": "raise"}
    model = GridSearchCV(RNNTextClassifier(**SMALL), GRID, **settings)
    for scatter in ({"scatter": [texts, Y]}, {}):
        CountedTexts.n_pickles = 0
        with joblib.parallel_config(backend="dask", **scatter):
            model.fit(texts, Y)
        assert CountedTexts.n_pickles == 1 if scatter else CountedTexts.n_pickles >= N_TASKS


def test_models_in_the_results_do_not_contain_the_data(cluster):
    """The size of a model depends on the vocabulary, not on the number of rows."""
    sizes = []
    for copies in (1, 10):
        texts, labels = X * copies, np.tile(Y, copies)
        with joblib.parallel_config(backend="dask", scatter=[texts, labels]):
            results = cross_validate(RNNTextClassifier(**SMALL), texts, labels, cv=2, return_estimator=True)
        sizes.append([len(pickle.dumps(model)) for model in results["estimator"]])
        assert max(sizes[-1]) < 100_000
    np.testing.assert_allclose(sizes[1], sizes[0], rtol=0.3)


MODELS = {
    "texts": (RNNTextClassifier(TextTokenizer(max_length=9), **SMALL), TEXTS, LABELS),
    "series": (RNNClassifier(**SMALL), SERIES, LABELS),
    "tags": (RNNTagger(**SMALL), [text.split() for text in TEXTS], [text.split() for text in TEXTS]),
}


@pytest.mark.parametrize("name", MODELS)
def test_estimators_pass_through_the_serializer_of_dask(name):
    """Unfitted, fitted, and fitted after a prediction, which caches the network without torch."""
    protocol = pytest.importorskip("distributed.protocol")
    model, X, y = MODELS[name]
    unfitted = protocol.deserialize(*protocol.serialize(model))
    assert unfitted.get_params().keys() == model.get_params().keys()
    assert repr(unfitted) == repr(model)
    fitted = clone(model).fit(X, y)
    before = protocol.deserialize(*protocol.serialize(fitted))
    expected = np.concatenate(fitted.predict_proba(X))
    for found in (before, protocol.deserialize(*protocol.serialize(fitted))):
        np.testing.assert_array_equal(np.concatenate(found.predict_proba(X)), expected)
        again = clone(found).fit(X, y)
        np.testing.assert_array_equal(np.concatenate(again.predict_proba(X)), expected)


# --- Ray


@pytest.fixture(scope="module")
def ray_cluster():
    """Two workers of Ray on this machine, which can import the test modules."""
    import ray
    from ray.util.joblib import register_ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        register_ray()
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
        yield
        ray.shutdown()


@needs_ray
@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_search_on_ray_equals_one_process(ray_cluster, alone):
    with joblib.parallel_config(backend="ray"):
        found = search(n_jobs=2)
    assert_same_results(found, alone)
    assert_one_thread(found)

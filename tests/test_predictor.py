"""Predictor: the same predictions as the saved estimator, with numpy and safetensors only."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from _factories import assert_same_predictions
from _fitted_models import METHODS, MODELS, fitted
from seqclf import load_predictor, save_model

HEAVY = "torch skorch sklearn scipy joblib narwhals threadpoolctl pandas polars tqdm filelock tokenizers".split()
QUICK = ("texts, three classes, gru", "matrix with holes", "bio tags", "texts, values")


def run_without(modules, code, **variables):
    """Run code in a process in which these modules can't be imported."""
    head = f"import sys\nfor name in {modules!r}: sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", head + code], env=os.environ | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODELS)
def test_predictor_returns_the_same_as_the_estimator(name, tmp_path):
    model, X = fitted(name)
    save_model(model, tmp_path / "model")
    predictor = load_predictor(tmp_path / "model")
    for method in METHODS:
        assert hasattr(predictor, method) == hasattr(model, method)
        if hasattr(model, method):
            assert_same_predictions(getattr(predictor, method)(X), getattr(model, method)(X))
    assert hasattr(predictor, "classes_") == hasattr(model, "classes_")
    if hasattr(model, "classes_"):
        assert_same_predictions(predictor.classes_, model.classes_)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_predictor_needs_only_numpy_and_safetensors(name, tmp_path):
    model, X = fitted(name)
    save_model(model, tmp_path / "model.zip")
    expected = [(method, getattr(model, method)(X)) for method in METHODS if hasattr(model, method)]
    (tmp_path / "X.pickle").write_bytes(pickle.dumps((X, expected)))
    run_without(
        HEAVY,
        f"""
import pickle, numpy as np
from seqclf import load_predictor
X, results = pickle.load(open({str(tmp_path / "X.pickle")!r}, "rb"))
predictor = load_predictor({str(tmp_path / "model.zip")!r})
for method, expected in results:
    found = getattr(predictor, method)(X)
    is_ragged = expected.dtype == object and expected.ndim == 1
    for found_row, expected_row in zip(found, expected) if is_ragged else [(found, expected)]:
        np.testing.assert_array_equal(found_row, expected_row)
""",
    )


@pytest.mark.parametrize(
    "name",
    [
        "texts, three classes, gru",
        "tags of tokens",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("matrix", "bio tags", "tokens")),
    ],
)
def test_predictor_without_the_compiled_library_differs_only_by_rounding(name, tmp_path):
    model, X = fitted(name)
    save_model(model, tmp_path / "model")
    (tmp_path / "X.pickle").write_bytes(pickle.dumps(X))
    for loader in ("load_predictor", "load_model"):
        code = f"""
import pickle, numpy as np
from seqclf import {loader} as load
model = load({str(tmp_path / "model")!r})
found = model.predict_proba(pickle.load(open({str(tmp_path / "X.pickle")!r}, "rb")))
np.save({str(tmp_path / loader)!r}, np.concatenate(list(found)) if found.dtype == object else found)
"""
        run_without([], code, SEQCLF_KERNELS="reference")
    of_predictor, of_estimator = (np.load(tmp_path / f"{loader}.npy") for loader in ("load_predictor", "load_model"))
    np.testing.assert_allclose(of_predictor, of_estimator, rtol=0, atol=1e-12)
    expected = model.predict_proba(X)
    expected = np.concatenate(list(expected)) if expected.dtype == object else expected
    np.testing.assert_allclose(of_predictor, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_predictor_has_repr_dir_and_can_be_pickled(name, tmp_path):
    model, X = fitted(name)
    save_model(model, tmp_path / "model")
    predictor = load_predictor(tmp_path / "model")
    predictor.predict(X)
    assert repr(predictor).startswith("<Predictor of ")
    assert [method in dir(predictor) for method in METHODS] == [hasattr(model, method) for method in METHODS]
    assert_same_predictions(pickle.loads(pickle.dumps(predictor)).predict(X), model.predict(X))


def test_predictor_names_an_unavailable_method(tmp_path):
    save_model(fitted("texts, values")[0], tmp_path / "model")
    with pytest.raises(AttributeError, match=r"A predictor of .* has no predict_proba\."):
        load_predictor(tmp_path / "model").predict_proba(["good film"])

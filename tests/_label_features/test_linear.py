"""Linear functions of dense features: both implementations against the matrix product of numpy."""

import numpy as np
import pytest

from seqclf._label_features import linear as module
from seqclf._label_features.linear import linear, linear_compiled, linear_plain
from seqclf._native import library

needs_library = pytest.mark.skipif(not library.available()[0], reason=library.available()[1])


def random_call(n_rows=20, n_features=301, n_outputs=4):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in ((n_rows, n_features), (n_features, n_outputs), 4)]


@pytest.mark.parametrize("implementation", [pytest.param(linear_compiled, marks=needs_library), linear_plain])
def test_linear_equals_numpy_and_does_not_depend_on_the_batch(implementation):
    features, coef, intercept = random_call()
    outputs = implementation(features, coef, intercept)
    np.testing.assert_allclose(outputs, features.astype(float) @ coef + intercept, atol=1e-12)
    for row in range(len(features)):
        np.testing.assert_array_equal(implementation(features[row : row + 1], coef, intercept)[0], outputs[row])
    np.testing.assert_array_equal(implementation(np.asfortranarray(features), coef, intercept), outputs)


@needs_library
def test_linear_chooses_the_implementation(monkeypatch):
    called = []
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    monkeypatch.setattr(module, "linear_compiled", lambda *args: called.append("compiled"))
    monkeypatch.setattr(module, "linear_plain", lambda *args: called.append("plain"))
    linear(*random_call())
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    linear(*random_call())
    assert called == ["compiled", "plain"]

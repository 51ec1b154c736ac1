"""Linear functions of sparse features: both implementations equal the product of scipy to the bit."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from seqclf._label_features import sparse_linear as module
from seqclf._label_features.sparse_linear import sparse_linear, sparse_linear_compiled, sparse_linear_plain
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._native import library
from seqclf._native.threads import kernel_threads

needs_library = pytest.mark.skipif(not library.available()[0], reason=library.available()[1])
IMPLEMENTATIONS = [pytest.param(sparse_linear_compiled, marks=needs_library), sparse_linear_plain]


def draw(n_outputs, n_rows=80, n_features=301, seed=0):
    """Features, weights and intercepts; some rows are empty."""
    rng = np.random.default_rng(seed)
    is_filled = (rng.random((n_rows, n_features)) < 0.3) & (rng.random(n_rows) < 0.9)[:, None]
    features = SparseRows.from_dense(np.where(is_filled, rng.standard_normal((n_rows, n_features)), 0))
    assert not features.lengths.all()
    coef, intercept = rng.standard_normal((n_features, n_outputs)), rng.standard_normal(n_outputs)
    return features, coef.astype(np.float32), intercept.astype(np.float32)


@pytest.mark.parametrize("n_outputs", [1, 2, 9, 40])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_sparse_linear_equals_scipy_and_does_not_depend_on_the_batch(implementation, n_outputs):
    features, coef, intercept = draw(n_outputs)
    found = implementation(features, coef, intercept)
    product = csr_array((features.values, features.columns, features.offsets), shape=features.shape) @ coef
    np.testing.assert_array_equal(found, product + intercept, strict=True)
    dense = features.toarray().astype(float) @ coef + intercept
    np.testing.assert_allclose(found, dense, atol=1e-4)
    for row in range(len(features)):
        np.testing.assert_array_equal(implementation(features[[row]], coef, intercept)[0], found[row])
    np.testing.assert_array_equal(implementation(features, np.asfortranarray(coef), intercept), found)


@needs_library
def test_sparse_linear_does_not_depend_on_the_number_of_threads():
    call = draw(3, n_rows=300)
    one = sparse_linear_compiled(*call)
    with kernel_threads(5):
        np.testing.assert_array_equal(sparse_linear_compiled(*call), one)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_sparse_linear_without_rows_or_features(implementation):
    features, coef, intercept = draw(2)
    assert implementation(features[np.empty(0, dtype=np.int64)], coef, intercept).shape == (0, 2)
    no_features = SparseRows.from_dense(np.empty((3, 0)))
    np.testing.assert_array_equal(
        implementation(no_features, np.empty((0, 2), dtype=np.float32), intercept), [intercept] * 3
    )


def test_sparse_linear_rejects_mismatched_shapes():
    features, coef, intercept = draw(2)
    with pytest.raises(ValueError, match=r"301 features for coefficients of shape \(300, 2\)"):
        sparse_linear(features, coef[1:], intercept)
    with pytest.raises(ValueError, match="301 features"):
        sparse_linear(features, coef, intercept[1:])


@needs_library
def test_sparse_linear_chooses_the_implementation(monkeypatch):
    called = []
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    monkeypatch.setattr(module, "sparse_linear_compiled", lambda *args: called.append("compiled"))
    monkeypatch.setattr(module, "sparse_linear_plain", lambda *args: called.append("plain"))
    sparse_linear(*draw(1))
    monkeypatch.setenv("SEQCLF_KERNELS", "reference")
    sparse_linear(*draw(1))
    assert called == ["compiled", "plain"]

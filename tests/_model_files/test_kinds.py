"""Dtypes that are stored as other dtypes are restored."""

import numpy as np
import pytest

from seqclf._model_files.kinds import from_stored, scalar_dtype, to_stored, view_name


@pytest.mark.parametrize(
    ("dtype", "name", "stored"),
    [
        ("complex64", "complex64", "float32"),
        ("complex128", "complex128", "float64"),
        ("M8[ns]", "M8[ns]", "int64"),
        ("m8[25s]", "m8[25s]", "int64"),
        ("S3", "S3", "uint8"),
    ],
)
def test_from_stored_inverts_to_stored(dtype, name, stored):
    array = np.zeros((2, 0, 3), dtype)
    assert view_name(array.dtype) == name
    view = to_stored(array, name)
    restored = from_stored(view, name)
    assert view.dtype == stored and restored.dtype == dtype and restored.shape == (2, 0, 3)
    assert from_stored(to_stored(np.zeros((), dtype), name), name).shape == ()


@pytest.mark.parametrize("dtype", ["float32", "O", "M8", "m8", "U3", "V4", "i4,f4", "bool"])
def test_view_name_is_none_for_unsupported_dtypes(dtype):
    assert view_name(np.dtype(dtype)) is None


@pytest.mark.parametrize("name", ["O", "object", "V8", "S3", "U3", "float128", "", None, ["float32"], "M8[ns] "])
def test_scalar_dtype_rejects_unsupported_names(name):
    with pytest.raises(ValueError, match="unknown dtype"):
        scalar_dtype(name)

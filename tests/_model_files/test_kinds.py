"""Dtypes that are stored as others come back as themselves."""

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
def test_views(dtype, name, stored):
    array = np.zeros((2, 0, 3), dtype)
    assert view_name(array.dtype) == name
    view = to_stored(array, name)
    assert (
        view.dtype == stored and from_stored(view, name).dtype == dtype and from_stored(view, name).shape == (2, 0, 3)
    )
    assert from_stored(to_stored(np.zeros((), dtype), name), name).shape == ()


@pytest.mark.parametrize("dtype", ["float32", "O", "M8", "m8", "U3", "V4", "i4,f4", "bool"])
def test_others_have_no_view(dtype):
    assert view_name(np.dtype(dtype)) is None


@pytest.mark.parametrize("name", ["O", "object", "V8", "S3", "U3", "float128", "", None, ["float32"], "M8[ns] "])
def test_scalars_of_other_dtypes_are_refused(name):
    with pytest.raises(ValueError, match="unknown dtype"):
        scalar_dtype(name)

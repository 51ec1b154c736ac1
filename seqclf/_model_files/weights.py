"""Arrays as the bytes of a safetensors file, and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._model_file_error import ModelFileError
from seqclf._model_files.limits import MAX_WEIGHTS_BYTES

# By their names in safetensors. Its other dtypes (bfloat16, float8) have no counterpart in numpy.
_DTYPES = {
    name: np.dtype(dtype)
    for name, dtype in {
        "BOOL": "?",
        "I8": "i1",
        "I16": "<i2",
        "I32": "<i4",
        "I64": "<i8",
        "U8": "u1",
        "U16": "<u2",
        "U32": "<u4",
        "U64": "<u8",
        "F16": "<f2",
        "F32": "<f4",
        "F64": "<f8",
    }.items()
}


def dump(arrays: dict[str, NDArray[Any]]) -> bytes:
    """A safetensors file of contiguous arrays. Equal arrays give equal bytes, whatever their order."""
    from safetensors.numpy import save  # only where files are written or read: estimators are imported without it

    n_bytes = sum(array.nbytes for array in arrays.values())
    if n_bytes > MAX_WEIGHTS_BYTES:
        raise ValueError(f"arrays of {n_bytes:,} bytes; the limit is {MAX_WEIGHTS_BYTES:,}")
    # Bytes of a bool other than 0 and 1 would be refused by `load`.
    bools = {name: np.asarray(array != 0) for name, array in arrays.items() if array.dtype == np.bool_}
    return save({**arrays, **bools})


def load(data: bytes, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, in native byte order and writable.

    The library checks the header: lengths of arrays that don't match their shapes, that overlap, or that don't make up
    the whole file are errors. It gives each array memory of its own, which is aligned, unlike views of the file
    would be; so for a moment there are two copies. (Of 20 MB it takes 7 ms, and the checksum 17 ms.)
    """
    from safetensors import SafetensorError, deserialize

    try:
        found = deserialize(data)
    except SafetensorError as error:
        raise ModelFileError(f"{where} is no valid safetensors file: {str(error)[:300]}") from None
    arrays: dict[str, NDArray[Any]] = {}
    for name, tensor in found:
        dtype = _DTYPES.get(tensor["dtype"])
        if dtype is None:
            raise ModelFileError(f"{where}: {name[:80]!r} has the unknown dtype {str(tensor['dtype'])[:40]}")
        try:
            arrays[name] = _array(tensor["data"], dtype, tensor["shape"])
        except (ValueError, OverflowError) as error:
            raise ModelFileError(f"{where}: {name[:80]!r}: {str(error)[:200]}") from None
    return arrays


def _array(data: bytearray, dtype: np.dtype, shape: list[int]) -> NDArray[Any]:
    if not data:
        return np.empty(shape, dtype.newbyteorder("="))
    if dtype.kind == "b" and np.frombuffer(data, np.uint8).max() > 1:
        raise ValueError("booleans other than 0 and 1")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)

"""Converts arrays to the bytes of a safetensors file and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqclf._model_file_error import ModelFileError
from seqclf._model_files.limits import MAX_WEIGHTS_BYTES

# By name in safetensors. Its other dtypes (bfloat16, float8) have no counterpart in numpy.
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
    """A safetensors file of contiguous arrays. Equal arrays give equal bytes, regardless of their order."""
    from safetensors.numpy import save  # not needed to import the estimators

    n_bytes = sum(array.nbytes for array in arrays.values())
    if n_bytes > MAX_WEIGHTS_BYTES:
        raise ValueError(f"The arrays of the model have {n_bytes:,} bytes; the limit is {MAX_WEIGHTS_BYTES:,}.")
    # `load` rejects booleans whose byte is neither 0 nor 1.
    bools = {name: np.asarray(array != 0) for name, array in arrays.items() if array.dtype == np.bool_}
    return save({**arrays, **bools})


def load(data: bytes, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, in native byte order and writable.

    The safetensors library checks the header: it is an error if the length of an array doesn't match its shape, if
    arrays overlap, or if they don't fill the whole file. The library allocates separate, aligned memory for each array;
    views of the file would not be aligned. There are two copies for a moment. (20 MB take 7 ms, their checksum 17 ms.)
    """
    from safetensors import SafetensorError, deserialize

    try:
        tensors = deserialize(data)
    except SafetensorError as error:
        raise ModelFileError(f"{where} is not a valid safetensors file: {str(error)[:300]}.") from None
    arrays: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors:
        dtype = _DTYPES.get(tensor["dtype"])
        if dtype is None:
            raise ModelFileError(f"{where}: {name[:80]!r} has the unknown dtype {str(tensor['dtype'])[:40]}.")
        try:
            arrays[name] = _array(tensor["data"], dtype, tensor["shape"])
        except (ValueError, OverflowError) as error:
            raise ModelFileError(f"{where}: {name[:80]!r}: {str(error)[:200]}.") from None
    return arrays


def _array(data: bytearray, dtype: np.dtype, shape: list[int]) -> NDArray[Any]:
    if not data:
        return np.empty(shape, dtype.newbyteorder("="))
    if dtype.kind == "b" and np.frombuffer(data, np.uint8).max() > 1:
        raise ValueError("booleans other than 0 and 1")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)

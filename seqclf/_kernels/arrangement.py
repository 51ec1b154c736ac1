"""Steps of the data into the order of a batch, on our own CPU kernels: read where they lie, copied once."""

import ctypes

import numpy as np
import torch
from torch import Tensor

from seqclf._kernels import cpu
from seqclf._kernels.inputs import LookUp
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.structures import Arrangement, Table
from seqclf._kernels.structures import LookUp as Call
from seqclf._kernels.threads import n_threads

# To look an entry up takes the time of so many multiplications.
_PER_ENTRY = 200


def arrange(values: Tensor, layout: StepLayout) -> Tensor:
    """Steps in the order of `layout`; see :func:`seqclf._kernels.arrange`. It has no gradients."""
    if values.ndim > 1 and not values[:1].is_contiguous():
        values = values.contiguous()
    widened = values.dtype == torch.int32 and values.ndim == 1
    arranged = values.new_empty((layout.n_steps, *values.shape[1:]), dtype=torch.int64 if widened else None)
    n_bytes = values.element_size()
    call = Arrangement(
        layout.structure,
        cpu._address(torch.from_numpy(layout.offsets)),
        widened,
        values.shape[1:].numel() * n_bytes,
        values.stride(0) * n_bytes,
        *map(cpu._address, (values, arranged)),
    )
    cpu._loaded().seqclf_arrange(ctypes.byref(call))
    return arranged


def look_up(asked: LookUp, layout: StepLayout) -> Tensor:
    """What stands beside each step, shape (n_steps, n_channels); see :func:`seqclf._kernels.arrange`."""
    tables = [table.to(torch.float32).contiguous() for table in asked.tables]
    entries = asked.entries.to(torch.int32)
    if entries.stride(1) != 1:
        entries = entries.contiguous()
    versions = np.ascontiguousarray(layout.of_rows(asked.versions), dtype=np.int64)
    if len(versions) != layout.n_rows or len(tables) > entries.shape[1]:
        raise ValueError(
            f"There are {len(versions)} versions for {layout.n_rows} rows, "
            f"and {len(tables)} tables for entries of shape {tuple(entries.shape)}."
        )
    found = torch.empty(layout.n_steps, asked.n_channels)
    places = (Table * len(tables))(*(Table(*table.shape, cpu._address(table)) for table in tables))
    call = Call(
        layout.structure,
        *(cpu._address(torch.from_numpy(array)) for array in (layout.offsets, versions)),
        len(tables),
        ctypes.addressof(places),
        cpu._address(entries),
        entries.stride(0),
        cpu._address(found),
        cpu._share(n_threads(), layout, _PER_ENTRY * len(tables)),
    )
    if not cpu._loaded().seqclf_look_up(ctypes.byref(call)):
        raise asked.error()
    return found

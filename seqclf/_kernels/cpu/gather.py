"""The steps of a batch, gathered from the data on our own CPU kernels, and what tables hold for each of them."""

import ctypes

import numpy as np
import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address, loaded, thread_count
from seqclf._kernels.inputs import LookUp
from seqclf._kernels.layout import StepLayout
from seqclf._kernels.threads import n_threads
from seqclf._native import abi

# What it takes to look an entry up, in multiplications: 3 to 7 ns, as long as 200 to 400 with AVX2, by how much of the
# tables is in the caches.
_LOOKUP_COST = 200


def arrange(values: Tensor, layout: StepLayout) -> Tensor:
    """Steps in the order of `layout`; see :func:`seqclf._kernels.arrange`. It has no gradients."""
    if values.ndim > 1 and not values[:1].is_contiguous():
        values = values.contiguous()
    widened = values.dtype == torch.int32 and values.ndim == 1
    gathered = values.new_empty((layout.n_steps, *values.shape[1:]), dtype=torch.int64 if widened else None)
    n_bytes = values.element_size()
    call = abi.Gather(
        layout.as_c_struct,
        address(torch.from_numpy(layout.data_offsets)),
        widened,
        values.shape[1:].numel() * n_bytes,
        values.stride(0) * n_bytes,
        *map(address, (values, gathered)),
    )
    loaded().seqclf_gather(ctypes.byref(call))
    return gathered


def look_up(asked: LookUp, layout: StepLayout) -> Tensor:
    """What the tables hold for each step, shape (n_steps, n_channels); see :func:`seqclf._kernels.arrange`."""
    tables = [table.to(torch.float32).contiguous() for table in asked.tables]
    entries = asked.entries.to(torch.int32)
    if entries.stride(1) != 1:
        entries = entries.contiguous()
    versions = np.ascontiguousarray(layout.sort_rows(asked.versions), dtype=np.int64)
    if len(versions) != layout.n_rows or len(tables) > entries.shape[1]:
        raise ValueError(
            f"There are {len(versions)} versions for {layout.n_rows} rows, "
            f"and {len(tables)} tables for entries of shape {tuple(entries.shape)}."
        )
    found = torch.empty(layout.n_steps, asked.n_channels, dtype=torch.float32)
    structures = (abi.Table * len(tables))(*(abi.Table(*table.shape, address(table)) for table in tables))
    call = abi.TableLookUp(
        layout.as_c_struct,
        *(address(torch.from_numpy(array)) for array in (layout.data_offsets, versions)),
        len(tables),
        ctypes.addressof(structures),
        address(entries),
        entries.stride(0),
        address(found),
        thread_count(n_threads(), layout.n_steps * _LOOKUP_COST * len(tables)),
    )
    if not loaded().seqclf_look_up(ctypes.byref(call)):
        raise asked.error()
    return found

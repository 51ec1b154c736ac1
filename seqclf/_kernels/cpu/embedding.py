"""The ids that a batch reads, and the gradient of the table of their vectors, on our own CPU kernels."""

import ctypes

import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address
from seqclf._kernels.layout import StepLayout
from seqclf._native import abi
from seqclf._native.call import VALUE_COST, loaded, thread_count


def unique_ids(ids: Tensor, n_ids: int) -> tuple[Tensor, Tensor]:
    """The distinct ids, rising, shape (1, n), and the index of each possible id among them, shape (n_ids,)."""
    occurring = ids.new_empty(1, min(len(ids), n_ids) + 1)
    inverse = torch.empty(n_ids, dtype=torch.int32)
    call = abi.UniqueIds(len(ids), n_ids, *map(address, (ids, occurring, inverse)))
    n = loaded().seqclf_unique_ids(ctypes.byref(call))
    if n < 0:
        check_ids(ids, n_ids)
    return occurring[:, :n], inverse


def check_ids(ids: Tensor, n_ids: int) -> None:
    """Refuse ids that are not in 0 .. n_ids - 1."""
    if not len(ids):
        return
    lowest, highest = map(int, torch.aminmax(ids))
    if not 0 <= lowest <= highest < n_ids:
        raise IndexError(f"The ids run from {lowest} to {highest}; expected 0 to {n_ids - 1}.")


def embedding_gradient(
    layout: StepLayout,
    ids: Tensor,
    table: Tensor,
    mask: Tensor | None,
    unique: tuple[Tensor, Tensor] | None,
    grad_vectors: Tensor,
    n_threads: int,
) -> Tensor:
    """The gradient of a table, from the gradients of the vectors of all steps.

    With `unique`, what :func:`unique_ids` gave, it is a sparse tensor of the rows that occur, else a dense one.
    """
    n_ids, dim = table.shape
    occurring, inverse = (None, None) if unique is None else unique
    gradient = grad_vectors.new_empty(n_ids if occurring is None else occurring.shape[1], dim)
    call = abi.EmbeddingBackward(
        layout.as_c_struct,
        dim,
        len(gradient),
        *map(address, (ids, mask, grad_vectors, inverse, gradient)),
        thread_count(n_threads, layout.n_steps * VALUE_COST * dim),
    )
    loaded().seqclf_embed_backward(ctypes.byref(call))
    if occurring is None:
        return gradient
    return torch.sparse_coo_tensor(occurring, gradient, table.shape, is_coalesced=True, check_invariants=False)

"""The unique ids of a batch and the gradient of an embedding, on the compiled CPU kernels."""

import ctypes

import torch
from torch import Tensor

from seqclf._kernels.cpu.call import address
from seqclf._kernels.layout import StepLayout
from seqclf._native import abi
from seqclf._native.call import VALUE_COST, loaded, thread_count


def unique_ids(ids: Tensor, n_ids: int) -> tuple[Tensor, Tensor]:
    """The unique ids in ascending order, shape (1, n), and the index of each possible id in them, shape (n_ids,)."""
    occurring = ids.new_empty(1, min(len(ids), n_ids) + 1)
    inverse = torch.empty(n_ids, dtype=torch.int32)
    call = abi.UniqueIds(len(ids), n_ids, *map(address, (ids, occurring, inverse)))
    n = loaded().seqclf_unique_ids(ctypes.byref(call))
    if n < 0:
        check_ids(ids, n_ids)
    return occurring[:, :n], inverse


def check_ids(ids: Tensor, n_ids: int) -> None:
    """Raise IndexError unless all ids are in 0 .. n_ids - 1."""
    if not len(ids):
        return
    lowest, highest = map(int, torch.aminmax(ids))
    if not 0 <= lowest <= highest < n_ids:
        raise IndexError(f"The ids run from {lowest} to {highest}; expected 0 to {n_ids - 1}.")


def embedding_gradient(
    layout: StepLayout,
    ids: Tensor,
    embedding: Tensor,
    mask: Tensor | None,
    unique: tuple[Tensor, Tensor] | None,
    grad_vectors: Tensor,
    n_threads: int,
) -> Tensor:
    """The gradient of an embedding, from the gradients of the vectors of all steps.

    It is dense without `unique`. With `unique`, the result of :func:`unique_ids`, it is sparse and has the vectors of
    the ids that occur.
    """
    n_ids, dim = embedding.shape
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
    return torch.sparse_coo_tensor(occurring, gradient, embedding.shape, is_coalesced=True, check_invariants=False)

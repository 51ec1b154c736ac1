"""`GradientSum`: the sum of the gradients of several processes."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Collectives(Protocol):
    """The operations that a sum of gradients needs."""

    def all_reduce(self, values: Tensor) -> Tensor:
        """The sum of the tensors of all processes."""

    def all_gather(self, values: Tensor) -> Tensor:
        """The tensors of all processes along a new first dimension."""


class GradientSum:
    """Sums gradients in one message, because the latency of a message is longer than its transfer.

    Dense gradients alone are summed by an all-reduce. If the embedding has a sparse gradient (on the CPU only), the
    message has the dense gradients, and the rows of the sparse one with their indices; each process adds up the
    messages of all. Its size is fixed. If a process has more rows than fit, all of them send a larger message, and
    continue with that size.

    Parameters
    ----------
    collectives : Collectives
        The operations.
    """

    def __init__(self, collectives: Collectives):
        self._collectives = collectives
        self._capacity = 0

    def __call__(self, parameters: Sequence[Tensor], sparse: Tensor | None) -> None:
        """Replace the gradient of each parameter by its sum, with the same bits in all processes.

        A parameter without a gradient in any process stays without one. `sparse` is the parameter with a sparse
        gradient.
        """
        dense = [parameter for parameter in parameters if parameter is not sparse]
        flat = _flatten(dense)
        if sparse is None:
            total = self._collectives.all_reduce(flat)
        else:
            total, sparse.grad = self._sum_with_rows(flat, sparse)
        _set_gradients(dense, total)

    def _sum_with_rows(self, dense: Tensor, parameter: Tensor) -> tuple[Tensor, Tensor | None]:
        """The sum of the dense vectors, and of the sparse gradients."""
        n_rows, dim = parameter.shape
        indices, rows = torch.empty(0, dtype=torch.int32), parameter.new_empty(0, dim)
        if (gradient := parameter.grad) is not None:
            indices, rows = gradient._indices()[0].to(torch.int32), gradient._values()
        while True:
            gathered = self._collectives.all_gather(self._message(dense, indices, rows))
            counts = gathered.view(torch.int32)[:, 0].tolist()
            if max(counts) <= self._capacity:
                break
            self._capacity = max(counts) + max(counts) // 4
        first, ends = 1 + len(dense), 1 + len(dense) + self._capacity
        total = gathered[:, 1:first].sum(dim=0)
        if not any(counts):
            return total, None
        all_indices = [one.view(torch.int32)[first : first + n] for one, n in zip(gathered, counts, strict=True)]
        all_rows = [one[ends : ends + n * dim] for one, n in zip(gathered, counts, strict=True)]
        return total, torch.sparse_coo_tensor(
            torch.cat(all_indices).to(torch.int64)[None],
            torch.cat(all_rows).view(-1, dim),
            (n_rows, dim),
            check_invariants=False,
        ).coalesce()

    def _message(self, dense: Tensor, indices: Tensor, rows: Tensor) -> Tensor:
        """The number of rows, the dense vector, the indices, and the rows, as floats; if they don't fit, no rows."""
        first, ends = 1 + len(dense), 1 + len(dense) + self._capacity
        message = rows.new_empty(ends + self._capacity * rows.shape[1])
        integers = message.view(torch.int32)
        integers[0] = n = len(indices)
        message[1:first] = dense
        if n <= self._capacity:
            integers[first : first + n] = indices
            message[ends : ends + rows.numel()] = rows.view(-1)
        return message


def _flatten(parameters: Sequence[Tensor]) -> Tensor:
    """The gradients, with zeros for a parameter without one, and for each parameter whether it has one."""
    gradients = [parameter.grad for parameter in parameters]
    pairs = zip(parameters, gradients, strict=True)
    return torch.cat(
        [
            *(each.new_zeros(each.numel()) if gradient is None else gradient.reshape(-1) for each, gradient in pairs),
            parameters[0].new_tensor([gradient is not None for gradient in gradients]),
        ]
    )


def _set_gradients(parameters: Sequence[Tensor], total: Tensor) -> None:
    """The inverse of `_flatten`."""
    *sums, counts = total.split([*(parameter.numel() for parameter in parameters), len(parameters)])
    # Reading the counts would make a GPU wait. They are not needed if this process has all gradients.
    has_all = all(parameter.grad is not None for parameter in parameters)
    present = [True] * len(parameters) if has_all else (counts > 0).tolist()
    for parameter, gradient, is_present in zip(parameters, sums, present, strict=True):
        parameter.grad = gradient.view_as(parameter) if is_present else None

"""Pooling on the compiled CPU kernels: maximum, mean or attention-weighted mean over the steps of each row."""

import ctypes

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from seqclf._cells import Weights
from seqclf._kernels.cpu import recurrence
from seqclf._kernels.cpu.call import address
from seqclf._kernels.layout import StepLayout
from seqclf._native import abi
from seqclf._native.call import VALUE_COST, loaded, thread_count
from seqclf._native.threads import n_threads


def pool(kind: str, values: Tensor, layout: StepLayout) -> Tensor:
    """One vector per row, shape (n_rows, features); see :func:`seqclf._kernels.pool`."""
    if kind not in abi.POOLING_KINDS or kind == "attention":
        raise ValueError(f"There is no pooling of the kind {kind!r}.")
    return _Pool.apply(kind, values, layout, torch.is_grad_enabled() and values.requires_grad)


class _Pool(Function):
    """Pooling of every kind except attention."""

    @staticmethod
    def forward(ctx, kind, values, layout, training):
        if values.stride(1) != 1:
            values = values.contiguous()
        pooled = values.new_empty(layout.n_rows, values.shape[1])
        max_positions = None
        if kind == "max" and training:
            max_positions = torch.empty(pooled.shape, dtype=torch.int32)
        call = _pooling(abi.POOLING_KINDS[kind], values, layout, pooled, max_positions=max_positions)
        loaded().seqclf_pool(ctypes.byref(call))
        ctx.save_for_backward(max_positions)
        ctx.kind, ctx.layout, ctx.n_threads = kind, layout, n_threads()
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_pooled):
        (max_positions,) = ctx.saved_tensors
        layout, grad_pooled = ctx.layout, grad_pooled.contiguous()
        grad_values = grad_pooled.new_empty(layout.n_steps, grad_pooled.shape[1])
        call = abi.PoolingBackward(
            layout.as_c_struct,
            abi.POOLING_KINDS[ctx.kind],
            grad_pooled.shape[1],
            *map(address, (grad_pooled, max_positions, grad_values)),
            thread_count(ctx.n_threads, layout.n_steps * VALUE_COST * grad_pooled.shape[1]),
        )
        loaded().seqclf_pool_backward(ctypes.byref(call))
        return None, grad_values, None, None


def attend(values: Tensor, layout: StepLayout, weight: Tensor, bias: Tensor, query: Tensor) -> Tensor:
    """One vector per row, shape (n_rows, features); see :func:`seqclf._kernels.attend`."""
    # tanh(W h + b) is a simple RNN over sequences of one step.
    steps = StepLayout([1] * layout.n_steps)
    keys = recurrence.run("rnn", values, steps, Weights(weight, torch.zeros_like(weight), bias), "tanh", False)
    return _Attend.apply(values, keys, query, layout)


class _Attend(Function):
    """The mean over the steps of each row, weighted by the softmax of keys . query."""

    @staticmethod
    def forward(ctx, values, keys, query, layout):
        if values.stride(1) != 1:
            values = values.contiguous()
        keys, query = keys.contiguous(), query.contiguous()
        pooled = values.new_empty(layout.n_rows, values.shape[1])
        scales = values.new_empty(layout.n_rows, dtype=torch.float64)
        call = _pooling(abi.POOLING_KINDS["attention"], values, layout, pooled, keys=keys, query=query, scales=scales)
        loaded().seqclf_pool(ctypes.byref(call))
        ctx.save_for_backward(values, keys, query, pooled, scales)
        ctx.layout, ctx.n_threads = layout, n_threads()
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_pooled):
        values, keys, query, pooled, scales = ctx.saved_tensors
        layout, grad_pooled = ctx.layout, grad_pooled.contiguous()
        gradients = [keys.new_empty(tensor.shape) for tensor in (values, keys, query)]
        call = abi.AttentionBackward(
            layout.as_c_struct,
            values.shape[1],
            values.stride(0),
            *map(address, (values, keys, query, pooled, scales, grad_pooled, *gradients)),
            # Two products and three results per value: measured at a little over three times the time of a mean.
            thread_count(ctx.n_threads, 4 * layout.n_steps * VALUE_COST * values.shape[1]),
        )
        loaded().seqclf_attend_backward(ctypes.byref(call))
        return *gradients, None


def _pooling(kind: int, values: Tensor, layout: StepLayout, pooled: Tensor, **optional: Tensor | None) -> abi.Pooling:
    return abi.Pooling(
        layout.as_c_struct,
        kind,
        values.shape[1],
        values.stride(0),
        *map(address, (values, optional.get("keys"), optional.get("query"), pooled)),
        *map(address, (optional.get("max_positions"), optional.get("scales"))),
        thread_count(n_threads(), layout.n_steps * VALUE_COST * values.shape[1]),
    )

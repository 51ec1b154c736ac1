"""The operations on tensors: which kernel runs, and the errors that every kernel raises."""

import numpy as np
import pytest
import torch

from _sampling import sampled
from seqclf import _kernels
from seqclf._kernels import CELLS, FusedUpdate, Hyperparameters, LookUp, ParameterState, StepLayout, Weights, reference
from seqclf._kernels.cpu import convolution, gather, pooling
from seqclf._native import abi, library
from seqclf._native.threads import kernel_threads

compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
BOTH_KERNELS = pytest.mark.parametrize("kernel", [pytest.param("cpu", marks=compiled), "reference"])
N_STEPS, N_ENTRIES = 70, (5, 300, 31)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Recurrence


@pytest.mark.parametrize("kernel", [pytest.param("cpu", marks=compiled), "reference", "torch_native"])
@pytest.mark.parametrize("cell", [cell for cell in CELLS if "tanh" in CELLS[cell].torch_operations])
def test_bidirectional_concatenates_both_directions(cell, kernel):
    layout, units, rows = StepLayout([3, 0, 7, 2]), 5, 5 * CELLS[cell].n_gates
    shapes = [(rows, 4), (rows, units), (rows,), *([(rows,)] if CELLS[cell].has_recurrent_bias else [])]
    weights = tuple(Weights(*(draw(*shape, seed=way) for shape in shapes)) for way in range(2))
    inputs = draw(layout.n_steps, 4)
    with _kernels.use(kernel):
        found = _kernels.bidirectional(cell, inputs, layout, weights)
        halves = [
            _kernels.recurrence(cell, inputs, layout, each, reverse=reverse)
            for each, reverse in zip(weights, (False, True), strict=True)
        ]
    torch.testing.assert_close(found, torch.cat(halves, dim=1))


# Gathering of steps


def make_ids():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 1000, N_STEPS).astype(np.int32))


def make_lookup(n_sequences):
    rng = np.random.default_rng(0)
    entries = np.stack([rng.integers(0, n, N_STEPS) for n in N_ENTRIES], axis=1).astype(np.int32)
    tables = tuple(draw(4, n, 1, seed=n) for n in N_ENTRIES)
    return LookUp(torch.from_numpy(entries), tables, rng.integers(0, 4, n_sequences))


@compiled
def test_gather_steps_uses_the_compiled_kernel_unless_a_gradient_is_required_or_another_is_forced(monkeypatch):
    layout = StepLayout([2, 3])
    values, lookup = torch.arange(5.0), make_lookup(2)
    lookup = lookup._replace(entries=lookup.entries[:5])
    ran = []
    for name, kernel in (("cpu", gather), ("reference", reference)):
        for function in ("gather_steps", "look_up"):
            monkeypatch.setattr(kernel, function, lambda *args, name=name: ran.append(name) or values)
    _kernels.gather_steps(values, layout)
    _kernels.gather_steps(lookup, layout)
    _kernels.gather_steps(values.clone().requires_grad_(), layout)
    with _kernels.use("reference"):
        _kernels.gather_steps(values, layout)
        _kernels.gather_steps(lookup, layout)
    assert ran == ["cpu", "cpu", "reference", "reference", "reference"]


@pytest.mark.parametrize("n", [0, 4, 6])
@BOTH_KERNELS
def test_gather_steps_raises_for_data_of_another_length(kernel, n):
    with _kernels.use(kernel), pytest.raises(ValueError, match=f"There are {n} steps .* lengths add up to 5"):
        _kernels.gather_steps(torch.zeros(n), StepLayout([2, 3]))
    lookup = make_lookup(2)
    lookup = lookup._replace(entries=lookup.entries[:n])
    with _kernels.use(kernel), pytest.raises(ValueError, match=f"There are {n} steps .* lengths add up to 5"):
        _kernels.gather_steps(lookup, StepLayout([2, 3]))


@pytest.mark.parametrize(("starts", "reach"), [([-1, 3], "-1 to 6"), ([0, N_STEPS - 2], f"0 to {N_STEPS + 1}")])
@BOTH_KERNELS
def test_gather_steps_raises_for_sequences_beyond_the_data(kernel, starts, reach):
    layout = StepLayout([2, 3], starts=starts)
    for values in (make_ids(), make_lookup(2)):
        with _kernels.use(kernel), pytest.raises(ValueError, match=f"There are {N_STEPS} steps .* extend from {reach}"):
            _kernels.gather_steps(values, layout)


def test_gather_steps_ignores_the_start_of_an_empty_sequence():
    layout = StepLayout([2, 0], starts=[1, -7])
    assert _kernels.gather_steps(torch.arange(5.0), layout).tolist() == [1, 2]


@pytest.mark.usefixtures("_every_instruction_set")
@sampled(
    {
        "kernel": ["cpu", "reference"],
        "table, entry": [(0, -1), (1, N_ENTRIES[1]), (2, 2**31 - 1), (2, -(2**31))],
        "step": [0, 30, N_STEPS - 1],
        "n_threads": [1, 2],
    },
    n_quick=8,
)
def test_gather_steps_raises_for_an_entry_out_of_range(kernel, table, entry, step, n_threads, tune):
    tune(min_parallel_work=-1)
    lookup = make_lookup(2)
    lookup.entries[step, table] = entry
    layout = StepLayout([40, 30])
    with _kernels.use(kernel), kernel_threads(n_threads), pytest.raises(IndexError, match=f"entries from .*{entry}"):
        _kernels.gather_steps(lookup, layout)


@pytest.mark.parametrize("version", [-1, 4])
@BOTH_KERNELS
def test_gather_steps_raises_for_a_version_out_of_range(kernel, version):
    lookup = make_lookup(2)._replace(versions=np.array([0, version]))
    with _kernels.use(kernel), pytest.raises(IndexError, match="versions"):
        _kernels.gather_steps(lookup, StepLayout([40, 30]))
    fewer = make_lookup(2)._replace(versions=np.array([0, 3]))
    fewer = fewer._replace(tables=(*fewer.tables[:2], fewer.tables[2][:3].clone()))
    with _kernels.use(kernel), pytest.raises(IndexError, match="versions"):
        _kernels.gather_steps(fewer, StepLayout([40, 30]))


# Pooling


def make_values(seed=0):
    layout = _kernels.StepLayout([4, 1, 0, 7, 7, 3])
    values = torch.randn(layout.n_steps, 5, generator=torch.Generator().manual_seed(seed))
    return layout, values


@compiled
@pytest.mark.parametrize("kind", [kind for kind in abi.POOLING_KINDS if kind != "attention"])
@pytest.mark.parametrize("strided", [False, True])
def test_pool_is_equal_on_every_kernel(kind, strided):
    layout, values = make_values()
    if strided:  # like the outputs of the recurrent kernels, which have padded units
        values = torch.cat((values, torch.full((len(values), 3), torch.nan)), dim=1)[:, :5]
    results = []
    for kernel in ("cpu", "reference"):
        leaf = values.detach().requires_grad_()
        with _kernels.use(kernel):
            pooled = _kernels.pool(kind, leaf, layout)
        (gradient,) = torch.autograd.grad((pooled * torch.arange(1.0, 6)).sum(), leaf)
        results.append((pooled.detach(), gradient))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", abi.POOLING_KINDS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_pool_and_attend_keep_nan_and_infinity_in_their_row(kind, bad):
    layout, values = make_values()
    changed_row = 1
    values[layout.row_of_step == changed_row, 3] = bad
    weight, bias, query = torch.eye(5), torch.zeros(5), torch.ones(5)
    with torch.inference_mode():
        if kind == "attention":
            pooled = _kernels.attend(values, layout, weight, bias, query)
        else:
            pooled = _kernels.pool(kind, values, layout)
    finite = torch.isfinite(pooled)
    assert not finite[changed_row, 3]
    assert finite[[row for row in range(layout.n_rows) if row != changed_row]].all()


@compiled
@pytest.mark.parametrize("operation", ["pool", "attend"])
def test_pool_and_attend_use_the_compiled_kernel_for_float32(operation, monkeypatch):
    layout, values = make_values()
    arguments = {
        "pool": ("max", values, layout),
        "attend": (values, layout, torch.eye(5), torch.zeros(5), torch.ones(5)),
    }
    ran = []
    for name, module in (("cpu", pooling), ("reference", reference)):
        monkeypatch.setattr(module, operation, lambda *args, name=name: ran.append(name))
    run = getattr(_kernels, operation)
    run(*arguments[operation])
    run(*(each.double() if isinstance(each, torch.Tensor) else each for each in arguments[operation]))
    with _kernels.use("reference"):
        run(*arguments[operation])
    assert ran == ["cpu", "reference", "reference"]


# Convolution


@compiled
def test_convolve_relu_uses_the_compiled_kernel_without_gradients(monkeypatch):
    ran = []
    monkeypatch.setattr(convolution, "convolve_relu", lambda *args: ran.append("cpu"))
    monkeypatch.setattr(reference, "convolve_relu", lambda *args: ran.append("reference"))
    layout = StepLayout([4, 1, 0, 9])
    values, weight, bias = draw(layout.n_steps, 3), torch.zeros(4, 3, 3), torch.zeros(4)
    _kernels.convolve_relu(values, layout, weight, bias)
    with torch.inference_mode():
        _kernels.convolve_relu(values, layout, weight, bias)
        _kernels.convolve_relu(values.double(), layout, weight.double(), bias.double())
        with _kernels.use("torch_native"):
            _kernels.convolve_relu(values, layout, weight, bias)
    assert ran == ["reference", "cpu", "reference", "reference"]


# Optimiser updates, and gradients of embeddings


@compiled
def test_optimize_does_nothing_if_another_kernel_is_forced():
    parameter, gradient = torch.ones(5), torch.ones(5)
    update = FusedUpdate("sgd", [parameter], [ParameterState()], [False])
    hyperparameters = [Hyperparameters(0.1, 0.0, 0.0, 0.0, 0.0)]
    with _kernels.use("reference"):
        assert not _kernels.optimize(update, [gradient], hyperparameters)
    assert torch.equal(parameter, torch.ones(5))
    assert _kernels.optimize(update, [gradient], hyperparameters)
    assert torch.equal(parameter, torch.full((5,), 0.9))


@compiled
def test_prefers_sparse_gradient_for_large_embeddings_on_the_compiled_kernels(tune):
    tune(min_sparse_values=30)
    large, small = torch.zeros(31, 1), torch.zeros(30, 1)
    assert _kernels.prefers_sparse_gradient(large) and not _kernels.prefers_sparse_gradient(small)
    assert not _kernels.prefers_sparse_gradient(large.double())
    with _kernels.use("reference"):
        assert not _kernels.prefers_sparse_gradient(large)

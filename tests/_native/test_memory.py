"""Failed allocations inside the library: each raises MemoryError, and later calls give the right results."""

import numpy as np
import pytest
import torch

from seqclf._data.ragged import Ragged
from seqclf._kernels import CELLS, Inputs, StepLayout, Weights
from seqclf._kernels.cpu import pooling, recurrence
from seqclf._kernels.cpu.optimizer import FusedUpdate, ParameterState
from seqclf._kernels.cpu.update_rules import CODES, Hyperparameters
from seqclf._label_features.linear_models import fit_linear_models
from seqclf._label_features.random_convolutions import RandomConvolutions
from seqclf._label_features.sparse_rows import SparseRows
from seqclf._native import library
from seqclf._native.threads import kernel_threads

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

LAYOUT = StepLayout([5, 3, 4, 1])
N_IDS, DIM, UNITS = 7, 3, 9


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def draw_weights(cell, n_inputs):
    rows = CELLS[cell].n_gates * UNITS
    recurrent_bias = draw(rows).requires_grad_() if CELLS[cell].has_recurrent_bias else None
    shapes = [(rows, n_inputs), (rows, UNITS), (rows,)]
    return Weights(*(draw(*shape).mul(0.3).requires_grad_() for shape in shapes), recurrent_bias)


def gradients(outputs, *inputs):
    found = torch.autograd.grad(outputs.square().sum(), inputs)
    return [each.to_dense() if each.is_sparse else each for each in (outputs.detach(), *found)]


def recurrent_layer(cell, kind):
    ids, embedding = torch.arange(LAYOUT.n_steps) % N_IDS, draw(N_IDS, DIM).requires_grad_()
    inputs, n_inputs, leaves = {
        "values": (Inputs(draw(LAYOUT.n_steps, DIM)), DIM, []),
        "one-hot": (Inputs(None, ids), N_IDS, []),
        "embedding": (Inputs(None, ids, embedding, sparse=True), DIM, [embedding]),
    }[kind]

    def run():
        both = draw_weights(cell, n_inputs), draw_weights(cell, n_inputs)
        outputs = recurrence.run_both(cell, inputs, LAYOUT, both, "tanh")
        return gradients(outputs, *leaves, *(each for some in both for each in some if each is not None))

    return run


def pooled(kind):
    def run():
        values = draw(LAYOUT.n_steps, DIM).requires_grad_()
        return gradients(pooling.pool(kind, values, LAYOUT), values)

    return run


def attend():
    inputs = [draw(*shape).requires_grad_() for shape in ((LAYOUT.n_steps, DIM), (DIM, DIM), (DIM,), (DIM,))]
    values, weight, bias, query = inputs
    return gradients(pooling.attend(values, LAYOUT, weight, bias, query), *inputs)


def state_of(rule, parameter):
    has_mean, has_square = rule in ("nesterov", "adam", "adamw"), rule not in ("sgd", "nesterov")
    return ParameterState(
        torch.zeros_like(parameter) if has_mean else None,
        torch.zeros_like(parameter) if has_square else None,
        torch.zeros(()) if has_square else None,
    )


def optimizer(rule):
    """Three updates, with lazy rows if the rule supports them."""

    def run():
        parameter, plain = draw(50_000, 2), draw(30, 4)
        states = [state_of(rule, each) for each in (parameter, plain)]
        update = FusedUpdate(rule, [parameter, plain], states, [rule in ("rmsprop", "adam", "adamw"), False])
        hyperparameters = [Hyperparameters(0.1, 0.0, 0.9, 0.999, 1e-8)] * 2
        rows = torch.tensor([[1, 4, 9]])
        for k in range(3):
            values = draw(3, 2, seed=k)
            sparse = torch.sparse_coo_tensor(rows * (k + 1), values, parameter.shape, check_invariants=True).coalesce()
            update.begin_batch(parameter, torch.arange(5))
            update.run([sparse, draw(30, 4, seed=k)], hyperparameters, max_norm=1.0)
        update.flush()
        return [parameter, plain, *(each for state in states for each in state if each is not None)]

    return run


def linear_models():
    rng = np.random.default_rng(0)
    features = SparseRows.from_dense(rng.random((40, 12)) * (rng.random((40, 12)) < 0.4))
    targets = (np.arange(40) % 3 == np.arange(3)[:, None]).T.astype(np.float32)
    found = fit_linear_models(features, targets, np.ones(40), np.arange(40) % 4, 1.0, "squared_error")
    return [torch.from_numpy(each) for each in found]


def convolutions():
    series = Ragged.from_items([np.sin(np.arange(n) / 3)[:, None] for n in (30, 40, 50)])
    return [torch.from_numpy(RandomConvolutions(n_features=300, seed=0).fit_transform(series))]


CALLS = {
    **{
        f"{cell} of {kind}": recurrent_layer(cell, kind)
        for cell in CELLS
        for kind in ("values", "one-hot", "embedding")
    },
    "max": pooled("max"),
    "mean": pooled("mean"),
    "attention": attend,
    **{rule: optimizer(rule) for rule in CODES},
    "linear models": linear_models,
    "convolutions": convolutions,
}


@pytest.fixture
def fail_allocation():
    """A function that makes the nth allocation from now on fail; it returns the rest of the last countdown."""
    fail = library.load()[0].seqclf_fail_allocation
    yield fail
    fail(0)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("name", CALLS)
def test_failed_allocation_raises_and_later_calls_are_right(name, n_threads, tune, fail_allocation):
    tune(min_parallel_work=-1)
    with kernel_threads(n_threads):
        expected = CALLS[name]()
        failures = 0
        while True:
            fail_allocation(failures + 1)
            try:
                CALLS[name]()
                message = ""
            except MemoryError as error:
                message = str(error)
            countdown = fail_allocation(0)
            assert bool(message) == (countdown <= 0), "it failed too early, or continued after a failed allocation"
            if not message:
                break
            assert "The compiled kernels ran out of memory (seqclf_" in message
            failures += 1
            if failures % 10 == 1:
                assert same(CALLS[name](), expected)
        assert failures > 0
        assert same(CALLS[name](), expected)


def same(found, expected):
    return all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_failed_optimizer_update_changes_nothing(fail_allocation):
    """It changes neither the values nor the number of updates, so the update can be repeated."""
    parameter, state = draw(30, 4), ParameterState(torch.zeros(30, 4), torch.zeros(30, 4), torch.zeros(()))
    update = FusedUpdate("adam", [parameter], [state], [False])
    before = [each.clone() for each in (parameter, *state)]
    hyperparameters = [Hyperparameters(0.1, 0.0, 0.9, 0.999, 1e-8)]
    for n in range(1, 100):
        fail_allocation(n)
        try:
            update.run([draw(30, 4)], hyperparameters, max_norm=1.0)
        except MemoryError:
            assert same([parameter, *state], before)
        else:
            break
    assert 1 < n < 99 and state.n_updates == 1

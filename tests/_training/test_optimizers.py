"""The optimisers on our kernels: against torch's own, step by step, in whatever may come."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from seqclf import RNNTextClassifier, _kernels
from seqclf._kernels.cpu.optimizer import FusedStep
from seqclf._native import library
from seqclf._native.threads import kernel_threads
from seqclf._nn.embedding import Embedding
from seqclf._training.optimizers import OPTIMIZERS, FusedOptimizer

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

ALL = pytest.mark.parametrize("name", OPTIMIZERS)
RATE = 0.01
N_ROWS, DIM = 53, 12
RARE, NEVER = 7, 11  # rows of the table: met twice, far apart; never met
SHAPES = {"table": (N_ROWS, DIM), "matrix": (7, 5), "long": (20_011,), "one": (), "bias": (3,), "none": (0, 4)}


@pytest.fixture(autouse=True)
def _small_tables_are_lazy(tune):
    """Rows without a gradient are updated lazily in tables of any size."""
    tune(min_lazy_rows=0)


@pytest.fixture
def steps_of(monkeypatch):
    """Lists of the steps that our kernels and torch have taken from now on."""
    taken = {"ours": [], "torch's": []}
    ours, torchs = FusedStep.run, FusedOptimizer._torch_step
    monkeypatch.setattr(FusedStep, "run", lambda *args: (taken["ours"].append(1), ours(*args))[1])
    monkeypatch.setattr(FusedOptimizer, "_torch_step", lambda *args: (taken["torch's"].append(1), torchs(*args))[1])
    return taken


def make_parameters(dtype=torch.float32):
    rng = np.random.default_rng(0)
    return {
        name: torch.from_numpy(np.asarray(rng.standard_normal(shape))).to(dtype).requires_grad_()
        for name, shape in SHAPES.items()
    }


def make_optimizer(name, parameters, weight_decay=0.0, max_grad_norm=None, twin=False):
    """Ours, or torch's with the same settings; the bias has a group of its own, without weight decay."""
    weights = [parameter for key, parameter in parameters.items() if key != "bias"]
    groups = [{"params": [parameters["bias"]], "weight_decay": 0.0}, {"params": weights}]
    ours = OPTIMIZERS[name]
    if twin:
        return ours._torch_class(groups, lr=RATE, weight_decay=weight_decay, **ours._options)
    return ours(groups, lr=RATE, weight_decay=weight_decay, max_grad_norm=max_grad_norm)


def draw_gradients(step, scale=1.0):
    """Of every parameter; the rare row of the table is met in the steps 0 and 50."""
    rng = np.random.default_rng(1_000 + step)
    gradients = {
        name: torch.from_numpy(np.asarray(scale * rng.standard_normal(shape), dtype=np.float32))
        for name, shape in SHAPES.items()
    }
    rows = rng.choice(N_ROWS, 20, replace=False)
    rows = np.setdiff1d(rows, [RARE, NEVER])
    if step in (0, 50):
        rows = np.append(rows, RARE)
    gradients["rows"] = torch.from_numpy(np.sort(rows))
    apart = torch.zeros(N_ROWS, 1)
    apart[gradients["rows"]] = 1
    gradients["table"] *= apart
    return gradients


def give(parameters, gradients, sparse):
    for name, parameter in parameters.items():
        parameter.grad = gradients[name].to(parameter.dtype).clone()
    if sparse:
        rows = gradients["rows"]
        values = gradients["table"][rows].to(parameters["table"].dtype)
        parameters["table"].grad = torch.sparse_coo_tensor(
            rows.unsqueeze(0), values, SHAPES["table"], check_invariants=True
        )


def step_ours(optimizer, parameters, gradients, sparse):
    optimizer.zero_grad()
    give(parameters, gradients, sparse)
    optimizer.update()


def step_twin(optimizer, parameters, gradients, max_grad_norm=None):
    give(parameters, gradients, sparse=False)
    if max_grad_norm is not None:
        clip_grad_norm_(list(parameters.values()), max_grad_norm)
    optimizer.step()


def assert_same(optimizer, ours, twin, rtol=2e-6, atol=1e-6):
    optimizer.flush()
    for name, parameter in ours.items():
        expected = twin[name].detach().numpy()
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=rtol, atol=atol, err_msg=name)


def assert_same_state(ours, twin):
    found, expected = ours.state_dict()["state"], twin.state_dict()["state"]
    assert found.keys() == expected.keys()
    for key, state in expected.items():
        assert {name for name, value in found[key].items() if value is not None} == {
            name for name, value in state.items() if value is not None
        }
        for name, value in state.items():
            if value is not None:
                np.testing.assert_allclose(found[key][name].numpy(), value.numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.usefixtures("_every_instruction_set")
@ALL
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.03])
@pytest.mark.parametrize("max_grad_norm", [None, 1.0, 1e6], ids=["free", "clipped", "below the bound"])
def test_equals_torchs(name, sparse, weight_decay, max_grad_norm, steps_of):
    """Over 60 steps at changing rates, in two groups; one parameter has no gradient for a while."""
    ours, twin = make_parameters(), make_parameters()
    optimizer = make_optimizer(name, ours, weight_decay, max_grad_norm)
    judge = make_optimizer(name, twin, weight_decay, twin=True)
    for step in range(60):
        gradients = draw_gradients(step)
        for either in (optimizer, judge):
            for group in either.param_groups:
                group["lr"] = RATE * (1 + np.sin(step))
        optimizer.zero_grad()
        judge.zero_grad()
        give(ours, gradients, sparse)
        give(twin, gradients, sparse=False)
        if step in (30, 31):
            ours["matrix"].grad = twin["matrix"].grad = None
        if max_grad_norm is not None:
            clip_grad_norm_(list(twin.values()), max_grad_norm)
        optimizer.update()
        judge.step()
    # A gradient that clipping and decay leave in its last digits makes a step of full length all the same.
    assert_same(optimizer, ours, twin, atol=1e-5)
    assert_same_state(optimizer, judge)
    assert len(steps_of["ours"]) == 60 and not steps_of["torch's"]
    if sparse and weight_decay == 0:
        assert torch.equal(ours["table"][NEVER], make_parameters()["table"][NEVER])


@ALL
def test_a_row_met_again_after_a_very_long_time(name):
    """More steps than there are powers in the kernel's table."""
    ours, twin = make_parameters(), make_parameters()
    optimizer, judge = make_optimizer(name, ours), make_optimizer(name, twin, twin=True)
    few = {key: parameter for key, parameter in ours.items() if key == "table"}
    few_twin = {"table": twin["table"]}
    for step in range(1_300):
        gradients = draw_gradients(min(step, 1))
        if step == 1_250:
            gradients = draw_gradients(0)
        give(few, gradients, sparse=True)
        give(few_twin, gradients, sparse=False)
        optimizer.update()
        judge.step()
    # The rounding of a thousand steps.
    assert_same(optimizer, few, few_twin, rtol=2e-5, atol=1e-5)
    assert not torch.equal(ours["table"][RARE], make_parameters()["table"][RARE])


@ALL
@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_either_takes_up_where_the_other_stopped(name, max_grad_norm, steps_of):
    """Ours on the kernels and off them, torch's own from our state, ours from torch's, a copy and a pickled one."""
    ours, twin = make_parameters(), make_parameters()
    optimizer, judge = make_optimizer(name, ours, 0.0, max_grad_norm), make_optimizer(name, twin, twin=True)
    step = 0

    def go_on(n=5):
        nonlocal step
        for _ in range(n):
            step_ours(optimizer, ours, draw_gradients(step), sparse=True)
            step_twin(judge, twin, draw_gradients(step), max_grad_norm)
            step += 1
        assert_same(optimizer, ours, twin)

    go_on()
    with _kernels.use("reference"):
        go_on()
        assert len(steps_of["ours"]) == len(steps_of["torch's"]) == 5
    go_on()
    assert len(steps_of["ours"]) == 10
    saved = copy.deepcopy(optimizer.state_dict())
    judge = make_optimizer(name, twin, twin=True)
    judge.load_state_dict(saved)
    go_on()
    saved = copy.deepcopy(judge.state_dict())
    optimizer = make_optimizer(name, ours, 0.0, max_grad_norm)
    optimizer.load_state_dict(saved)
    go_on()
    optimizer.load_state_dict(saved)  # into one that has gone on; then both again from there
    judge.load_state_dict(copy.deepcopy(saved))
    go_on()
    for copied in (lambda pair: copy.deepcopy(pair), lambda pair: pickle.loads(pickle.dumps(pair))):
        ours, optimizer = copied((ours, optimizer))
        go_on()
    assert len(steps_of["torch's"]) == 5
    assert_same_state(optimizer, judge)


def test_settings_that_change_on_the_way():
    """What is pending for a square average is applied with the decay as it was, not as it is later."""
    ours, twin = make_parameters(), make_parameters()
    optimizer, judge = make_optimizer("rmsprop", ours), make_optimizer("rmsprop", twin, twin=True)
    for step in range(60):
        for either in (optimizer, judge):
            for group in either.param_groups:
                group["alpha"] = 0.9 if step < 10 else 0.97
                group["weight_decay"] = 0.1 if 20 <= step < 25 else 0.0
        step_ours(optimizer, ours, draw_gradients(step), sparse=step not in (30, 31))
        step_twin(judge, twin, draw_gradients(step))
    assert_same(optimizer, ours, twin)


@ALL
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_the_same_bits_for_any_number_of_threads(name, sparse, max_grad_norm, tune):
    tune(min_parallel_work=-1)
    results = []
    for n_threads in (1, 2, 5, 1):
        parameters = make_parameters()
        optimizer = make_optimizer(name, parameters, 0.0, max_grad_norm)
        with kernel_threads(n_threads):
            for step in range(10):
                step_ours(optimizer, parameters, draw_gradients(step), sparse)
                if step == 6:
                    optimizer.begin_batch(parameters["table"], torch.tensor([5, RARE, 5, 40, 3]))
            optimizer.flush()
        results.append(parameters)
    for parameters in results[1:]:
        assert all(torch.equal(parameters[key], results[0][key]) for key in SHAPES)


@ALL
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_what_is_not_finite_goes_through(name, value, max_grad_norm):
    """As in torch's; with a bound every dense parameter is lost, so the loss says so."""
    ours, twin = make_parameters(), make_parameters()
    optimizer, judge = make_optimizer(name, ours, 0.0, max_grad_norm), make_optimizer(name, twin, twin=True)
    for step in range(3):
        gradients = draw_gradients(step)
        if step == 1:
            gradients["long"][19_000] = value
        step_ours(optimizer, ours, gradients, sparse=False)
        step_twin(judge, twin, gradients, max_grad_norm)
    assert_same(optimizer, ours, twin)  # NaN where the other has it
    assert not ours["long"].isfinite().all()
    if max_grad_norm is not None and value is torch.nan:
        assert ours["bias"].isnan().all()


@ALL
def test_gradients_so_large_that_their_squares_are_not_numbers(name):
    ours, twin = make_parameters(), make_parameters()
    optimizer, judge = make_optimizer(name, ours, 0.0, 1.0), make_optimizer(name, twin, twin=True)
    step_ours(optimizer, ours, draw_gradients(0, scale=1e30), sparse=False)
    step_twin(judge, twin, draw_gradients(0, scale=1e30), max_grad_norm=1.0)
    assert_same(optimizer, ours, twin)


@pytest.mark.parametrize("what", ["float64", "parameter", "gradient"])
@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_torch_takes_the_step_where_the_kernels_can_not(name, what, steps_of):
    ours, twin = (make_parameters(torch.float64 if what == "float64" else torch.float32) for _ in range(2))
    if what == "parameter":
        for parameters in (ours, twin):
            parameters["matrix"] = parameters["matrix"].detach().t().contiguous().t().requires_grad_()
    optimizer, judge = make_optimizer(name, ours, 0.01, 1.0), make_optimizer(name, twin, 0.01, twin=True)
    for step in range(5):
        gradients = draw_gradients(step)
        give(ours, gradients, sparse=True)
        give(twin, gradients, sparse=False)
        if what == "gradient":
            for parameters in (ours, twin):
                parameters["matrix"].grad = gradients["matrix"].t().contiguous().t()
        optimizer.update()
        clip_grad_norm_(list(twin.values()), 1.0)
        judge.step()
    assert_same(optimizer, ours, twin)
    assert len(steps_of["torch's"]) == 5 and not steps_of["ours"]


@ALL
def test_a_table_that_is_read_twice(name, steps_of):
    """torch writes the rows of the second reading behind those of the first."""
    ours, twin = make_parameters(), make_parameters()
    optimizer, judge = make_optimizer(name, ours), make_optimizer(name, twin, twin=True)
    for ids in (torch.tensor([5, 3, 3]), torch.tensor([40, 5])):
        for parameters, sparse in ((ours, True), (twin, False)):
            functional.embedding(ids, parameters["table"], sparse=sparse).square().sum().backward()
    assert not ours["table"].grad.is_coalesced()
    optimizer.update()
    judge.step()
    assert_same(optimizer, ours, twin)
    assert steps_of["ours"] and not steps_of["torch's"]


@ALL
def test_a_sparse_gradient_without_rows(name, steps_of):
    ours, twin = make_parameters(), make_parameters()
    optimizer, judge = make_optimizer(name, ours), make_optimizer(name, twin, twin=True)
    for step in range(3):
        gradients = draw_gradients(step)
        if step == 1:
            gradients |= {"rows": torch.empty(0, dtype=torch.int64), "table": torch.zeros(N_ROWS, DIM)}
        step_ours(optimizer, ours, gradients, sparse=True)
        step_twin(judge, twin, gradients)
    assert_same(optimizer, ours, twin)
    assert len(steps_of["ours"]) == 3


@pytest.mark.parametrize("row", [-1, N_ROWS])
def test_a_row_that_is_not_there_is_refused(row):
    parameters = make_parameters()
    optimizer = make_optimizer("adagrad", parameters)
    parameters["table"].grad = torch.sparse_coo_tensor(
        torch.tensor([[row]]), torch.ones(1, DIM), SHAPES["table"], is_coalesced=True, check_invariants=False
    )
    with pytest.raises(IndexError, match="row"):
        optimizer.update()
    assert torch.equal(parameters["table"], make_parameters()["table"])


def test_moved_memory_is_noticed():
    ours, twin = make_parameters(), make_parameters()
    optimizer, judge = make_optimizer("adam", ours), make_optimizer("adam", twin, twin=True)
    for step in range(4):
        if step == 2:
            ours["long"].data = ours["long"].data.clone()
        step_ours(optimizer, ours, draw_gradients(step), sparse=True)
        step_twin(judge, twin, draw_gradients(step))
    assert_same(optimizer, ours, twin)


def test_step_takes_a_closure_and_runs_the_hooks_once():
    parameters = make_parameters()
    optimizer = make_optimizer("adam", parameters)
    make_optimizer("adam", make_parameters(), twin=True).step()  # from here on torch's own step runs hooks too
    calls = []

    def closure():
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        loss = parameters["long"].square().sum()
        loss.backward()
        return loss

    handles = [
        register_optimizer_step_pre_hook(lambda *_: calls.append("before")),
        register_optimizer_step_post_hook(lambda *_: calls.append("after")),
    ]
    try:
        losses = [optimizer.step(closure).item()]
        with _kernels.use("reference"):
            losses.append(optimizer.step(closure).item())
    finally:
        for handle in handles:
            handle.remove()
    assert losses[1] < losses[0]
    assert calls == ["before", "after"] * 2


def test_gradients_are_cleared_as_torch_clears_them():
    parameters = make_parameters()
    optimizer = make_optimizer("sgd", parameters)
    give(parameters, draw_gradients(0), sparse=False)
    optimizer.zero_grad(set_to_none=False)
    assert all((parameter.grad == 0).all() for parameter in parameters.values())
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in parameters.values())


TEXTS = ["good film and a good story", "bad film", "a bad story and no end", "good good end", "no story", "good"] * 8
CLASSES = [1, 0, 0, 1, 0, 1] * 8


def fit(**changes):
    settings = {"units": 4, "embedding_dim": 6, "batch_size": 4, "max_epochs": 3, "nb_ngrams": 0, "random_state": 0}
    return RNNTextClassifier(**(settings | changes)).fit(TEXTS, CLASSES)


@ALL
@pytest.mark.parametrize("changes", [{}, {"weight_decay": 0.01}, {"l1": 1e-4}, {"cell": "lstm", "max_grad_norm": None}])
@pytest.mark.parametrize("min_sparse_values", [0, 10**9], ids=["rows", "whole"])
def test_a_fit_is_what_it_is_with_torchs(name, changes, min_sparse_values, steps_of, monkeypatch, tune):
    tune(min_sparse_values=min_sparse_values)
    kinds, update = set(), FusedOptimizer.update

    def watched(optimizer):
        kinds.update(p.grad.layout for group in optimizer.param_groups for p in group["params"])
        update(optimizer)

    monkeypatch.setattr(FusedOptimizer, "update", watched)
    found = fit(optimizer=name, **changes)
    assert len(steps_of["ours"]) == 36 and not steps_of["torch's"]
    assert (torch.sparse_coo in kinds) == (min_sparse_values == 0 and "l1" not in changes)
    assert not any(module.sparse for module in found.network_.modules() if isinstance(module, Embedding))
    monkeypatch.setattr("seqclf._training.optimizers.optimize", lambda *_: False)
    expected = fit(optimizer=name, **changes)
    assert len(steps_of["torch's"]) == 36
    np.testing.assert_allclose(found.decision_function(TEXTS), expected.decision_function(TEXTS), rtol=1e-3, atol=1e-4)
    again = fit(optimizer=name, **changes)
    np.testing.assert_array_equal(again.decision_function(TEXTS), expected.decision_function(TEXTS))


def test_a_fit_that_fails_leaves_the_network_as_it_was(monkeypatch, tune):
    classifier = fit()
    tune(min_sparse_values=0)
    monkeypatch.setattr(FusedOptimizer, "update", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(warm_start=True).fit(TEXTS, CLASSES)
    assert classifier.network_.embedding.sparse is False

"""Optimisers with native updates against torch's, update by update."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from seqclf import RNNTextClassifier, _kernels
from seqclf._kernels.cpu.optimizer import FusedUpdate
from seqclf._native import library
from seqclf._native.threads import kernel_threads
from seqclf._nn.embedding import Embedding
from seqclf._training.optimizers import OPTIMIZERS, FusedOptimizer

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

ALL = pytest.mark.parametrize("name", OPTIMIZERS)
RATE = 0.01
N_ROWS, DIM = 53, 12
RARE_ROW, UNUSED_ROW = 7, 11  # rows of the embedding with a gradient in updates 0 and 50 only; never
SHAPES = {"embedding": (N_ROWS, DIM), "matrix": (7, 5), "long": (20_011,), "scalar": (), "bias": (3,), "empty": (0, 4)}


@pytest.fixture(autouse=True)
def _lazy_in_small_embeddings(tune):
    """Lazy updates in embeddings of any size."""
    tune(min_lazy_rows=0)


@pytest.fixture
def updates(monkeypatch):
    """Lists with an item for each update of the native kernels and of torch."""
    counted = {"native": [], "torch": []}
    run, torch_update = FusedUpdate.run, FusedOptimizer._torch_update
    monkeypatch.setattr(FusedUpdate, "run", lambda *args: (counted["native"].append(1), run(*args))[1])
    monkeypatch.setattr(
        FusedOptimizer, "_torch_update", lambda *args: (counted["torch"].append(1), torch_update(*args))[1]
    )
    return counted


def make_parameters(dtype=torch.float32):
    rng = np.random.default_rng(0)
    return {
        name: torch.from_numpy(np.asarray(rng.standard_normal(shape))).to(dtype).requires_grad_()
        for name, shape in SHAPES.items()
    }


def make_optimizer(name, parameters, weight_decay=0.0, max_grad_norm=None, use_torch=False):
    """Our optimiser, or torch's with the same settings; the bias is in a separate group, without weight decay."""
    weights = [parameter for key, parameter in parameters.items() if key != "bias"]
    groups = [{"params": [parameters["bias"]], "weight_decay": 0.0}, {"params": weights}]
    optimizer_class = OPTIMIZERS[name]
    if use_torch:
        return optimizer_class._torch_class(groups, lr=RATE, weight_decay=weight_decay, **optimizer_class._options)
    return optimizer_class(groups, lr=RATE, weight_decay=weight_decay, max_grad_norm=max_grad_norm)


def draw_gradients(n, scale=1.0):
    """Gradients of all parameters; the rare row of the embedding has one in the updates 0 and 50 only."""
    rng = np.random.default_rng(1_000 + n)
    gradients = {
        name: torch.from_numpy(np.asarray(scale * rng.standard_normal(shape), dtype=np.float32))
        for name, shape in SHAPES.items()
    }
    rows = rng.choice(N_ROWS, 20, replace=False)
    rows = np.setdiff1d(rows, [RARE_ROW, UNUSED_ROW])
    if n in (0, 50):
        rows = np.append(rows, RARE_ROW)
    gradients["rows"] = torch.from_numpy(np.sort(rows))
    has_gradient = torch.zeros(N_ROWS, 1)
    has_gradient[gradients["rows"]] = 1
    gradients["embedding"] *= has_gradient
    return gradients


def set_gradients(parameters, gradients, sparse):
    for name, parameter in parameters.items():
        parameter.grad = gradients[name].to(parameter.dtype).clone()
    if sparse:
        rows = gradients["rows"]
        values = gradients["embedding"][rows].to(parameters["embedding"].dtype)
        parameters["embedding"].grad = torch.sparse_coo_tensor(
            rows.unsqueeze(0), values, SHAPES["embedding"], check_invariants=True
        )


def update_native(optimizer, parameters, gradients, sparse):
    optimizer.zero_grad()
    set_gradients(parameters, gradients, sparse)
    optimizer.update()


def update_torch(optimizer, parameters, gradients, max_grad_norm=None):
    set_gradients(parameters, gradients, sparse=False)
    if max_grad_norm is not None:
        clip_grad_norm_(list(parameters.values()), max_grad_norm)
    optimizer.step()


def assert_same(optimizer, found, expected, rtol=2e-6, atol=1e-6):
    optimizer.flush()
    for name, parameter in found.items():
        np.testing.assert_allclose(
            parameter.detach().numpy(), expected[name].detach().numpy(), rtol=rtol, atol=atol, err_msg=name
        )


def assert_same_state(optimizer, torch_optimizer):
    found, expected = optimizer.state_dict()["state"], torch_optimizer.state_dict()["state"]
    assert found.keys() == expected.keys()
    for key, state in expected.items():
        assert {name for name, value in found[key].items() if value is not None} == {
            name for name, value in state.items() if value is not None
        }
        for name, value in state.items():
            if value is not None:
                np.testing.assert_allclose(found[key][name].numpy(), value.numpy(), rtol=1e-5, atol=2e-6)


# Whether the embedding's gradient is sparse, weight decay, and max_grad_norm: none, active, or larger than the norm.
# The quick run has each value at least once.
UPDATE_SETTINGS = [
    pytest.param(
        *each, marks=() if each in [(False, 0.03, None), (True, 0.0, 1.0), (True, 0.03, 1e6)] else pytest.mark.slow
    )
    for each in product([False, True], [0.0, 0.03], [None, 1.0, 1e6])
]


@pytest.mark.usefixtures("_every_instruction_set")
@ALL
@pytest.mark.parametrize(("sparse", "weight_decay", "max_grad_norm"), UPDATE_SETTINGS)
def test_update_equals_torch(name, sparse, weight_decay, max_grad_norm, updates):
    """60 updates with varying learning rates and two groups; one parameter temporarily has no gradient."""
    found, expected = make_parameters(), make_parameters()
    optimizer = make_optimizer(name, found, weight_decay, max_grad_norm)
    torch_optimizer = make_optimizer(name, expected, weight_decay, use_torch=True)
    for n in range(60):
        gradients = draw_gradients(n)
        for either in (optimizer, torch_optimizer):
            for group in either.param_groups:
                group["lr"] = RATE * (1 + np.sin(n))
        optimizer.zero_grad()
        torch_optimizer.zero_grad()
        set_gradients(found, gradients, sparse)
        set_gradients(expected, gradients, sparse=False)
        if n in (30, 31):
            found["matrix"].grad = expected["matrix"].grad = None
        if max_grad_norm is not None:
            clip_grad_norm_(list(expected.values()), max_grad_norm)
        optimizer.update()
        torch_optimizer.step()
    # A gradient that consists of rounding errors still gives an update of full length.
    assert_same(optimizer, found, expected, atol=1e-5)
    assert_same_state(optimizer, torch_optimizer)
    assert len(updates["native"]) == 60 and not updates["torch"]
    if sparse and weight_decay == 0:
        assert torch.equal(found["embedding"][UNUSED_ROW], make_parameters()["embedding"][UNUSED_ROW])


@pytest.mark.parametrize(
    "name", [name if name in ("adam", "rmsprop") else pytest.param(name, marks=pytest.mark.slow) for name in OPTIMIZERS]
)
def test_update_of_a_row_after_many_updates_without_gradient(name):
    """There are more updates than entries in the log of pending updates."""
    found, expected = make_parameters(), make_parameters()
    optimizer, torch_optimizer = make_optimizer(name, found), make_optimizer(name, expected, use_torch=True)
    found_matrix = {key: parameter for key, parameter in found.items() if key == "embedding"}
    expected_matrix = {"embedding": expected["embedding"]}
    for n in range(1_300):
        gradients = draw_gradients(min(n, 1))
        if n == 1_250:
            gradients = draw_gradients(0)
        set_gradients(found_matrix, gradients, sparse=True)
        set_gradients(expected_matrix, gradients, sparse=False)
        optimizer.update()
        torch_optimizer.step()
    # Rounding errors of a thousand updates.
    assert_same(optimizer, found_matrix, expected_matrix, rtol=2e-5, atol=1e-5)
    assert not torch.equal(found["embedding"][RARE_ROW], make_parameters()["embedding"][RARE_ROW])


@ALL
@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_native_and_torch_updates_continue_from_each_other(name, max_grad_norm, updates):
    """Our optimiser with and without native kernels, torch's from our state, ours from torch's, copied and pickled."""
    found, expected = make_parameters(), make_parameters()
    optimizer, torch_optimizer = (
        make_optimizer(name, found, 0.0, max_grad_norm),
        make_optimizer(name, expected, use_torch=True),
    )
    n = 0

    def continue_both():
        nonlocal n
        for _ in range(5):
            update_native(optimizer, found, draw_gradients(n), sparse=True)
            update_torch(torch_optimizer, expected, draw_gradients(n), max_grad_norm)
            n += 1
        assert_same(optimizer, found, expected)

    continue_both()
    with _kernels.use("reference"):
        continue_both()
        assert len(updates["native"]) == len(updates["torch"]) == 5
    continue_both()
    assert len(updates["native"]) == 10
    saved = copy.deepcopy(optimizer.state_dict())
    torch_optimizer = make_optimizer(name, expected, use_torch=True)
    torch_optimizer.load_state_dict(saved)
    continue_both()
    saved = copy.deepcopy(torch_optimizer.state_dict())
    optimizer = make_optimizer(name, found, 0.0, max_grad_norm)
    optimizer.load_state_dict(saved)
    continue_both()
    optimizer.load_state_dict(saved)  # into an optimiser that has already made other updates
    torch_optimizer.load_state_dict(copy.deepcopy(saved))
    continue_both()
    for copied in (lambda pair: copy.deepcopy(pair), lambda pair: pickle.loads(pickle.dumps(pair))):
        found, optimizer = copied((found, optimizer))
        continue_both()
    assert len(updates["torch"]) == 5
    assert_same_state(optimizer, torch_optimizer)


def test_update_with_changing_settings():
    """Pending updates of a square average use the decay of the update that skipped them."""
    found, expected = make_parameters(), make_parameters()
    optimizer, torch_optimizer = make_optimizer("rmsprop", found), make_optimizer("rmsprop", expected, use_torch=True)
    for n in range(60):
        for either in (optimizer, torch_optimizer):
            for group in either.param_groups:
                group["alpha"] = 0.9 if n < 10 else 0.97
                group["weight_decay"] = 0.1 if 20 <= n < 25 else 0.0
        update_native(optimizer, found, draw_gradients(n), sparse=n not in (30, 31))
        update_torch(torch_optimizer, expected, draw_gradients(n))
    assert_same(optimizer, found, expected)


@ALL
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_update_is_bit_identical_for_any_number_of_threads(name, sparse, max_grad_norm, tune):
    tune(min_parallel_work=-1)
    results = []
    for n_threads in (1, 2, 5, 1):
        parameters = make_parameters()
        optimizer = make_optimizer(name, parameters, 0.0, max_grad_norm)
        with kernel_threads(n_threads):
            for n in range(10):
                update_native(optimizer, parameters, draw_gradients(n), sparse)
                if n == 6:
                    optimizer.begin_batch(parameters["embedding"], torch.tensor([5, RARE_ROW, 5, 40, 3]))
            optimizer.flush()
        results.append(parameters)
    for parameters in results[1:]:
        assert all(torch.equal(parameters[key], results[0][key]) for key in SHAPES)


@ALL
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
def test_update_propagates_values_that_are_not_finite(name, value, max_grad_norm):
    """The result is the same as in torch; with clipping, NaN spreads to every dense parameter."""
    found, expected = make_parameters(), make_parameters()
    optimizer, torch_optimizer = (
        make_optimizer(name, found, 0.0, max_grad_norm),
        make_optimizer(name, expected, use_torch=True),
    )
    for n in range(3):
        gradients = draw_gradients(n)
        if n == 1:
            gradients["long"][19_000] = value
        update_native(optimizer, found, gradients, sparse=False)
        update_torch(torch_optimizer, expected, gradients, max_grad_norm)
    assert_same(optimizer, found, expected)  # NaN in the same positions
    assert not found["long"].isfinite().all()
    if max_grad_norm is not None and value is torch.nan:
        assert found["bias"].isnan().all()


@ALL
def test_update_with_gradients_whose_squares_overflow(name):
    found, expected = make_parameters(), make_parameters()
    optimizer, torch_optimizer = make_optimizer(name, found, 0.0, 1.0), make_optimizer(name, expected, use_torch=True)
    update_native(optimizer, found, draw_gradients(0, scale=1e30), sparse=False)
    update_torch(torch_optimizer, expected, draw_gradients(0, scale=1e30), max_grad_norm=1.0)
    assert_same(optimizer, found, expected)


@pytest.mark.parametrize("what", ["float64", "parameter", "gradient"])
@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_update_falls_back_to_torch(name, what, updates):
    found, expected = (make_parameters(torch.float64 if what == "float64" else torch.float32) for _ in range(2))
    if what == "parameter":
        for parameters in (found, expected):
            parameters["matrix"] = parameters["matrix"].detach().t().contiguous().t().requires_grad_()
    optimizer, torch_optimizer = (
        make_optimizer(name, found, 0.01, 1.0),
        make_optimizer(name, expected, 0.01, use_torch=True),
    )
    for n in range(5):
        gradients = draw_gradients(n)
        set_gradients(found, gradients, sparse=True)
        set_gradients(expected, gradients, sparse=False)
        if what == "gradient":
            for parameters in (found, expected):
                parameters["matrix"].grad = gradients["matrix"].t().contiguous().t()
        optimizer.update()
        clip_grad_norm_(list(expected.values()), 1.0)
        torch_optimizer.step()
    assert_same(optimizer, found, expected)
    assert len(updates["torch"]) == 5 and not updates["native"]


@ALL
def test_update_with_an_uncoalesced_sparse_gradient(name, updates):
    """torch concatenates the sparse gradients if the embedding is used twice."""
    found, expected = make_parameters(), make_parameters()
    optimizer, torch_optimizer = make_optimizer(name, found), make_optimizer(name, expected, use_torch=True)
    for ids in (torch.tensor([5, 3, 3]), torch.tensor([40, 5])):
        for parameters, sparse in ((found, True), (expected, False)):
            functional.embedding(ids, parameters["embedding"], sparse=sparse).square().sum().backward()
    assert not found["embedding"].grad.is_coalesced()
    optimizer.update()
    torch_optimizer.step()
    assert_same(optimizer, found, expected)
    assert updates["native"] and not updates["torch"]


@ALL
def test_update_with_an_empty_sparse_gradient(name, updates):
    found, expected = make_parameters(), make_parameters()
    optimizer, torch_optimizer = make_optimizer(name, found), make_optimizer(name, expected, use_torch=True)
    for n in range(3):
        gradients = draw_gradients(n)
        if n == 1:
            gradients |= {"rows": torch.empty(0, dtype=torch.int64), "embedding": torch.zeros(N_ROWS, DIM)}
        update_native(optimizer, found, gradients, sparse=True)
        update_torch(torch_optimizer, expected, gradients)
    assert_same(optimizer, found, expected)
    assert len(updates["native"]) == 3


@pytest.mark.parametrize("row", [-1, N_ROWS])
def test_update_raises_for_a_row_out_of_range(row):
    parameters = make_parameters()
    optimizer = make_optimizer("adagrad", parameters)
    parameters["embedding"].grad = torch.sparse_coo_tensor(
        torch.tensor([[row]]), torch.ones(1, DIM), SHAPES["embedding"], is_coalesced=True, check_invariants=False
    )
    with pytest.raises(IndexError, match="row"):
        optimizer.update()
    assert torch.equal(parameters["embedding"], make_parameters()["embedding"])


def test_update_after_parameter_memory_moved():
    found, expected = make_parameters(), make_parameters()
    optimizer, torch_optimizer = make_optimizer("adam", found), make_optimizer("adam", expected, use_torch=True)
    for n in range(4):
        if n == 2:
            found["long"].data = found["long"].data.clone()
        update_native(optimizer, found, draw_gradients(n), sparse=True)
        update_torch(torch_optimizer, expected, draw_gradients(n))
    assert_same(optimizer, found, expected)


def test_step_accepts_a_closure_and_runs_hooks_once():
    parameters = make_parameters()
    optimizer = make_optimizer("adam", parameters)
    make_optimizer("adam", make_parameters(), use_torch=True).step()  # makes torch patch the hooks into its own step
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


def test_zero_grad():
    parameters = make_parameters()
    optimizer = make_optimizer("sgd", parameters)
    set_gradients(parameters, draw_gradients(0), sparse=False)
    optimizer.zero_grad(set_to_none=False)
    assert all((parameter.grad == 0).all() for parameter in parameters.values())
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in parameters.values())


TEXTS = ["good film and a good story", "bad film", "a bad story and no end", "good good end", "no story", "good"] * 8
CLASSES = [1, 0, 0, 1, 0, 1] * 8


def fit_settings():
    """All combinations; the quick run has each optimiser, each change and each size at least once."""
    for name, changes, min_sparse_values in product(
        OPTIMIZERS,
        [{}, {"weight_decay": 0.01}, {"l1": 1e-4}, {"cell": "lstm", "max_grad_norm": None}],
        [0, 10**9],  # sparse or dense gradients of the embedding
    ):
        is_quick = not changes and (min_sparse_values == 0 or name == "adam")
        is_quick = is_quick or (name == "adam" and min_sparse_values == 0)
        yield pytest.param(name, changes, min_sparse_values, marks=() if is_quick else pytest.mark.slow)


def fit(**changes):
    settings = {"units": 4, "embedding_dim": 6, "batch_size": 4, "max_epochs": 3, "nb_ngrams": 0, "random_state": 0}
    return RNNTextClassifier(**(settings | changes)).fit(TEXTS, CLASSES)


@pytest.mark.parametrize(("name", "changes", "min_sparse_values"), list(fit_settings()))
def test_fit_equals_fit_with_torch_updates(name, changes, min_sparse_values, updates, monkeypatch, tune):
    tune(min_sparse_values=min_sparse_values)
    kinds, update = set(), FusedOptimizer.update

    def recording(optimizer):
        kinds.update(p.grad.layout for group in optimizer.param_groups for p in group["params"])
        update(optimizer)

    monkeypatch.setattr(FusedOptimizer, "update", recording)
    found = fit(optimizer=name, **changes)
    assert len(updates["native"]) == 36 and not updates["torch"]
    assert (torch.sparse_coo in kinds) == (min_sparse_values == 0 and "l1" not in changes)
    assert not any(module.sparse for module in found.network_.modules() if isinstance(module, Embedding))
    monkeypatch.setattr("seqclf._training.optimizers.optimize", lambda *_: False)
    expected = fit(optimizer=name, **changes)
    assert len(updates["torch"]) == 36
    np.testing.assert_allclose(found.decision_function(TEXTS), expected.decision_function(TEXTS), rtol=1e-3, atol=1e-4)
    again = fit(optimizer=name, **changes)
    np.testing.assert_array_equal(again.decision_function(TEXTS), expected.decision_function(TEXTS))


def test_failed_fit_leaves_sparse_unset(monkeypatch, tune):
    classifier = fit()
    tune(min_sparse_values=0)
    monkeypatch.setattr(FusedOptimizer, "update", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(warm_start=True).fit(TEXTS, CLASSES)
    assert classifier.network_.embedding.sparse is False

"""The way into the first layer on our kernels: against its plain twin, forward and backward."""

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._kernels import StepLayout, cpu, reference
from seqclf._nn import Network

pytestmark = pytest.mark.skipif(not cpu.available()[0], reason=f"no compiled kernels: {cpu.available()[1]}")

N_IDS = 23
LENGTHS = {
    "ragged": [40, 1, 17, 33, 0, 40, 5, 28, 2, 40, 11, 21, 3, 36, 8, 1, 19],
    "equal": [9] * 20,
    "one step": [1],
    "one row": [50],
    "no steps": [0, 0],
    "no rows": [],
}
PARTS = pytest.mark.parametrize(
    ("with_mask", "n_channels"), [(True, 0), (False, 0), (True, 3), (False, 2)], ids=["mask", "bare", "all", "channels"]
)


@pytest.fixture
def use_threads(monkeypatch):
    """A function that sets torch's number of threads, and has the smallest call shared out among them."""
    before = torch.get_num_threads()
    monkeypatch.setattr(cpu, "_WORTH_A_THREAD", -1)
    yield torch.set_num_threads
    torch.set_num_threads(before)


def make(lengths, dim, with_mask=True, n_channels=0, seed=0):
    """(ids, table, layout, mask, channels), and a gradient for the vectors."""
    rng = np.random.default_rng(seed)
    layout = StepLayout(lengths)

    def draw(*shape):
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    ids = torch.from_numpy(rng.integers(0, N_IDS - 1, layout.n_steps))  # the last id doesn't occur
    mask = (draw(layout.n_rows, dim) > 0).float() * 2 if with_mask else None
    channels = draw(layout.n_steps, n_channels) if n_channels else None
    return (ids, draw(N_IDS, dim), layout, mask, channels), draw(layout.n_steps, dim + n_channels)


def both_ways(kernel, arguments, grad_vectors, dtype=torch.float32):
    ids, table, layout, mask, channels = arguments
    table = table.to(dtype).requires_grad_()
    mask = None if mask is None else mask.to(dtype)
    vectors = kernel.embed(ids, table, layout, mask, channels)
    (grad_table,) = torch.autograd.grad(vectors, table, grad_vectors.to(dtype))
    return vectors.detach(), grad_table


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("dim", [1, 7, 8, 16, 33, 64])
@PARTS
def test_equals_the_plain_twin(lengths, dim, with_mask, n_channels, use_threads):
    arguments, grad_vectors = make(lengths, dim, with_mask, n_channels)
    right = both_ways(reference, arguments, grad_vectors, torch.float64)
    results = []
    for n_threads in (1, 2, 5):
        use_threads(n_threads)
        for _ in range(2):
            found = both_ways(cpu, arguments, grad_vectors)
            assert torch.equal(found[0].double(), right[0])
            np.testing.assert_allclose(found[1].numpy(), right[1].numpy(), rtol=1e-5, atol=1e-5)
            assert (found[1][N_IDS - 1] == 0).all()
            results.append(found)
    for vectors, grad_table in results[1:]:  # each sum runs over the steps in their order, on any number of threads
        assert torch.equal(vectors, results[0][0]) and torch.equal(grad_table, results[0][1])


@PARTS
def test_fresh_memory_has_no_say(with_mask, n_channels, monkeypatch):
    arguments, grad_vectors = make(LENGTHS["ragged"], 19, with_mask, n_channels)
    expected = both_ways(cpu, arguments, grad_vectors)
    true_empty, poisoned = torch.Tensor.new_empty, []

    def poison(*args, **kwargs):
        tensor = true_empty(*args, **kwargs)
        poisoned.append(tensor.numel())
        return tensor.fill_(torch.nan)

    monkeypatch.setattr(torch.Tensor, "new_empty", poison)
    found = both_ways(cpu, arguments, grad_vectors)
    assert len(poisoned) == 2
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_memory_that_is_not_contiguous():
    (ids, table, layout, mask, channels), grad_vectors = make(LENGTHS["ragged"], 12, True, 2)
    expected = both_ways(cpu, (ids, table, layout, mask, channels), grad_vectors)

    def strided(tensor):
        apart = torch.zeros((*tensor.shape, 2), dtype=tensor.dtype)
        apart[..., 1] = tensor
        return apart[..., 1]

    wide = torch.cat((grad_vectors, grad_vectors), dim=1)[:, : grad_vectors.shape[1]]
    for grad in (strided(grad_vectors), wide, grad_vectors.t().contiguous().t()):
        found = both_ways(cpu, (*map(strided, (ids, table)), layout, *map(strided, (mask, channels))), grad)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("dim", [1, 16, 33])
@PARTS
def test_a_sparse_gradient_holds_the_rows_that_occur(lengths, dim, with_mask, n_channels, use_threads, poison_memory):
    """The bits of the dense one, in rows that rise; and what stood in their memory has no say."""
    arguments, grad_vectors = make(lengths, dim, with_mask, n_channels)
    ids = arguments[0]
    vectors, dense = both_ways(cpu, arguments, grad_vectors)
    sizes = poison_memory()
    for n_threads in (1, 3):
        use_threads(n_threads)
        table = arguments[1].detach().clone().requires_grad_()
        found = cpu.embed(ids, table, *arguments[2:], True)
        assert torch.equal(found.detach(), vectors)
        sizes.clear()
        found.backward(grad_vectors)
        assert table.grad.is_sparse
        rows = table.grad._indices()[0]
        assert torch.equal(rows, torch.unique(ids))
        assert len(rows) * dim in sizes and N_IDS * dim not in sizes, "only those rows were made"
        assert torch.equal(table.grad.to_dense(), dense)


def test_the_twin_gives_the_same_sparse_gradient():
    arguments, grad_vectors = make(LENGTHS["ragged"], 5)
    gradients = []
    for kernel in (cpu, reference):
        table = arguments[1].detach().clone().requires_grad_()
        kernel.embed(arguments[0], table, *arguments[2:], True).backward(grad_vectors)
        assert table.grad.is_sparse
        gradients.append(table.grad.to_dense().numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_goes_through(value):
    (ids, table, layout, mask, channels), grad_vectors = make(LENGTHS["ragged"], 9, True, 1)
    table[int(ids[3]), 2] = channels[5, 0] = grad_vectors[7, 4] = value
    found = both_ways(cpu, (ids, table, layout, mask, channels), grad_vectors)
    right = both_ways(reference, (ids, table, layout, mask, channels), grad_vectors)
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5, equal_nan=True)
    assert not found[0].isfinite().all() and not found[1].isfinite().all()


@pytest.mark.parametrize("wrong", [-1, N_IDS, 2**40])
@pytest.mark.parametrize("kernel", ["cpu", "reference"])
@pytest.mark.parametrize("sparse", [False, True])
def test_an_id_outside_the_table_is_refused(kernel, wrong, sparse):
    arguments, _ = make(LENGTHS["ragged"], 4)
    arguments[0][7] = wrong
    arguments[1].requires_grad_()
    with _kernels.use(kernel), pytest.raises(IndexError):
        _kernels.embed(*arguments, sparse)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8], ids=str)
def test_ids_of_any_width(dtype):
    (ids, *rest), _ = make(LENGTHS["ragged"], 4)
    assert torch.equal(cpu.embed(ids.to(dtype), *rest), cpu.embed(ids, *rest))


def test_the_fast_path_runs_where_it_can(monkeypatch):
    monkeypatch.delenv("SEQCLF_KERNELS", raising=False)
    (ids, table, layout, mask, channels), _ = make(LENGTHS["ragged"], 4)
    ran = []
    for name, kernel in (("cpu", cpu), ("reference", reference)):
        monkeypatch.setattr(kernel, "embed", lambda *args, name=name: ran.append(name))
    _kernels.embed(ids, table, layout, mask, channels)
    _kernels.embed(ids, table.double(), layout, mask, channels)
    with _kernels.use("reference"):
        _kernels.embed(ids, table, layout)
    monkeypatch.setattr(cpu, "available", lambda: (False, "test"))
    _kernels.embed(ids, table, layout)
    assert ran == ["cpu", "reference", "reference", "reference"]


@pytest.mark.parametrize("n_channels", [0, 4])
def test_a_network_trains_through_it(n_channels, monkeypatch):
    """The same gradients as on the plain twin, with dropout drawn alike; and it ran, once each way."""
    network = Network(
        n_outputs=2, vocab_size=N_IDS, embedding_dim=10, n_channels=n_channels, cell="gru", units=(6,),
        bidirectional=True, pooling="max", activation="tanh", dropout=0.4, recurrent_dropout=0.0, token_dropout=0.2,
    ).reset_parameters(torch.Generator().manual_seed(0)).train()  # fmt: skip
    (ids, _, _, _, channels), _ = make(LENGTHS["ragged"], 10, n_channels=n_channels)
    ran, true_embed = [], cpu.embed
    monkeypatch.setattr(cpu, "embed", lambda *args: ran.append("cpu") or true_embed(*args))

    def gradients():
        network.zero_grad()
        logits = network(ids, LENGTHS["ragged"], torch.Generator().manual_seed(1), channels)
        (logits**2).sum().backward()
        return [logits.detach(), *(parameter.grad.clone() for parameter in network.parameters())]

    found = gradients()
    assert ran == ["cpu"]
    monkeypatch.setattr(cpu, "embed", reference.embed)
    for a, b in zip(found, gradients(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2,), (3,), (16,)], ids=str)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32, torch.float64, torch.uint8], ids=str)
def test_arranged_steps_are_those_of_the_plain_twin(lengths, shape, dtype):
    layout = StepLayout(lengths)
    n_values = layout.n_steps * (sum(shape) if shape else 1)
    values = torch.arange(1, 1 + n_values).reshape(layout.n_steps, *shape).to(dtype)
    assert torch.equal(cpu.arrange(values, layout), reference.arrange(values, layout))
    with_gaps = torch.stack((values, values), dim=-1)[..., 0]
    assert torch.equal(cpu.arrange(with_gaps, layout), reference.arrange(values, layout))


def test_arranged_steps_come_from_the_fast_path_where_they_can(monkeypatch):
    layout = StepLayout([2, 3])
    values = torch.arange(5.0)
    ran = []
    for name, kernel in (("cpu", cpu), ("reference", reference)):
        monkeypatch.setattr(kernel, "arrange", lambda *args, name=name: ran.append(name))
    _kernels.arrange(values, layout)
    _kernels.arrange(values.clone().requires_grad_(), layout)
    with _kernels.use("reference"):
        _kernels.arrange(values, layout)
    assert ran == ["cpu", "reference", "reference"]


@pytest.mark.parametrize("n", [0, 4, 6])
@pytest.mark.parametrize("kernel", ["cpu", "reference"])
def test_steps_that_are_too_few_or_too_many_are_refused(kernel, n):
    with _kernels.use(kernel), pytest.raises(ValueError, match=f"There are {n} steps .* lengths add up to 5"):
        _kernels.arrange(torch.zeros(n), StepLayout([2, 3]))

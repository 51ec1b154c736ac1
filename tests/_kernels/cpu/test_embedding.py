"""Vectors of token ids, which the first layer's kernel reads from their table: against the same vectors written out."""

import numpy as np
import pytest
import torch

from seqclf import _kernels
from seqclf._inference.config import NetworkConfig
from seqclf._kernels import CELLS, Inputs, StepLayout, Weights, reference, torch_native
from seqclf._kernels.cpu import recurrence
from seqclf._native import library
from seqclf._nn.network import Network
from seqclf._nn.sequence_batch import SequenceBatch

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

N_IDS, UNITS = 23, 6
LENGTHS = {
    "ragged": [40, 1, 17, 33, 0, 40, 5, 28, 2, 40, 11, 21, 3, 36, 8, 1, 19],
    "equal": [9] * 20,
    "one step": [1],
    "one row": [50],
}
EMPTY = {"no steps": [0, 0], "no rows": []}
PARTS = pytest.mark.parametrize(
    ("with_mask", "n_channels"), [(True, 0), (False, 0), (True, 3), (False, 2)], ids=["mask", "bare", "all", "channels"]
)


class Case:
    """A layer that reads ids, and a gradient for its outputs; `run` gives the outputs and all gradients, by name."""

    def __init__(self, lengths, dim, with_mask=True, n_channels=0, cell="lstm", n_directions=1, seed=0):
        rng = np.random.default_rng(seed)

        def draw(*shape, scale=1.0):
            return torch.from_numpy((rng.standard_normal(shape) * scale).astype(np.float32))

        self.cell, self.layout = cell, StepLayout(lengths)
        self.ids = torch.from_numpy(rng.integers(0, N_IDS - 1, self.layout.n_steps))  # the last id doesn't occur
        self.table = draw(N_IDS, dim)
        self.mask = (draw(self.layout.n_rows, dim) > 0).float() * 2 if with_mask else None
        self.channels = draw(self.layout.n_steps, n_channels) if n_channels else None
        rows = CELLS[cell].n_gates * UNITS
        shapes = [
            (rows, dim + n_channels),
            (rows, UNITS),
            (rows,),
            *([(rows,)] if CELLS[cell].has_recurrent_bias else []),
        ]
        self.weights = [Weights(*(draw(*shape, scale=0.3) for shape in shapes)) for _ in range(n_directions)]
        self.grad_outputs = draw(self.layout.n_steps, n_directions * UNITS)

    def run(self, kernel=recurrence, dtype=torch.float32, written_out=False, sparse=False):
        def leaf(tensor):
            return None if tensor is None else tensor.detach().to(dtype, copy=True).requires_grad_()

        def plain(tensor):
            return tensor if tensor is None else tensor.to(dtype)

        table, weights = leaf(self.table), [Weights(*map(leaf, each)) for each in self.weights]
        inputs = Inputs(plain(self.channels), self.ids, table, plain(self.mask), sparse)
        if written_out:
            inputs = reference.written_out(inputs, self.layout)
        name = {recurrence: "cpu", reference: "reference", torch_native: "torch_native"}[kernel]
        with _kernels.use(name):
            if len(weights) == 1:
                outputs = _kernels.recurrence(self.cell, inputs, self.layout, weights[0])
            else:
                outputs = _kernels.bidirectional(self.cell, inputs, self.layout, tuple(weights))
        named = {"table": table}
        for index, each in enumerate(weights):
            named |= {f"{name} {index}": w for name, w in each._asdict().items() if w is not None}
        outputs.backward(self.grad_outputs.to(dtype))
        return {"outputs": outputs.detach(), **{name: leaf.grad for name, leaf in named.items()}}


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, value in found.items():
        right = expected[name]
        # Gradients are sums of many terms: what is small in them is judged by the largest.
        scale = max(right.abs().max().item(), 1) if right.numel() and right.isfinite().all() else 1
        np.testing.assert_allclose(
            value.numpy(), right.numpy(), rtol=1e-4, atol=1e-5 * scale, equal_nan=True, err_msg=name
        )


def assert_same_bits(found, expected):
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("dim", [1, 7, 8, 16, 33, 64])
@PARTS
def test_equals_the_plain_twin(lengths, dim, with_mask, n_channels, use_threads):
    case = Case(lengths, dim, with_mask, n_channels)
    right, results = case.run(reference, torch.float64), {}
    for n_threads in (1, 2, 5):
        use_threads(n_threads)
        results[n_threads] = found = case.run()
        assert_close(found, right)
        assert (found["table"][N_IDS - 1] == 0).all()
        assert_same_bits(case.run(), found)
        vectors = case.run(written_out=True)
        del vectors["table"]  # Its gradient is summed by torch there.
        assert_same_bits(found, vectors)
    for found in results.values():  # Each of these sums runs over the steps in their order, on any number of threads.
        assert torch.equal(found["outputs"], results[1]["outputs"])
        assert torch.equal(found["table"], results[1]["table"])


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("dim", "with_mask", "n_channels"), [(5, True, 0), (12, False, 3), (30, True, 2)])
def test_both_directions_are_those_of_one_each(cell, dim, with_mask, n_channels, use_threads):
    case = Case(LENGTHS["ragged"], dim, with_mask, n_channels, cell, n_directions=2)
    right = case.run(reference, torch.float64)
    if torch_native.supports(cell, "tanh"):
        assert_close(case.run(torch_native, torch.float64), right)
    for n_threads in (1, 3):
        use_threads(n_threads)
        found = case.run()
        assert_close(found, right)
        assert_same_bits(case.run(), found)
        for index, reverse in enumerate((False, True)):
            inputs = Inputs(case.channels, case.ids, case.table, case.mask)
            alone = recurrence.run(cell, inputs, case.layout, case.weights[index], "tanh", reverse)
            assert torch.equal(found["outputs"][:, index * UNITS : (index + 1) * UNITS], alone)


@pytest.mark.parametrize("lengths", EMPTY.values(), ids=EMPTY.keys())
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("n_directions", [1, 2])
def test_without_a_step_all_gradients_are_zero(lengths, cell, sparse, n_directions, poison_memory):
    case = Case(lengths, 5, cell=cell, n_channels=2, n_directions=n_directions)
    poison_memory()
    found = case.run(sparse=sparse)
    assert found.pop("outputs").shape == (0, n_directions * UNITS)
    assert all((gradient.to_dense() == 0).all() for gradient in found.values())


@PARTS
@pytest.mark.parametrize("n_directions", [1, 2])
def test_fresh_memory_has_no_say(with_mask, n_channels, n_directions, poison_memory):
    case = Case(LENGTHS["ragged"], 19, with_mask, n_channels, n_directions=n_directions)
    expected = case.run()
    sizes = poison_memory()
    assert_same_bits(case.run(), expected)
    assert case.layout.n_steps * 19 in sizes and N_IDS * 19 in sizes  # the gradients of the vectors and of the table


def test_memory_that_is_not_contiguous():
    case = Case(LENGTHS["ragged"], 12, True, 2)
    expected = case.run()

    def strided(tensor):
        apart = torch.zeros((*tensor.shape, 2), dtype=tensor.dtype)
        apart[..., 1] = tensor
        return apart[..., 1]

    grad = case.grad_outputs
    case.ids, case.table, case.mask, case.channels = map(strided, (case.ids, case.table, case.mask, case.channels))
    for case.grad_outputs in (strided(grad), torch.cat((grad, grad), dim=1)[:, :UNITS], grad.t().contiguous().t()):
        assert_same_bits(case.run(), expected)


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("dim", [2, 16, 33])
@PARTS
def test_a_sparse_gradient_holds_the_rows_that_occur(lengths, dim, with_mask, n_channels, use_threads, poison_memory):
    """The bits of the dense one, in rows that rise; and what stood in their memory has no say."""
    case = Case(lengths, dim, with_mask, n_channels)
    sizes = poison_memory()
    for n_threads in (1, 3):
        use_threads(n_threads)
        dense = case.run()
        sizes.clear()
        found = case.run(sparse=True)
        assert found["table"].is_sparse
        rows = found["table"]._indices()[0]
        assert torch.equal(rows, torch.unique(case.ids))
        assert len(rows) * dim in sizes and N_IDS * dim not in sizes, "only those rows were made"
        found["table"] = found["table"].to_dense()
        assert_same_bits(found, dense)


def test_the_twin_gives_the_same_sparse_gradient():
    case = Case(LENGTHS["ragged"], 5)
    gradients = [case.run(kernel, sparse=True)["table"] for kernel in (recurrence, reference)]
    assert all(gradient.is_sparse for gradient in gradients)
    np.testing.assert_allclose(*(gradient.to_dense().numpy() for gradient in gradients), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("place", ["table", "channels", "grad_outputs"])
def test_what_is_not_finite_goes_through(value, place):
    case = Case(LENGTHS["ragged"], 9, True, 1, cell="rnn")
    getattr(case, place)[(int(case.ids[3]) if place == "table" else 5), 0] = value
    found, right = case.run(), case.run(reference)
    assert not all(values.isfinite().all() for values in found.values())
    for name, values in right.items():
        np.testing.assert_array_equal(found[name].isnan().numpy(), values.isnan().numpy(), err_msg=name)


@pytest.mark.parametrize("wrong", [-1, N_IDS, 2**40])
@pytest.mark.parametrize("kernel", [recurrence, reference], ids=["cpu", "reference"])
@pytest.mark.parametrize("sparse", [False, True])
def test_an_id_outside_the_table_is_refused(kernel, wrong, sparse):
    case = Case(LENGTHS["ragged"], 4)
    case.ids[7] = wrong
    with pytest.raises(IndexError):
        case.run(kernel, sparse=sparse)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8], ids=str)
def test_ids_of_any_width(dtype):
    case = Case(LENGTHS["ragged"], 4)
    expected = case.run()
    case.ids = case.ids.to(dtype)
    assert_same_bits(case.run(), expected)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda case: setattr(case, "ids", case.ids[:-1]), "do not fit together"),
        (lambda case: setattr(case, "channels", case.channels[1:]), "do not fit together"),
        (lambda case: setattr(case, "mask", case.mask[:1]), "do not fit together"),
        (lambda case: setattr(case, "table", case.table[:, :-1].contiguous()), "do not fit together"),
        (lambda case: case.weights.__setitem__(1, Weights(*(each[:8] for each in case.weights[1][:3]))), "do not fit"),
    ],
    ids=["ids", "channels", "mask", "table", "second direction"],
)
def test_shapes_that_do_not_fit_are_refused(change, error):
    """The kernels would read beyond the end of something."""
    case = Case(LENGTHS["ragged"], 5, n_channels=2, n_directions=2)
    case.run()
    change(case)
    with pytest.raises(ValueError, match=error):
        case.run()


@pytest.mark.parametrize("wrong", ["numbers", "mask"])
def test_a_gradient_that_would_be_missing_is_refused(wrong):
    case = Case(LENGTHS["ragged"], 5, n_channels=2)
    inputs = Inputs(case.channels, case.ids, case.table.requires_grad_(), case.mask)
    getattr(inputs, wrong).requires_grad_()
    with pytest.raises(RuntimeError, match="have no gradients"):
        recurrence.run("lstm", inputs, case.layout, case.weights[0], "tanh", False)


def test_a_second_backward_is_refused():
    case = Case(LENGTHS["ragged"], 4, n_directions=2)
    inputs = Inputs(None, case.ids, case.table.requires_grad_(), case.mask)
    outputs = recurrence.run_both("lstm", inputs, case.layout, tuple(case.weights), "tanh")
    outputs.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="second time"):
        outputs.sum().backward()


@pytest.mark.parametrize("n_channels", [0, 4])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_network_trains_through_it(n_channels, bidirectional, monkeypatch):
    """The same gradients as on the plain twin, with dropout drawn alike; and the kernel read the table, in one call."""
    network = Network(NetworkConfig(
        n_outputs=2, vocab_size=N_IDS, embedding_dim=10, n_step_features=n_channels, cell="gru", units=(6,),
        bidirectional=bidirectional, pooling="max", activation="tanh", dropout=0.4, recurrent_dropout=0.0,
        token_dropout=0.2,
    )).reset_parameters(torch.Generator().manual_seed(0)).train()  # fmt: skip
    case = Case(LENGTHS["ragged"], 10, n_channels=n_channels)
    ran, true_run = [], recurrence._run

    def spy(cell, inputs, layout, weights, activation, reverse):
        ran.append((inputs.table is network.embedding.weight, reverse))
        return true_run(cell, inputs, layout, weights, activation, reverse)

    monkeypatch.setattr(recurrence, "_run", spy)

    def gradients():
        network.zero_grad()
        batch = SequenceBatch(case.ids, np.array(LENGTHS["ragged"]), step_features=case.channels)
        logits = network(batch, torch.Generator().manual_seed(1))
        (logits**2).sum().backward()
        return [logits.detach(), *(parameter.grad.clone() for parameter in network.parameters())]

    found = gradients()
    assert ran == [(True, (False, True) if bidirectional else (False,))]
    with _kernels.use("reference"):
        for a, b in zip(found, gradients(), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)

"""Embeddings that the kernel of the first layer looks up: against materialized vectors, and their gradients."""

import numpy as np
import pytest
import torch

from _sampling import sampled
from seqclf import _kernels
from seqclf._inference.config import NetworkConfig
from seqclf._kernels import CELLS, Inputs, StepLayout, Weights, reference, torch_native
from seqclf._kernels.cpu import recurrence
from seqclf._kernels.cpu.embedding import check_ids, unique_ids
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
OPTIONAL_INPUTS = {
    "with_mask, n_step_features": {
        "mask": (True, 0),
        "neither": (False, 0),
        "both": (True, 3),
        "step features": (False, 2),
    }
}


class Case:
    """A layer with an embedding, and a gradient of its outputs; `run` gives the outputs and all gradients, by name."""

    def __init__(self, lengths, dim, with_mask=True, n_step_features=0, cell="lstm", n_directions=1, seed=0):
        rng = np.random.default_rng(seed)

        def draw(*shape, scale=1.0):
            return torch.from_numpy((rng.standard_normal(shape) * scale).astype(np.float32))

        self.cell, self.layout = cell, StepLayout(lengths)
        self.ids = torch.from_numpy(rng.integers(0, N_IDS - 1, self.layout.n_steps))  # the last id does not occur
        self.embedding = draw(N_IDS, dim)
        self.mask = (draw(self.layout.n_rows, dim) > 0).float() * 2 if with_mask else None
        self.step_features = draw(self.layout.n_steps, n_step_features) if n_step_features else None
        rows = CELLS[cell].n_gates * UNITS
        shapes = [
            (rows, dim + n_step_features),
            (rows, UNITS),
            (rows,),
            *([(rows,)] if CELLS[cell].has_recurrent_bias else []),
        ]
        self.weights = [Weights(*(draw(*shape, scale=0.3) for shape in shapes)) for _ in range(n_directions)]
        self.grad_outputs = draw(self.layout.n_steps, n_directions * UNITS)

    def run(self, kernel=recurrence, dtype=torch.float32, materialize=False, sparse=False):
        def leaf(tensor):
            return None if tensor is None else tensor.detach().to(dtype, copy=True).requires_grad_()

        def plain(tensor):
            return tensor if tensor is None else tensor.to(dtype)

        embedding, weights = leaf(self.embedding), [Weights(*map(leaf, each)) for each in self.weights]
        inputs = Inputs(plain(self.step_features), self.ids, embedding, plain(self.mask), sparse)
        if materialize:
            inputs = reference.materialize(inputs, self.layout)
        name = {recurrence: "cpu", reference: "reference", torch_native: "torch_native"}[kernel]
        with _kernels.use(name):
            if len(weights) == 1:
                outputs = _kernels.recurrence(self.cell, inputs, self.layout, weights[0])
            else:
                outputs = _kernels.bidirectional(self.cell, inputs, self.layout, tuple(weights))
        named = {"embedding": embedding}
        for index, each in enumerate(weights):
            named |= {f"{name} {index}": w for name, w in each._asdict().items() if w is not None}
        outputs.backward(self.grad_outputs.to(dtype))
        return {"outputs": outputs.detach(), **{name: leaf.grad for name, leaf in named.items()}}


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, value in found.items():
        right = expected[name]
        # Gradients are sums of many terms, so the tolerance is relative to the largest value.
        scale = max(right.abs().max().item(), 1) if right.numel() and right.isfinite().all() else 1
        np.testing.assert_allclose(
            value.numpy(), right.numpy(), rtol=1e-4, atol=1e-5 * scale, equal_nan=True, err_msg=name
        )


def assert_same_bits(found, expected):
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.usefixtures("_every_instruction_set")
@sampled({"lengths": LENGTHS, "dim": [1, 7, 8, 16, 33, 64]} | OPTIONAL_INPUTS, n_quick=12)
def test_embedding_inputs_equal_reference(lengths, dim, with_mask, n_step_features, use_threads):
    case = Case(lengths, dim, with_mask, n_step_features)
    right, results = case.run(reference, torch.float64), {}
    for n_threads in (1, 2, 5):
        use_threads(n_threads)
        results[n_threads] = found = case.run()
        assert_close(found, right)
        assert (found["embedding"][N_IDS - 1] == 0).all()
        assert_same_bits(case.run(), found)
        vectors = case.run(materialize=True)
        del vectors["embedding"]  # torch sums this gradient in another order.
        assert_same_bits(found, vectors)
    for found in results.values():  # These sums have the same order for any number of threads.
        assert torch.equal(found["outputs"], results[1]["outputs"])
        assert torch.equal(found["embedding"], results[1]["embedding"])


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("dim", "with_mask", "n_step_features"), [(5, True, 0), (12, False, 3), (30, True, 2)])
def test_bidirectional_equals_each_direction(cell, dim, with_mask, n_step_features, use_threads):
    case = Case(LENGTHS["ragged"], dim, with_mask, n_step_features, cell, n_directions=2)
    right = case.run(reference, torch.float64)
    if torch_native.supports(cell, "tanh"):
        assert_close(case.run(torch_native, torch.float64), right)
    for n_threads in (1, 3):
        use_threads(n_threads)
        found = case.run()
        assert_close(found, right)
        assert_same_bits(case.run(), found)
        for index, reverse in enumerate((False, True)):
            inputs = Inputs(case.step_features, case.ids, case.embedding, case.mask)
            alone = recurrence.run(cell, inputs, case.layout, case.weights[index], "tanh", reverse)
            assert torch.equal(found["outputs"][:, index * UNITS : (index + 1) * UNITS], alone)


@sampled({"lengths": EMPTY, "cell": list(CELLS), "sparse": [False, True], "n_directions": [1, 2]}, n_quick=8)
def test_batch_without_steps_has_zero_gradients(lengths, cell, sparse, n_directions, poison_memory):
    case = Case(lengths, 5, cell=cell, n_step_features=2, n_directions=n_directions)
    poison_memory()
    found = case.run(sparse=sparse)
    assert found.pop("outputs").shape == (0, n_directions * UNITS)
    assert all((gradient.to_dense() == 0).all() for gradient in found.values())


@sampled(OPTIONAL_INPUTS | {"n_directions": [1, 2]})
def test_uninitialised_memory_does_not_contribute(with_mask, n_step_features, n_directions, poison_memory):
    case = Case(LENGTHS["ragged"], 19, with_mask, n_step_features, n_directions=n_directions)
    expected = case.run()
    sizes = poison_memory()
    assert_same_bits(case.run(), expected)
    # The gradients of the vectors and of the embedding.
    assert case.layout.n_steps * 19 in sizes and N_IDS * 19 in sizes


def test_non_contiguous_memory_does_not_change_any_bit():
    case = Case(LENGTHS["ragged"], 12, True, 2)
    expected = case.run()

    def strided(tensor):
        padded = torch.zeros((*tensor.shape, 2), dtype=tensor.dtype)
        padded[..., 1] = tensor
        return padded[..., 1]

    grad = case.grad_outputs
    case.ids, case.embedding, case.mask, case.step_features = map(
        strided, (case.ids, case.embedding, case.mask, case.step_features)
    )
    for case.grad_outputs in (strided(grad), torch.cat((grad, grad), dim=1)[:, :UNITS], grad.t().contiguous().t()):
        assert_same_bits(case.run(), expected)


@pytest.mark.usefixtures("_every_instruction_set")
@sampled({"lengths": LENGTHS, "dim": [2, 16, 33]} | OPTIONAL_INPUTS, n_quick=6)
def test_sparse_gradient_has_the_ids_that_occur(lengths, dim, with_mask, n_step_features, use_threads, poison_memory):
    """It has the bits of the dense gradient, in ascending order of ids, and does not depend on uninitialised memory."""
    case = Case(lengths, dim, with_mask, n_step_features)
    sizes = poison_memory()
    for n_threads in (1, 3):
        use_threads(n_threads)
        dense = case.run()
        sizes.clear()
        found = case.run(sparse=True)
        assert found["embedding"].is_sparse
        rows = found["embedding"]._indices()[0]
        assert torch.equal(rows, torch.unique(case.ids))
        assert len(rows) * dim in sizes and N_IDS * dim not in sizes, "memory for these ids only"
        found["embedding"] = found["embedding"].to_dense()
        assert_same_bits(found, dense)


def test_sparse_gradient_equals_reference():
    case = Case(LENGTHS["ragged"], 5)
    gradients = [case.run(kernel, sparse=True)["embedding"] for kernel in (recurrence, reference)]
    assert all(gradient.is_sparse for gradient in gradients)
    np.testing.assert_allclose(*(gradient.to_dense().numpy() for gradient in gradients), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("field", ["embedding", "step_features", "grad_outputs"])
def test_nan_and_infinity_propagate(value, field):
    case = Case(LENGTHS["ragged"], 9, True, 1, cell="rnn")
    getattr(case, field)[(int(case.ids[3]) if field == "embedding" else 5), 0] = value
    found, right = case.run(), case.run(reference)
    assert not all(values.isfinite().all() for values in found.values())
    for name, values in right.items():
        np.testing.assert_array_equal(found[name].isnan().numpy(), values.isnan().numpy(), err_msg=name)


@pytest.mark.parametrize("wrong", [-1, N_IDS, 2**40])
@pytest.mark.parametrize("kernel", [recurrence, reference], ids=["cpu", "reference"])
@pytest.mark.parametrize("sparse", [False, True])
def test_id_outside_the_embedding_raises(kernel, wrong, sparse):
    case = Case(LENGTHS["ragged"], 4)
    case.ids[7] = wrong
    with pytest.raises(IndexError):
        case.run(kernel, sparse=sparse)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8], ids=str)
def test_ids_of_any_integer_dtype(dtype):
    case = Case(LENGTHS["ragged"], 4)
    expected = case.run()
    case.ids = case.ids.to(dtype)
    assert_same_bits(case.run(), expected)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda case: setattr(case, "ids", case.ids[:-1]), "do not match"),
        (lambda case: setattr(case, "step_features", case.step_features[1:]), "do not match"),
        (lambda case: setattr(case, "mask", case.mask[:1]), "do not match"),
        (lambda case: setattr(case, "embedding", case.embedding[:, :-1].contiguous()), "do not match"),
        (
            lambda case: case.weights.__setitem__(1, Weights(*(each[:8] for each in case.weights[1][:3]))),
            "do not match",
        ),
    ],
    ids=["ids", "step_features", "mask", "embedding", "second direction"],
)
def test_mismatched_shapes_raise(change, error):
    """Otherwise the kernels would read out of bounds."""
    case = Case(LENGTHS["ragged"], 5, n_step_features=2, n_directions=2)
    case.run()
    change(case)
    with pytest.raises(ValueError, match=error):
        case.run()


@pytest.mark.parametrize("wrong", ["values", "mask"])
def test_values_or_mask_that_require_a_gradient_raise(wrong):
    case = Case(LENGTHS["ragged"], 5, n_step_features=2)
    inputs = Inputs(case.step_features, case.ids, case.embedding.requires_grad_(), case.mask)
    getattr(inputs, wrong).requires_grad_()
    with pytest.raises(RuntimeError, match="get no gradients"):
        recurrence.run("lstm", inputs, case.layout, case.weights[0], "tanh", False)


def test_second_backward_raises():
    case = Case(LENGTHS["ragged"], 4, n_directions=2)
    inputs = Inputs(None, case.ids, case.embedding.requires_grad_(), case.mask)
    outputs = recurrence.run_both("lstm", inputs, case.layout, tuple(case.weights), "tanh")
    outputs.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="second time"):
        outputs.sum().backward()


@pytest.mark.parametrize("n_step_features", [0, 4])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_network_gradients_equal_reference(n_step_features, bidirectional, monkeypatch):
    """The dropout masks are the same, and the kernel runs once, with the embedding itself."""
    network = Network(NetworkConfig(
        n_outputs=2, vocab_size=N_IDS, embedding_dim=10, n_step_features=n_step_features, cell="gru", units=(6,),
        bidirectional=bidirectional, pooling="max", activation="tanh", dropout=0.4, recurrent_dropout=0.0,
        token_dropout=0.2,
    )).reset_parameters(torch.Generator().manual_seed(0)).train()  # fmt: skip
    case = Case(LENGTHS["ragged"], 10, n_step_features=n_step_features)
    ran, true_run = [], recurrence._run

    def spy(cell, inputs, layout, weights, activation, reverse):
        ran.append((inputs.embedding is network.embedding.weight, reverse))
        return true_run(cell, inputs, layout, weights, activation, reverse)

    monkeypatch.setattr(recurrence, "_run", spy)

    def gradients():
        network.zero_grad()
        batch = SequenceBatch(case.ids, np.array(LENGTHS["ragged"]), step_features=case.step_features)
        logits = network(batch, torch.Generator().manual_seed(1))
        (logits**2).sum().backward()
        return [logits.detach(), *(parameter.grad.clone() for parameter in network.parameters())]

    found = gradients()
    assert ran == [(True, (False, True) if bidirectional else (False,))]
    with _kernels.use("reference"):
        for a, b in zip(found, gradients(), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)


def test_unique_ids_are_ascending_with_the_index_of_each():
    ids = torch.tensor([5, 2, 5, 9, 2, 0])
    occurring, inverse = unique_ids(ids, 10)
    assert occurring.tolist() == [[0, 2, 5, 9]]
    assert torch.equal(occurring[0, inverse[ids].long()], ids)
    assert unique_ids(ids[:0], 10)[0].shape == (1, 0)


@pytest.mark.parametrize("wrong", [-1, 10])
def test_unique_ids_raise_for_ids_out_of_range(wrong):
    with pytest.raises(IndexError, match=f"{wrong}.*; expected 0 to 9"):
        unique_ids(torch.tensor([3, wrong]), 10)


def test_check_ids_names_the_range():
    check_ids(torch.tensor([0, 9, 3]), 10)
    check_ids(torch.tensor([], dtype=torch.int64), 0)
    with pytest.raises(IndexError, match="The ids run from -2 to 12; expected 0 to 9"):
        check_ids(torch.tensor([3, -2, 12]), 10)

"""One step of an optimiser for all parameters: what it is made for, and what it can read."""

import pytest
import torch

from seqclf import _kernels
from seqclf._kernels import FusedStep, Hyperparameters, State
from seqclf._native import library

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

HYPERPARAMETERS = Hyperparameters(0.1, 0.0, 0.0, 0.0, 0.0)


def make_parameters():
    return [torch.ones(4, 3), torch.ones(5)]


def make_step(parameters):
    return FusedStep("sgd", parameters, [State()] * len(parameters), [False] * len(parameters))


def test_it_matches_the_parameters_that_it_was_made_for():
    parameters = make_parameters()
    step = make_step(parameters)
    assert step.matches(parameters, [False, False])
    assert not step.matches(parameters, [True, False])
    assert not step.matches(parameters[:1], [False])
    assert not step.matches([parameters[0], parameters[1].clone()], [False, False])
    parameters[1].data = parameters[1].data.clone()
    assert not step.matches(parameters, [False, False])


@pytest.mark.parametrize(
    ("make_unreadable", "where"),
    [
        (lambda tensor: tensor.double(), "parameter"),
        (lambda tensor: tensor.t().contiguous().t(), "parameter"),
        (lambda tensor: tensor.t().contiguous().t(), "gradient"),
        (lambda tensor: tensor.to_sparse(), "gradient"),
        (lambda tensor: tensor.to_sparse_csr(), "gradient"),
    ],
    ids=["float64", "strided parameter", "strided gradient", "two sparse dimensions", "csr"],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_what_the_kernels_can_not_read_is_left_to_torch(make_unreadable, where):
    parameters, gradients = make_parameters(), make_parameters()
    chosen = parameters if where == "parameter" else gradients
    chosen[0] = make_unreadable(chosen[0])
    before = parameters[0].clone()
    assert not _kernels.optimize(make_step(parameters), gradients, [HYPERPARAMETERS] * 2)
    assert torch.equal(parameters[0], before)


def test_dense_and_sparse_gradients_in_one_step():
    parameters, gradients = make_parameters(), make_parameters()
    gradients[0] = torch.sparse_coo_tensor(torch.tensor([[1, 3]]), torch.ones(2, 3), (4, 3), check_invariants=True)
    assert _kernels.optimize(make_step(parameters), gradients, [HYPERPARAMETERS] * 2)
    assert torch.equal(parameters[0], torch.tensor([1, 0.9, 1, 0.9])[:, None].expand(4, 3))
    assert torch.equal(parameters[1], torch.full((5,), 0.9))


def test_the_kernels_are_not_used_where_others_are_forced():
    parameters = make_parameters()
    with _kernels.use("reference"):
        assert not _kernels.optimize(make_step(parameters), make_parameters(), [HYPERPARAMETERS] * 2)
    assert torch.equal(parameters[1], torch.ones(5))

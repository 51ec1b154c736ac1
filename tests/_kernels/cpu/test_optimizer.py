"""One optimiser update for all parameters: when it can be reused, and which tensors it supports."""

import pytest
import torch

from seqclf import _kernels
from seqclf._kernels import FusedUpdate, Hyperparameters, ParameterState
from seqclf._native import library

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

HYPERPARAMETERS = Hyperparameters(0.1, 0.0, 0.0, 0.0, 0.0)


def make_parameters():
    return [torch.ones(4, 3), torch.ones(5)]


def make_update(parameters):
    return FusedUpdate("sgd", parameters, [ParameterState()] * len(parameters), [False] * len(parameters))


def test_matches_the_parameters_that_it_was_made_for():
    parameters = make_parameters()
    update = make_update(parameters)
    assert update.matches(parameters, [False, False])
    assert not update.matches(parameters, [True, False])
    assert not update.matches(parameters[:1], [False])
    assert not update.matches([parameters[0], parameters[1].clone()], [False, False])
    parameters[1].data = parameters[1].data.clone()
    assert not update.matches(parameters, [False, False])


@pytest.mark.parametrize(
    ("make_unsupported", "where"),
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
def test_unsupported_tensors_are_not_updated(make_unsupported, where):
    parameters, gradients = make_parameters(), make_parameters()
    chosen = parameters if where == "parameter" else gradients
    chosen[0] = make_unsupported(chosen[0])
    before = parameters[0].clone()
    assert not _kernels.optimize(make_update(parameters), gradients, [HYPERPARAMETERS] * 2)
    assert torch.equal(parameters[0], before)


def test_dense_and_sparse_gradients_in_one_update():
    parameters, gradients = make_parameters(), make_parameters()
    gradients[0] = torch.sparse_coo_tensor(torch.tensor([[1, 3]]), torch.ones(2, 3), (4, 3), check_invariants=True)
    assert _kernels.optimize(make_update(parameters), gradients, [HYPERPARAMETERS] * 2)
    assert torch.equal(parameters[0], torch.tensor([1, 0.9, 1, 0.9])[:, None].expand(4, 3))
    assert torch.equal(parameters[1], torch.full((5,), 0.9))

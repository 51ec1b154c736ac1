"""The embedding and one-hot modules: they pass the ids on to the kernels."""

import torch

from seqclf._kernels import StepLayout, materialize
from seqclf._nn.embedding import Embedding, OneHot

LAYOUT = StepLayout([2, 3])
IDS = torch.tensor([3, 0, 6, 3, 1])


def make_embedding():
    embedding = Embedding(7, 4)
    embedding.reset_parameters(torch.Generator().manual_seed(0))
    return embedding


def test_embedding_returns_the_vector_of_each_id():
    embedding = make_embedding()
    assert torch.equal(materialize(embedding(IDS, None, None), LAYOUT), embedding.weight[IDS])


def test_embedding_multiplies_by_the_mask_of_the_row_and_appends_step_features():
    embedding, mask = make_embedding(), torch.tensor([[2.0, 0, 2, 0], [0, 2, 2, 2]])
    step_features = torch.arange(10.0).reshape(5, 2)
    found = materialize(embedding(IDS, mask, step_features), LAYOUT)
    expected = torch.cat((embedding.weight[IDS] * mask[LAYOUT.row_of_step], step_features), dim=1)
    assert torch.equal(found, expected)


def test_sparse_embedding_has_a_gradient_of_its_ids_only():
    embedding = make_embedding()
    embedding.sparse = True
    materialize(embedding(IDS, None, None), LAYOUT).sum().backward()
    gradient = embedding.weight.grad.coalesce()
    assert gradient.is_sparse and gradient.indices()[0].tolist() == [0, 1, 3, 6]


def test_embedding_reset_parameters_draws_from_the_generator():
    embedding = Embedding(1000, 20)
    embedding.reset_parameters(torch.Generator().manual_seed(0))
    first = embedding.weight.detach().clone()
    assert abs(first.std().item() - 0.1) < 0.005 and abs(first.mean().item()) < 0.005
    embedding.reset_parameters(torch.Generator().manual_seed(0))
    assert torch.equal(embedding.weight, first)


def test_one_hot_returns_the_ids():
    assert OneHot()(IDS) is IDS

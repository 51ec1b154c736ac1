"""`SequenceBatch`: its sizes."""

import numpy as np
import pytest
import torch

from seqclf._kernels import LookUp
from seqclf._nn.sequence_batch import SequenceBatch

LENGTHS = np.array([3, 0, 2])


def test_len_and_n_steps_of_a_batch():
    batch = SequenceBatch(torch.zeros(9, 2), LENGTHS, starts=np.array([6, 0, 1]))
    assert len(batch) == 3 and batch.n_steps == 5


@pytest.mark.parametrize(
    ("step_features", "width"),
    [
        (None, 0),
        (torch.zeros(5, 4), 4),
        (LookUp(torch.zeros(5, 2, dtype=torch.int32), (torch.zeros(1, 3, 4), torch.zeros(1, 7, 2)), LENGTHS * 0), 6),
    ],
    ids=["none", "tensor", "look-up"],
)
def test_step_features_width(step_features, width):
    batch = SequenceBatch(torch.zeros(5, dtype=torch.int64), LENGTHS, step_features=step_features)
    assert batch.step_features_width == width

"""Gathering of the steps of a batch, and of their looked-up values, on the compiled CPU kernels."""

import torch
from torch import Tensor

from seqclf._inference.gather import gather_steps_compiled, look_up_compiled
from seqclf._kernels.inputs import LookUp
from seqclf._kernels.layout import StepLayout


def gather_steps(values: Tensor, layout: StepLayout) -> Tensor:
    """The steps in the order of `layout`, without gradients; see :func:`seqclf._kernels.gather_steps`."""
    return torch.from_numpy(gather_steps_compiled(values.numpy(), layout))


def look_up(lookup: LookUp, layout: StepLayout) -> Tensor:
    """The looked-up values of each step, shape (n_steps, n_channels); see :func:`seqclf._kernels.gather_steps`."""
    return torch.from_numpy(look_up_compiled(*lookup.as_arrays(), layout))

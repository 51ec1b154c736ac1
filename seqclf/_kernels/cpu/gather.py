"""The steps of a batch, gathered from the data on our own CPU kernels, and what tables hold for each of them."""

import torch
from torch import Tensor

from seqclf._inference.gather import arrange_compiled, look_up_compiled
from seqclf._kernels.inputs import LookUp
from seqclf._kernels.layout import StepLayout


def arrange(values: Tensor, layout: StepLayout) -> Tensor:
    """Steps in the order of `layout`; see :func:`seqclf._kernels.arrange`. It has no gradients."""
    return torch.from_numpy(arrange_compiled(values.numpy(), layout))


def look_up(asked: LookUp, layout: StepLayout) -> Tensor:
    """What the tables hold for each step, shape (n_steps, n_channels); see :func:`seqclf._kernels.arrange`."""
    return torch.from_numpy(look_up_compiled(*asked.as_arrays(), layout))

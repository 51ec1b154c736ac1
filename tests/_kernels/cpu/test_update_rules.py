"""The update rules: Python and the C++ header have the same codes, and the library applies each rule as torch does."""

import re
from pathlib import Path

import pytest
import torch

from seqclf import _kernels
from seqclf._kernels import FusedUpdate, Hyperparameters, ParameterState
from seqclf._kernels.cpu.update_rules import CODES
from seqclf._native import abi, library

# For each rule: torch's optimiser, the hyperparameters for both, and the moments that the rule needs (mean, square).
RULES = {
    "sgd": (torch.optim.SGD, {}, (0.0, 0.0, 0.0), (False, False)),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, (0.9, 0.0, 0.0), (True, False)),
    "rmsprop": (torch.optim.RMSprop, {"alpha": 0.99, "eps": 1e-8}, (0.0, 0.99, 1e-8), (False, True)),
    "adagrad": (torch.optim.Adagrad, {"eps": 1e-10}, (0.0, 0.0, 1e-10), (False, True)),
    "adam": (torch.optim.Adam, {"betas": (0.9, 0.999), "eps": 1e-8}, (0.9, 0.999, 1e-8), (True, True)),
    "adamw": (torch.optim.AdamW, {"betas": (0.9, 0.999), "eps": 1e-8}, (0.9, 0.999, 1e-8), (True, True)),
}
compiled = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")


def codes_in_header():
    """The values of `Rule` in abi.h, by lower-case name."""
    text = (Path(abi.__file__).parent / "csrc" / "abi.h").read_text()
    (body,) = re.findall(r"enum (?:class )?Rule[^{]*\{(.*?)\};", text, re.DOTALL)
    return {name.lower(): int(code) for name, code in re.findall(r"(\w+) = (\d+)", body)}


def test_codes_are_those_of_the_header():
    assert codes_in_header() == CODES


@compiled
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("rule", CODES)
def test_rule_equals_the_optimizer_of_torch(rule, weight_decay):
    make_optimizer, options, (momentum, decay, eps), (has_mean, has_square) = RULES[rule]
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(6, 5, generator=generator)
    parameter = values.double().requires_grad_()
    optimizer = make_optimizer([parameter], lr=0.05, weight_decay=weight_decay, **options)
    moments = [torch.zeros_like(values) if needed else None for needed in (has_mean, has_square)]
    update = FusedUpdate(rule, [values], [ParameterState(*moments, torch.zeros(()))], [False])
    hyperparameters = [Hyperparameters(0.05, weight_decay, momentum, decay, eps)]
    for _ in range(5):
        gradient = torch.randn(6, 5, generator=generator)
        assert _kernels.optimize(update, [gradient], hyperparameters)
        parameter.grad = gradient.double()
        optimizer.step()
    torch.testing.assert_close(values.double(), parameter.detach(), rtol=1e-5, atol=1e-6)

"""The activations of the compiled library are those of Python."""

import re
from pathlib import Path

import pytest
import torch

from seqclf._kernels import ACTIVATIONS
from seqclf._kernels.cpu.activation import activate
from seqclf._native import abi, library
from seqclf._native.cell_layout import has_activation

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")

SOURCES = Path(abi.__file__).parent / "csrc"


def names_in_header():
    """The codes and names of csrc/activations.h."""
    found = re.findall(r"\bACTIVATION\((\d+), (\w+)\)", (SOURCES / "activations.h").read_text())
    return {int(code): name for code, name in found}


def inputs_of_all_magnitudes():
    """Both signs, from the smallest values that are not flushed to zero to far beyond saturation; a multiple of 8."""
    positive = torch.cat([torch.linspace(0, 30, 4_000), torch.logspace(-37, 18, 4_000)])
    return torch.cat([positive, -positive])


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activate_equals_the_python_definition(name):
    x = inputs_of_all_magnitudes()
    values, slopes = activate(ACTIVATIONS[name].code, x)
    exact = x.double().requires_grad_()
    expected = ACTIVATIONS[name].function(exact)
    (expected_slopes,) = torch.autograd.grad(expected.sum(), exact)
    torch.testing.assert_close(values.double(), expected.detach(), rtol=1e-6, atol=0)
    # The derivative is computed from the value, whose distance from 1 has the rounding error of 1.
    torch.testing.assert_close(slopes.double(), expected_slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("_every_instruction_set")
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activate_propagates_nan_and_keeps_zero(name):
    x = torch.tensor([torch.nan, 0.0] * 4, requires_grad=True)
    values, slopes = activate(ACTIVATIONS[name].code, x.detach())
    (expected_slopes,) = torch.autograd.grad(ACTIVATIONS[name].function(x).sum(), x)
    assert values[::2].isnan().all() and slopes[::2].isnan().all()
    assert (values[1::2] == 0).all() and torch.equal(slopes[1::2], expected_slopes[1::2])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_codes_are_those_of_the_header(name):
    code = ACTIVATIONS[name].code
    assert names_in_header()[code].lower() == name
    assert has_activation.__wrapped__(code)


def test_header_has_no_other_activation():
    assert names_in_header().keys() == {activation.code for activation in ACTIVATIONS.values()}


@pytest.mark.parametrize("code", [-1, 99])
def test_unknown_activation_code_raises(code):
    assert not has_activation.__wrapped__(code)
    with pytest.raises(ValueError, match=f"no activation with the code {code}"):
        activate(code, torch.zeros(8))


def test_no_other_source_file_names_an_activation():
    names = "|".join(names_in_header().values())
    others = [path for path in SOURCES.rglob("*.*") if path.name != "activations.h"]
    assert len(others) > 10
    assert not [path.name for path in others if re.search(rf"\b({names})\b", path.read_text())]

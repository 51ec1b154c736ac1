"""The constants that tests change."""

import importlib

import pytest

from _tuning import TUNING


@pytest.mark.parametrize("name", TUNING)
def test_each_tuning_constant_is_defined_and_set_in_its_module(name, tune):
    module, constant = TUNING[name]
    before = getattr(importlib.import_module(module), constant)
    value = object()
    tune(**{name: value})
    assert getattr(importlib.import_module(module), constant) is value is not before

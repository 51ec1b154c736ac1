"""Parametrisation with all combinations of some values, of which the quick test run takes a representative sample."""

import itertools

import numpy as np
import pytest


def sampled(parameters, n_quick=None):
    """Parametrize a test with the product of all values, and mark all combinations but a sample as slow.

    The sample is a fixed Latin hypercube: every value of every parameter occurs in it.

    Parameters
    ----------
    parameters : dict
        Values by argument name, as a list, or as a dict from test id to value. A key "a, b" stands for two arguments,
        whose values are pairs.
    n_quick : int, default=None
        Size of the sample, at least the number of values of each parameter; None takes the largest of these numbers.
    """
    names = [key.split(", ") for key in parameters]
    options = [_by_id(values) for values in parameters.values()]
    sizes = [len(each) for each in options]
    n_quick = max(sizes) if n_quick is None else n_quick
    assert n_quick >= max(sizes), "every value has to occur in the sample"
    if 0 in sizes:
        return pytest.mark.parametrize([name for group in names for name in group], [])
    rng = np.random.default_rng(0)
    columns = [np.concatenate([rng.permutation(size) for _ in range(-(-n_quick // size))])[:n_quick] for size in sizes]
    quick = set(zip(*(column.tolist() for column in columns), strict=True))
    cases = []
    for indices in itertools.product(*map(range, sizes)):
        chosen = [each[index] for each, index in zip(options, indices, strict=True)]
        arguments = [
            argument
            for group, (_, value) in zip(names, chosen, strict=True)
            for argument in (value if len(group) > 1 else (value,))
        ]
        marks = () if indices in quick else pytest.mark.slow
        cases.append(pytest.param(*arguments, id="-".join(name for name, _ in chosen), marks=marks))
    return pytest.mark.parametrize([name for group in names for name in group], cases)


def _by_id(values):
    if isinstance(values, dict):
        return list(values.items())
    return [("-".join(map(str, value)) if isinstance(value, tuple) else str(value), value) for value in values]

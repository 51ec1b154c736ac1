"""Series as the network reads them, from a saved state or from an estimator."""

import numpy as np
import pytest

from seqclf import RNNClassifier
from seqclf._inputs.series_encoder import SeriesEncoder
from seqclf._saved import Saved, SavedStateError

RNG = np.random.default_rng(0)
TABLE = RNG.normal(3, 2, size=(12, 5))
CASES = {
    "table": (TABLE, {}),
    "table with holes": (np.where(RNG.random((12, 5)) < 0.2, np.nan, TABLE), {"missing": "forward"}),
    "channels first": (RNG.normal(size=(12, 2, 6)), {"channels_first": True}),
    "ragged": ([RNG.normal(size=(n, 3)) for n in range(1, 13)], {"scale": False}),
}


def encoder_of(name):
    X, parameters = CASES[name]
    model = RNNClassifier(units=2, max_epochs=1, random_state=0, wide=False, **parameters).fit(X, [0, 1] * 6)
    names = ("channels_first", "missing", "scale")
    return model, X, Saved({each: getattr(model, each) for each in names})


@pytest.mark.parametrize("name", CASES)
def test_it_reads_and_encodes_as_the_estimator_does(name):
    model, X, parameters = encoder_of(name)
    encoder = SeriesEncoder.from_state(Saved(model._encoder().to_state()), parameters)
    found, expected = encoder.encode(encoder.read(X)), model._encode(model._validate_X(X, reset=False))
    np.testing.assert_array_equal(found.steps.values, expected.steps.values)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    assert found.steps.values.dtype == np.float32


def test_another_width_is_refused():
    model, _, parameters = encoder_of("table")
    encoder = SeriesEncoder.from_state(Saved(model._encoder().to_state()), parameters)
    with pytest.raises(ValueError, match="5"):
        encoder.read(TABLE[:, :4])
    with pytest.raises(ValueError, match="must be a table of 5 steps"):
        encoder.read([TABLE[0], TABLE[1, :3]])


def test_numbers_beyond_float32_are_named():
    model, _, _ = encoder_of("ragged")
    encoder = model._encoder()
    with pytest.raises(ValueError, match=r"X holds .* in row 1, step 0: too large .*scale=True"):
        encoder.encode(encoder.read([np.zeros((1, 3)), np.full((1, 3), 1e39)]))


@pytest.mark.filterwarnings("ignore:Row 0 of X has no names")
@pytest.mark.parametrize("name", CASES)
def test_a_changed_state_is_an_error_or_the_same_encoder(name, altered):
    model, X, parameters = encoder_of(name)
    expected = model._encode(model._validate_X(X, reset=False)).steps.values
    n_refused = 0
    for state in altered(model._encoder().to_state()):
        try:
            encoder = SeriesEncoder.from_state(Saved(state), parameters)
        except SavedStateError:
            n_refused += 1
            continue
        try:
            assert encoder.encode(encoder.read(X)).steps.values.shape == expected.shape
        except (TypeError, ValueError):
            continue  # as such an encoder refuses such rows
    assert n_refused > 10

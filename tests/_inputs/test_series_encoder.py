"""`SeriesEncoder`: a restored encoder encodes like its estimator."""

import numpy as np
import pytest

from seqclf import RNNClassifier
from seqclf._inputs.series_encoder import SeriesEncoder
from seqclf._saved import Saved, SavedStateError

RNG = np.random.default_rng(0)
TABLE = RNG.normal(3, 2, size=(12, 5))
CASES = {
    "table": (TABLE, {}),
    "table with missing values": (np.where(RNG.random((12, 5)) < 0.2, np.nan, TABLE), {"missing": "forward"}),
    "channels first": (RNG.normal(size=(12, 2, 6)), {"channels_first": True}),
    "ragged": ([RNG.normal(size=(n, 3)) for n in range(1, 13)], {"scale": False}),
}


def fit_case(case):
    X, parameters = CASES[case]
    model = RNNClassifier(units=2, max_epochs=1, random_state=0, wide=False, **parameters).fit(X, [0, 1] * 6)
    names = ("channels_first", "missing", "scale")
    return model, X, Saved({name: getattr(model, name) for name in names})


@pytest.mark.parametrize("name", CASES)
def test_restored_series_encoder_equals_the_estimator(name):
    model, X, parameters = fit_case(name)
    encoder = SeriesEncoder.from_state(Saved(model._encoder().to_state()), parameters)
    found, expected = encoder.encode(encoder.validate(X)), model._encode(model._validate_X(X, reset=False))
    np.testing.assert_array_equal(found.steps.values, expected.steps.values)
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    assert found.steps.values.dtype == np.float32


def test_series_encoder_rejects_another_number_of_columns():
    model, _, parameters = fit_case("table")
    encoder = SeriesEncoder.from_state(Saved(model._encoder().to_state()), parameters)
    with pytest.raises(ValueError, match="5"):
        encoder.validate(TABLE[:, :4])
    with pytest.raises(ValueError, match="must be a table of 5 steps"):
        encoder.validate([TABLE[0], TABLE[1, :3]])


def test_series_encoder_rejects_values_beyond_float32():
    model, _, _ = fit_case("ragged")
    encoder = model._encoder()
    with pytest.raises(ValueError, match=r"X holds .* in row 1, step 0: too large .*scale=True"):
        encoder.encode(encoder.validate([np.zeros((1, 3)), np.full((1, 3), 1e39)]))


@pytest.mark.filterwarnings("ignore:Row 0 of X has no channel names")
@pytest.mark.parametrize("name", CASES)
def test_from_state_of_an_altered_state_is_an_error_or_a_usable_encoder(name, altered):
    model, X, parameters = fit_case(name)
    expected = model._encode(model._validate_X(X, reset=False)).steps.values
    n_errors = 0
    for state in altered(model._encoder().to_state()):
        try:
            encoder = SeriesEncoder.from_state(Saved(state), parameters)
        except SavedStateError:
            n_errors += 1
            continue
        try:
            assert encoder.encode(encoder.validate(X)).steps.values.shape == expected.shape
        except (TypeError, ValueError):
            continue  # this encoder is for other rows
    assert n_errors > 10

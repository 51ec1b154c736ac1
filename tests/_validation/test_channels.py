"""The form of series in a saved state."""

import pytest

from seqclf._saved import Saved, SavedStateError
from seqclf._validation.channels import SeriesForm

FORMS = [SeriesForm(1), SeriesForm(3, 2), SeriesForm(2, 1, ("b", "a")), SeriesForm(2, 2, ("a", "a"))]


@pytest.mark.parametrize("form", FORMS)
def test_a_saved_form_comes_back(form):
    assert SeriesForm.from_state(Saved(form.to_state())) == form


@pytest.mark.parametrize("form", FORMS)
def test_a_changed_form_is_refused_or_is_a_form(form, altered):
    n_refused = 0
    for state in altered(form.to_state()):
        try:
            again = SeriesForm.from_state(Saved(state))
        except SavedStateError:
            n_refused += 1
            continue
        assert 1 <= again.n_channels < 2**31 and again.n_axes in (None, 1, 2)
        assert again.channel_names is None or len(again.channel_names) == again.n_channels
    assert n_refused > 30

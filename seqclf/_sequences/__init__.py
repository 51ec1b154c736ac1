"""The one inner form of all sequences (`Ragged`) and the checks at the door."""

from seqclf._sequences.ragged import Ragged
from seqclf._sequences.validation import check_parameters, read_labels, read_sample_weight, read_series, read_text_input

__all__ = ["Ragged", "check_parameters", "read_labels", "read_sample_weight", "read_series", "read_text_input"]

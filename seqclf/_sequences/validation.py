"""What seqclf accepts, in one place: parameters, text input, series, labels and weights.

The work is done in one module for each of these; this one is the list.
"""

from seqclf._sequences.containers import shorten
from seqclf._sequences.parameters import (
    Constraint,
    all_or_nothing,
    any_of,
    boolean,
    check_output_container,
    check_parameters,
    class_weight,
    has_methods,
    integer,
    nan,
    optional,
    options,
    random_state,
    real,
    sequence_of,
)
from seqclf._sequences.series_input import read_series
from seqclf._sequences.targets import read_labels, read_sample_weight, refuse_one_class
from seqclf._sequences.text_input import MAX_ID, PADDING, UNKNOWN, Kind, read_text_input

__all__ = [
    "MAX_ID",
    "PADDING",
    "UNKNOWN",
    "Constraint",
    "Kind",
    "all_or_nothing",
    "any_of",
    "boolean",
    "check_output_container",
    "check_parameters",
    "class_weight",
    "has_methods",
    "integer",
    "nan",
    "optional",
    "options",
    "random_state",
    "read_labels",
    "read_sample_weight",
    "read_series",
    "read_text_input",
    "real",
    "refuse_one_class",
    "sequence_of",
    "shorten",
]

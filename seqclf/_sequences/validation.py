"""What seqclf accepts, in one place: parameters, text input, series, labels, weights and groups.

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
from seqclf._sequences.targets import (
    check_labels,
    codes_of,
    read_groups,
    read_labels,
    read_sample_weight,
    refuse_one_class,
    refuse_one_group,
)
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
    "check_labels",
    "check_output_container",
    "check_parameters",
    "class_weight",
    "codes_of",
    "has_methods",
    "integer",
    "nan",
    "optional",
    "options",
    "random_state",
    "read_groups",
    "read_labels",
    "read_sample_weight",
    "read_series",
    "read_text_input",
    "real",
    "refuse_one_class",
    "refuse_one_group",
    "sequence_of",
    "shorten",
]

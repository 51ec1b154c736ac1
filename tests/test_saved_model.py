"""FittedComponents: components of different models, or of another class, are rejected."""

import copy

import pytest

import seqclf
from _fitted_models import fitted
from seqclf import ModelFileError, load_model, load_predictor, save_model
from seqclf._model_files.states import read_states, write_states


def states_of(name, tmp_path):
    save_model(fitted(name)[0], tmp_path / "saved.zip")
    return read_states(tmp_path / "saved.zip")


def replaced(states, path, value):
    """A copy of nested states with another value at this path."""
    states = copy.deepcopy(states)
    *keys, last = path
    parent = states
    for key in keys:
        parent = parent[key]
    parent[last] = value
    return states


# A model, another model, and the path of the component that is taken from the other model.
FITTED = ("model", "fitted")
MISMATCHES = [
    ("ids", "texts, three classes, gru", ("label_features",)),
    ("texts, three classes, gru", "texts, two classes", ("label_features",)),
    ("texts, three classes, gru", "matrix", ("label_features",)),
    ("matrix", "texts, three classes, gru", ("label_features",)),
    ("matrix", "ragged series", ("label_features",)),
    ("tags of tokens", "texts, three classes, gru", ("label_features",)),
    ("texts, three classes, gru", "tags of tokens", ("label_features",)),
    ("texts, three classes, gru", "tokens", ("tokenizer",)),
    ("texts, three classes, gru", "characters", ("tokenizer",)),
    ("matrix", "series, one value", (*FITTED, "task")),
    ("tags of series", "matrix", (*FITTED, "task")),
    ("ragged series", "matrix", (*FITTED, "input")),
    ("ids", "matrix", (*FITTED, "input")),
]


@pytest.mark.parametrize(("name", "source", "path"), MISMATCHES, ids=str)
def test_components_of_different_models_are_rejected(name, source, path, tmp_path):
    states, value = (states_of(each, tmp_path) for each in (name, source))
    for key in path:
        value = value[key]
    write_states(tmp_path / "mixed", replaced(states, path, value))
    message = "trained with|n-grams|outputs|linear model|tokenizer|pooling|is missing|its class is"
    for load in (load_model, load_predictor):
        with pytest.raises(ModelFileError, match=message):
            load(tmp_path / "mixed")


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("texts, three classes, gru", "RNNClassifier"),
        ("matrix", "RNNTextClassifier"),
        ("series, one value", "RNNClassifier"),
        ("tags of tokens", "RNNTextClassifier"),
        ("texts, three classes, gru", "RNNTextRegressor"),
        ("texts, values", "RNNTextClassifier"),
    ],
)
def test_class_with_another_input_or_task_is_rejected(name, class_name, tmp_path):
    states = states_of(name, tmp_path)
    parameters = getattr(seqclf, class_name)().get_params(deep=False)
    states = replaced(replaced(states, ("model", "class"), class_name), ("model", "parameters"), parameters)
    write_states(tmp_path / "changed", states)
    for load in (load_model, load_predictor):
        with pytest.raises(ModelFileError, match=f"its class is {class_name}, but its input is|missing"):
            load(tmp_path / "changed")

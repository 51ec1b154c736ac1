"""`TrainingConfig`: its options, and its fields, which are parameters of the estimators."""

from dataclasses import fields

from seqclf import RNNClassifier
from seqclf._training import config, optimizers


def test_optimizers_are_those_of_the_optimizers_module():
    assert tuple(optimizers.OPTIMIZERS) == config.OPTIMIZERS


def test_fields_are_parameters_of_the_estimators():
    names = {field.name for field in fields(config.TrainingConfig)}
    assert names - RNNClassifier().get_params().keys() == {"step_name"}

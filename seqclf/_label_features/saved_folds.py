"""Save and restore the models of the folds of a stream: in pickles, for `partial_fit`, but not in model files."""

import numpy as np

from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf._saved import Saved, State


def fold_models_to_state(features: LabelFeatures) -> State:
    """The state of the n-gram tables and the linear models of the folds, if they were retained."""
    tables = features.of_ngrams.fold_tables_ if isinstance(features, TextLabelFeatures) and features.of_ngrams else None
    models = [] if features.scores is None else features.scores.fold_models_
    return {
        "tables": None if tables is None else [{"values": table} for table in tables],
        "models": [{"coef": coef, "intercept": intercept} for coef, intercept in models],
    }


def load_fold_models(saved: Saved, features: LabelFeatures) -> None:
    """Restore the models of the folds in `features`, from a state of `fold_models_to_state`."""
    n_models = None
    if saved.value("tables") is not None:
        of_ngrams = features.of_ngrams if isinstance(features, TextLabelFeatures) else None
        saved.require(of_ngrams is not None, "there are tables of folds and no n-grams")
        assert of_ngrams is not None
        tables = saved.parts("tables", lambda state: state.array("values", np.float32, (None, None, None)))
        shapes = [table.shape[1:] for table in of_ngrams.tables_]
        saved.require([table.shape[1:] for table in tables] == shapes, "the tables of folds have other shapes")
        n_models = tables[0].shape[0] - 1
        saved.require(all(len(table) == n_models + 1 for table in tables), "the tables differ in their folds")
        of_ngrams.fold_tables_ = tuple(tables)
    if features.scores is not None:
        scores = features.scores
        scores.fold_models_ = saved.parts(
            "models",
            lambda state: (
                state.array("coef", np.float32, scores.coef_.shape),
                state.array("intercept", np.float32, scores.intercept_.shape),
            ),
        )
        has_all_folds = n_models in (None, len(scores.fold_models_))
        saved.require(has_all_folds, "there is not a linear model for each fold")

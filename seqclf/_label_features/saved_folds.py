"""What was learned without each fold of a stream, as a state: pickles keep it for `partial_fit`, model files don't."""

import numpy as np

from seqclf._label_features.label_features import LabelFeatures
from seqclf._label_features.text_label_features import TextLabelFeatures
from seqclf._saved import Saved, State


def fold_models_to_state(features: LabelFeatures) -> State:
    """The tables of n-grams and the linear models of the folds, as far as they are kept."""
    tables = features.of_ngrams.fold_tables_ if isinstance(features, TextLabelFeatures) and features.of_ngrams else None
    models = [] if features.scores is None else features.scores.without_fold_
    return {
        "tables": None if tables is None else [{"values": table} for table in tables],
        "models": [{"coef": coef, "intercept": intercept} for coef, intercept in models],
    }


def read_fold_models(saved: Saved, features: LabelFeatures) -> None:
    """Let `features` have what `fold_models_to_state` has given of the same."""
    n_models = None
    if saved.value("tables") is not None:
        of_ngrams = features.of_ngrams if isinstance(features, TextLabelFeatures) else None
        saved.require(of_ngrams is not None, "there are tables of folds and no n-grams")
        assert of_ngrams is not None
        tables = saved.parts("tables", lambda part: part.array("values", np.float32, (None, None, None)))
        shapes = [table.shape[1:] for table in of_ngrams.tables_]
        saved.require([table.shape[1:] for table in tables] == shapes, "the tables of folds have other shapes")
        n_models = tables[0].shape[0] - 1
        saved.require(all(len(table) == n_models + 1 for table in tables), "the tables differ in their folds")
        of_ngrams.fold_tables_ = tuple(tables)
    if features.scores is not None:
        scores = features.scores
        scores.without_fold_ = saved.parts(
            "models",
            lambda part: (
                part.array("coef", np.float32, scores.coef_.shape),
                part.array("intercept", np.float32, scores.intercept_.shape),
            ),
        )
        fits = n_models in (None, len(scores.without_fold_))
        saved.require(fits, "there is not a linear model for each fold")

"""Base of the classifiers: class weights, forms of the predictions, tags."""

import numpy as np
import pytest
import torch
from sklearn.base import is_classifier
from sklearn.utils import get_tags

from _factories import series_classifier, text_classifier
from seqclf import RNNClassifier, RNNTextClassifier, datasets

SERIES, LABELS = datasets.make_order_series(40, n_steps=8, random_state=0)


def fit_weights(training_data, y, **fit_params):
    """Targets, loss weights and score weights, of the training rows and of the validation rows."""
    class_weight = fit_params.pop("class_weight", None)
    series_classifier(patience=2, validation_fraction=0.5, class_weight=class_weight).fit(SERIES, y, **fit_params)
    return [(part.targets, part.weights, part.score_weights) for part in training_data]


def test_class_weight_counts_in_losses_but_not_in_scores(training_data):
    for targets, weights, score_weights in fit_weights(training_data, LABELS, class_weight={0: 1.0, 1: 3.0}):
        np.testing.assert_allclose(weights[targets == 1] / weights[targets == 0].mean(), 3, rtol=1e-6)
        np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)
        np.testing.assert_allclose(score_weights, 1)


def test_class_weight_balanced_uses_sample_weights(training_data):
    """Rows of class 1 have four times the weight; balanced, both classes have the same total weight."""
    y = np.repeat([0, 1], 20)
    found = fit_weights(training_data, y, class_weight="balanced", sample_weight=np.where(y == 1, 4.0, 1.0))
    for targets, weights, score_weights in found:
        assert weights[targets == 1].sum() == pytest.approx(weights[targets == 0].sum(), rel=1e-5)
        assert score_weights[targets == 1].mean() == pytest.approx(4 * score_weights[targets == 0].mean(), rel=1e-5)


def test_class_weight_balanced_counts_training_rows_only(training_data):
    """Of 5 and 35 rows, 3 and 17 are training rows. Only these determine the weights, in validation too."""
    y = np.repeat([0, 1], [5, 35])
    for (targets, weights, _), n in zip(
        fit_weights(training_data, y, class_weight="balanced"), ([3, 17], [2, 18]), strict=True
    ):
        assert np.bincount(targets).tolist() == n
        np.testing.assert_allclose(weights[targets == 0] / weights[targets == 1].mean(), 17 / 3, rtol=1e-6)
        np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)


def test_class_weight_that_leaves_one_class_is_an_error():
    with pytest.raises(ValueError, match=r"class_weight=\{0: 0, 1: 1.0\} leaves fewer than 2 classes"):
        series_classifier(class_weight={0: 0, 1: 1.0}).fit(SERIES, LABELS)


def test_predict_log_proba_is_exact_if_probabilities_round():
    classifier = series_classifier().fit(SERIES, LABELS)
    with torch.no_grad():
        classifier.network_.head.bias.fill_(-60.0)
    assert (classifier.predict_proba(SERIES)[:, 0] == 1).all()
    log_proba = classifier.predict_log_proba(SERIES)
    logits = classifier.decision_function(SERIES)
    np.testing.assert_allclose(log_proba[:, 1], logits, rtol=1e-10)
    np.testing.assert_allclose(log_proba[:, 0], -np.exp(logits), rtol=1e-6)


def test_classes_of_one_row_each_have_no_validation_split():
    texts = [f"word{i}" for i in range(10)]
    classifier = text_classifier(patience=2)
    with pytest.warns(UserWarning, match="no validation split"):
        classifier.fit(texts, list(range(10)))
    assert len(classifier.classes_) == 10


@pytest.mark.parametrize(("n_classes", "shape"), [(2, (40,)), (3, (40, 3))])
def test_forms_of_the_predictions(n_classes, shape):
    y = np.array(["a", "b", "c"])[np.arange(40) % n_classes]
    fitted = series_classifier().fit(SERIES, y)
    assert fitted.classes_.tolist() == ["a", "b", "c"][:n_classes]
    logits, probabilities = fitted.decision_function(SERIES), fitted.predict_proba(SERIES)
    assert logits.shape == shape and probabilities.shape == (40, n_classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.predict(SERIES), fitted.classes_[probabilities.argmax(axis=1)])


def test_partial_fit_needs_a_constant_schedule():
    assert hasattr(series_classifier(schedule="constant"), "partial_fit")
    assert not hasattr(series_classifier(), "partial_fit")


def test_classes_that_a_stream_has_not_shown_yet_are_rare():
    fitted = series_classifier(schedule="constant").partial_fit(SERIES, LABELS, classes=[0, 1, 2])
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert fitted.predict_proba(SERIES)[:, 2].max() < 0.1


@pytest.mark.parametrize("estimator", [RNNClassifier(), RNNTextClassifier()])
def test_tags_of_classifiers(estimator):
    assert is_classifier(estimator)
    assert get_tags(estimator).classifier_tags.multi_label

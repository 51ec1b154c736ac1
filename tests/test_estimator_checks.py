"""The check suite of scikit-learn."""

import os
import subprocess
import sys

import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from seqclf import RNNClassifier, RNNRegressor, RNNTextClassifier, RNNTextRegressor


def expected_failed_checks(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": ("the number of rows determines which rows are in one batch")
    }


# A constant schedule and a fixed number of epochs add partial_fit and its checks, for which small networks are enough.
SMALL = {"units": 8, "conv_filters": 8, "max_epochs": 2, "schedule": "constant"}


@parametrize_with_checks(
    [
        RNNClassifier(),
        RNNClassifier(missing="interpolate", **SMALL),
        RNNRegressor(),
        RNNRegressor(**SMALL),
    ],
    expected_failed_checks=expected_failed_checks,
    xfail_strict=True,
)
def test_sklearn_estimator_check(estimator, check):
    check(estimator)


def test_array_api_dispatch_has_no_effect():
    """scipy reads SCIPY_ARRAY_API when it is imported, so this check needs another process."""
    code = (
        "from sklearn.utils.estimator_checks import check_array_api_input; from seqclf import RNNClassifier; "
        "check_array_api_input('RNNClassifier', RNNClassifier(), array_namespace='numpy', "
        "expect_only_array_outputs=False)"
    )
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("estimator", [RNNClassifier(), RNNTextClassifier(), RNNRegressor(), RNNTextRegressor()])
def test_tags_disable_no_check(estimator):
    tags = get_tags(estimator)
    assert not tags.non_deterministic
    assert not (tags.classifier_tags or tags.regressor_tags).poor_score
    assert not tags.no_validation
    assert not tags.input_tags.allow_nan
    assert not tags._skip_test
    if tags.classifier_tags:  # otherwise the checks of several labels do not run
        assert tags.classifier_tags.multi_label
    assert tags.input_tags.two_d_array is isinstance(estimator, RNNClassifier | RNNRegressor)

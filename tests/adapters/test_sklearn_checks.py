"""scikit-learn's own checks, at eight settings of the estimators."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.utils import estimator_checks

from dropfast.sklearn import (
    DropoutMLPClassifier,
    DropoutMLPRegressor,
    MLPClassifier,
    MLPRegressor,
)

# Where there is dropout, a batch shares its mask: else a sample of weight 2 has one mask, and a
# sample that comes twice has two.
SETTINGS = [
    MLPClassifier(),
    MLPRegressor(),
    MLPClassifier(solver="sgd", learning_rate="adaptive", class_weight="balanced"),
    MLPRegressor(solver="lbfgs", hidden_layer_sizes=(5,), activation="identity", max_iter=50),
    DropoutMLPClassifier((30, 20), dropout=(0.2, 0.1), input_dropout=0.05, rows_per_mask=0),
    DropoutMLPRegressor((30,), ["gelu"], dropout=0.2, rows_per_mask=0, loss="huber"),
    MLPRegressor("quantile", max_norm=3.0),
    MLPRegressor("gaussian_nll", n_threads=1),
]


def check(estimator, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = estimator_checks.check_estimator(
            estimator, on_fail="raise", on_skip=None, **settings
        )
    assert sum(result["status"] == "passed" for result in results) > 50


@pytest.mark.parametrize("estimator", SETTINGS, ids=str)
def test_all_checks_pass(estimator):
    check(estimator)


@pytest.mark.parametrize("estimator", [DropoutMLPClassifier, DropoutMLPRegressor])
def test_all_but_equivalence_pass_with_a_mask_for_each_row(estimator):
    names = [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")]
    check(estimator(), expected_failed_checks=dict.fromkeys(names, "a row of weight 2 has a mask"))

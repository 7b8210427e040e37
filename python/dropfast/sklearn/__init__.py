"""Layer 7: estimators for scikit-learn: multilayer perceptrons with dropout.

>>> import numpy as np
>>> from dropfast.sklearn import DropoutMLPClassifier
>>> x = np.random.default_rng(0).normal(size=(200, 5))
>>> y = np.where(x[:, 0] > 0, "up", "down")
>>> model = DropoutMLPClassifier((32,), dropout=0.2, learning_rate_init=0.02, max_iter=500)
>>> model.fit(x, y).score(x, y) > 0.9
True
"""

from __future__ import annotations

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise ModuleNotFoundError(
        "dropfast.sklearn needs scikit-learn: pip install 'dropfast[sklearn]'", name="sklearn"
    ) from error

from dropfast.sklearn.classifier import DropoutMLPClassifier, MLPClassifier
from dropfast.sklearn.regressor import DropoutMLPRegressor, MLPRegressor

__all__ = ["DropoutMLPClassifier", "DropoutMLPRegressor", "MLPClassifier", "MLPRegressor"]

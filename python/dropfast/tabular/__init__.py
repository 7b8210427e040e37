"""Layer 7: estimators for tables, in scikit-learn's manner.

>>> import numpy as np
>>> from dropfast.tabular import TabularMLPRegressor
>>> x = np.random.default_rng(0).normal(size=(300, 2))
>>> TabularMLPRegressor(32, max_iter=30, random_state=0).fit(x, x[:, 0]).score(x, x[:, 0]) > 0.9
True
"""

from __future__ import annotations

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise ModuleNotFoundError(
        "dropfast.tabular needs scikit-learn: pip install 'dropfast[sklearn]'", name="sklearn"
    ) from error

from dropfast.tabular.encoder import TableEncoder
from dropfast.tabular.estimators import TabularMLPClassifier, TabularMLPRegressor
from dropfast.tabular.tabm import TabMClassifier, TabMRegressor

__all__ = [
    "TabMClassifier",
    "TabMRegressor",
    "TableEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
]

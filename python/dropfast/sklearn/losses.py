"""Layer 7: the loss of the regressors that the native module does not know.

Its networks end in plain numbers, from which `predict` makes predictions; they train layer by
layer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from dropfast.arrays import Array
from dropfast.losses import Loss


class LogPoisson(Loss):
    """Half the Poisson deviance, of predictions that are logarithms of means.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.sklearn.losses import LogPoisson
    >>> LogPoisson()(np.array([[2.0]]), np.log([[2.0]]))
    0.0
    """

    def call(self, y_true: Array, y_pred: Array) -> NDArray[np.float64]:
        """Loss of each row."""
        log_mean, y = np.asarray(y_pred, np.float64), np.asarray(y_true, np.float64)
        with np.errstate(over="ignore"):
            values = xlogy(y, y) - y * log_mean - y + np.exp(log_mean)
        return np.asarray(values.mean(axis=-1), np.float64)

    def gradient(self, y_true: Array, y_pred: Array, weights: Array) -> Array:
        """Gradient of sum(weights * losses)."""
        with np.errstate(over="ignore"):
            slope = np.exp(y_pred) - y_true
        return np.asarray(slope * weights[:, None] / y_pred.shape[1], y_pred.dtype)

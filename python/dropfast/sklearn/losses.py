"""Layer 7: losses of the regressors that the native module does not know.

Their networks end in plain numbers, from which `predict` makes predictions; they train layer by
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


class Quantile(Loss):
    """quantile * (y - t) above the prediction, (1 - quantile) * (t - y) below.

    Koenker and Bassett 1978.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.sklearn.losses import Quantile
    >>> Quantile(0.75)(np.array([[0.0], [0.0]]), np.array([[1.0], [-1.0]]))
    0.5
    """

    def __init__(self, quantile: float = 0.5) -> None:
        self.quantile = float(quantile)

    def call(self, y_true: Array, y_pred: Array) -> NDArray[np.float64]:
        """Loss of each row."""
        above = np.asarray(y_true, np.float64) - y_pred
        values = np.maximum(self.quantile * above, (self.quantile - 1.0) * above)
        return np.asarray(values.mean(axis=-1), np.float64)

    def gradient(self, y_true: Array, y_pred: Array, weights: Array) -> Array:
        """Gradient of sum(weights * losses)."""
        slope = np.where(y_true > y_pred, -self.quantile, 1.0 - self.quantile)
        return np.asarray(slope * weights[:, None] / y_pred.shape[1], y_pred.dtype)


class GaussianNLL(Loss):
    """Negative log-likelihood of a normal distribution, less its constant.

    Predictions are the means, then the logarithms of the variances; of the targets, as many
    columns, the first half counts. Nix and Weigend 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.sklearn.losses import GaussianNLL
    >>> GaussianNLL()(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]]))
    0.5
    """

    def call(self, y_true: Array, y_pred: Array) -> NDArray[np.float64]:
        """Loss of each row."""
        mean, log_variance = _halves(np.asarray(y_pred, np.float64))
        values = log_variance + (y_true[:, : mean.shape[1]] - mean) ** 2 * np.exp(-log_variance)
        return np.asarray(0.5 * values.mean(axis=-1), np.float64)

    def gradient(self, y_true: Array, y_pred: Array, weights: Array) -> Array:
        """Gradient of sum(weights * losses)."""
        mean, log_variance = _halves(y_pred)
        error, precision = mean - y_true[:, : mean.shape[1]], np.exp(-log_variance)
        parts = np.hstack([error * precision, 0.5 - 0.5 * error**2 * precision])
        return np.asarray(parts * weights[:, None] / mean.shape[1], y_pred.dtype)


def _halves(pred: Array) -> tuple[Array, Array]:
    """Means and logarithms of variances, kept in a range whose exponentials are finite."""
    units = pred.shape[1] // 2
    return pred[:, :units], np.clip(pred[:, units:], -20.0, 20.0)

"""Layer 6, reference: losses per row, each beside its gradient.

Computed in float64. A loss is chosen by a dict such as ``{"name": "huber", "delta": 1.0}``; names
and defaults are Keras 3's; those that few models use stand in `further_losses.py`.

Probabilities are clipped to [1e-7, 1 - 1e-7] before the logarithm; where the clip acts, the
gradient is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ._arguments import Array, check_float_array
from .curves import logistic
from .further_losses import (
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    cosine_similarity,
    d_binary_focal_crossentropy,
    d_categorical_focal_crossentropy,
    d_categorical_hinge,
    d_cosine_similarity,
    d_gaussian_nll,
    d_hinge,
    d_kl_divergence,
    d_log_cosh,
    d_mean_absolute_percentage_error,
    d_mean_squared_logarithmic_error,
    d_poisson,
    d_quantile,
    d_squared_hinge,
    gaussian_nll,
    hinge,
    kl_divergence,
    log_cosh,
    mean_absolute_percentage_error,
    mean_squared_logarithmic_error,
    poisson,
    quantile,
    squared_hinge,
)
from .probabilities import F64, Spec, clip, log_softmax


def categorical_crossentropy(t: F64, y: F64, spec: Spec) -> F64:
    """-sum over units of t log p. [n, units] -> [n]."""
    log_p = log_softmax(y) if spec.get("from_logits", False) else np.log(clip(y)[0])
    result: F64 = -(t * log_p).sum(axis=-1)
    return result


def d_categorical_crossentropy(t: F64, y: F64, spec: Spec) -> F64:
    """softmax(y) sum t - t of logits, -t / p of probabilities."""
    if spec.get("from_logits", False):
        result: F64 = np.exp(log_softmax(y)) * t.sum(axis=-1, keepdims=True) - t
        return result
    p, free = clip(y)
    gradient: F64 = np.where(free, -t / p, 0.0)
    return gradient


def binary_crossentropy(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over units of -t log p - (1 - t) log(1 - p)."""
    if spec.get("from_logits", False):
        each = np.logaddexp(0.0, y) - t * y
    else:
        p, _ = clip(y)
        each = -t * np.log(p) - (1.0 - t) * np.log1p(-p)
    result: F64 = each.mean(axis=-1)
    return result


def d_binary_crossentropy(t: F64, y: F64, spec: Spec) -> F64:
    """(sigmoid(y) - t) of logits, (p - t) / (p (1 - p)) of probabilities; over units."""
    units = y.shape[-1]
    if spec.get("from_logits", False):
        each = logistic(y) - t
    else:
        p, free = clip(y)
        each = np.where(free, (p - t) / (p * (1.0 - p)), 0.0)
    gradient: F64 = each / units
    return gradient


def mean_squared_error(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over units of (y - t)^2."""
    result: F64 = ((y - t) ** 2).mean(axis=-1)
    return result


def d_mean_squared_error(t: F64, y: F64, spec: Spec) -> F64:
    """2 (y - t) over units."""
    gradient: F64 = 2.0 * (y - t) / y.shape[-1]
    return gradient


def mean_absolute_error(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over units of |y - t|."""
    result: F64 = np.abs(y - t).mean(axis=-1)
    return result


def d_mean_absolute_error(t: F64, y: F64, spec: Spec) -> F64:
    """sign(y - t) over units; 0 where they are equal."""
    result: F64 = np.sign(y - t) / y.shape[-1]
    return result


def huber(t: F64, y: F64, spec: Spec) -> F64:
    """0.5 e^2 within delta, delta (|e| - 0.5 delta) beyond (Huber 1964)."""
    delta = spec.get("delta", 1.0)
    e = np.abs(y - t)
    result: F64 = np.where(e <= delta, 0.5 * e**2, delta * (e - 0.5 * delta)).mean(axis=-1)
    return result


def d_huber(t: F64, y: F64, spec: Spec) -> F64:
    """y - t, clipped to [-delta, delta], over units."""
    delta = spec.get("delta", 1.0)
    gradient: F64 = np.clip(y - t, -delta, delta) / y.shape[-1]
    return gradient


_Rows = Callable[[F64, F64, Spec], F64]
LOSSES: dict[str, tuple[_Rows, _Rows]] = {
    "sparse_categorical_crossentropy": (categorical_crossentropy, d_categorical_crossentropy),
    "categorical_crossentropy": (categorical_crossentropy, d_categorical_crossentropy),
    "binary_crossentropy": (binary_crossentropy, d_binary_crossentropy),
    "mean_squared_error": (mean_squared_error, d_mean_squared_error),
    "mean_absolute_error": (mean_absolute_error, d_mean_absolute_error),
    "huber": (huber, d_huber),
    "hinge": (hinge, d_hinge),
    "squared_hinge": (squared_hinge, d_squared_hinge),
    "categorical_hinge": (categorical_hinge, d_categorical_hinge),
    "kl_divergence": (kl_divergence, d_kl_divergence),
    "poisson": (poisson, d_poisson),
    "log_cosh": (log_cosh, d_log_cosh),
    "cosine_similarity": (cosine_similarity, d_cosine_similarity),
    "mean_absolute_percentage_error": (
        mean_absolute_percentage_error,
        d_mean_absolute_percentage_error,
    ),
    "mean_squared_logarithmic_error": (
        mean_squared_logarithmic_error,
        d_mean_squared_logarithmic_error,
    ),
    "binary_focal_crossentropy": (binary_focal_crossentropy, d_binary_focal_crossentropy),
    "categorical_focal_crossentropy": (
        categorical_focal_crossentropy,
        d_categorical_focal_crossentropy,
    ),
    "quantile": (quantile, d_quantile),
    "gaussian_nll": (gaussian_nll, d_gaussian_nll),
}


def target_units(spec: Spec, units: int) -> int:
    """How many true values a row has where the model has so many outputs."""
    if spec["name"] == "quantile":
        return units // len(spec.get("quantiles", [0.5]))
    return units // 2 if spec["name"] == "gaussian_nll" else units


def targets64(spec: Spec, y_true: npt.ArrayLike, y_pred: Array) -> F64:
    """Targets in y_pred's shape: labels become one-hot rows, smoothing is applied."""
    n, units = y_pred.shape
    smoothing = float(spec.get("label_smoothing", 0.0))
    if spec["name"] == "sparse_categorical_crossentropy":
        labels = np.asarray(y_true).reshape(-1)
        if labels.dtype.kind not in "iu":
            raise TypeError(f"y_true must hold integer labels. Received: dtype={labels.dtype}")
        if len(labels) != n:
            raise ValueError(f"y_true must have {n} labels. Received: {len(labels)}")
        bad = np.flatnonzero((labels < 0) | (labels >= units))
        if len(bad):
            raise ValueError(
                f"y_true must hold labels in [0, {units - 1}]. "
                f"Received: {labels[bad[0]]} in row {bad[0]}"
            )
        t: F64 = np.eye(units)[labels.astype(np.int64)]
    else:
        t = np.asarray(y_true, np.float64)
        wanted = (n, target_units(spec, units))
        if t.shape != wanted:
            raise ValueError(f"y_true must have shape {wanted}. Received: shape {t.shape}")
    if spec["name"].endswith(("categorical_crossentropy", "categorical_focal_crossentropy")):
        t = t * (1.0 - smoothing) + smoothing / units
    elif spec["name"].startswith("binary_"):
        t = t * (1.0 - smoothing) + 0.5 * smoothing
    return t


def _check(spec: Spec, y_pred: npt.ArrayLike) -> Array:
    if spec["name"] not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}. Received: {spec['name']!r}")
    array = check_float_array("y_pred", y_pred)
    if array.ndim != 2:
        raise ValueError(f"y_pred must have 2 dimensions. Received: shape {array.shape}")
    return array


def loss(spec: Spec, y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> F64:
    """Loss of every row.

    Parameters
    ----------
    spec : dict
        ``name`` and what that loss takes, see the module's table.
    y_true : ndarray
        Labels [n] for the sparse loss, else targets [n, units].
    y_pred : ndarray of float, shape (n, units)
        Predictions: probabilities, logits or values.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    ValueError
        For an unknown name, shapes that do not fit, labels out of range (the first bad row is
        named).

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import loss
    >>> loss({"name": "mean_squared_error"}, np.zeros((1, 2)), np.array([[1.0, 3.0]])).tolist()
    [5.0]
    """
    pred = _check(spec, y_pred)
    t = targets64(spec, y_true, pred)
    return LOSSES[spec["name"]][0](t, pred.astype(np.float64), spec)


def loss_gradient(
    spec: Spec, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, weights: npt.ArrayLike
) -> Array:
    """Gradient of ``sum(weights * loss(...))`` with respect to y_pred.

    Parameters
    ----------
    spec, y_true, y_pred
        As for :func:`loss`.
    weights : ndarray, shape (n,)
        Factor of each row; for the mean over a batch, sample_weight / n.

    Returns
    -------
    ndarray, shape (n, units)
        Of y_pred's type.

    Raises
    ------
    ValueError
        As :func:`loss`.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import loss_gradient
    >>> spec = {"name": "mean_squared_error"}
    >>> loss_gradient(spec, np.zeros((1, 2)), np.array([[1.0, 3.0]]), np.ones(1)).tolist()
    [[1.0, 3.0]]
    """
    pred = _check(spec, y_pred)
    t = targets64(spec, y_true, pred)
    rows = np.asarray(weights, np.float64)
    if rows.shape != (len(pred),):
        raise ValueError(f"weights must have shape {(len(pred),)}. Received: shape {rows.shape}")
    gradient = LOSSES[spec["name"]][1](t, pred.astype(np.float64), spec) * rows[:, None]
    result: Array = gradient.astype(pred.dtype)
    return result

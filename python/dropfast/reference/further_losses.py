"""Layer 6, reference: the losses that few models use, per row, each beside its gradient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .curves import logistic
from .probabilities import EPSILON, F64, Spec, clip, log_softmax


def hinge(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over units of max(1 - t y, 0)."""
    result: F64 = np.maximum(1.0 - t * y, 0.0).mean(axis=-1)
    return result


def d_hinge(t: F64, y: F64, spec: Spec) -> F64:
    """-t where 1 - t y > 0, over units."""
    gradient: F64 = np.where(1.0 - t * y > 0.0, -t, 0.0) / y.shape[-1]
    return gradient


def squared_hinge(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over units of max(1 - t y, 0)^2."""
    result: F64 = (np.maximum(1.0 - t * y, 0.0) ** 2).mean(axis=-1)
    return result


def d_squared_hinge(t: F64, y: F64, spec: Spec) -> F64:
    """-2 t max(1 - t y, 0) over units."""
    gradient: F64 = -2.0 * t * np.maximum(1.0 - t * y, 0.0) / y.shape[-1]
    return gradient


def categorical_hinge(t: F64, y: F64, spec: Spec) -> F64:
    """Largest (1 - t) y, less sum of t y, plus 1; at least 0."""
    wrong = ((1.0 - t) * y).max(axis=-1)
    result: F64 = np.maximum(wrong - (t * y).sum(axis=-1) + 1.0, 0.0)
    return result


def d_categorical_hinge(t: F64, y: F64, spec: Spec) -> F64:
    """1 - t at the largest (1 - t) y, less t everywhere."""
    gradient = -t.copy()
    at = ((1.0 - t) * y).argmax(axis=-1)[:, None]
    np.put_along_axis(gradient, at, np.take_along_axis(gradient + 1.0 - t, at, -1), -1)
    return np.where(categorical_hinge(t, y, spec)[:, None] > 0.0, gradient, 0.0)


def kl_divergence(t: F64, y: F64, spec: Spec) -> F64:
    """Sum over units of t log(t / y), both held in [1e-7, 1]."""
    t, p = np.clip(t, EPSILON, 1.0), np.clip(y, EPSILON, 1.0)
    result: F64 = (t * np.log(t / p)).sum(axis=-1)
    return result


def d_kl_divergence(t: F64, y: F64, spec: Spec) -> F64:
    """-t / y."""
    free = (y >= EPSILON) & (y <= 1.0)
    return np.where(free, -np.clip(t, EPSILON, 1.0) / np.clip(y, EPSILON, 1.0), 0.0)


def poisson(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over units of y - t log(y + 1e-7)."""
    result: F64 = (y - t * np.log(y + EPSILON)).mean(axis=-1)
    return result


def d_poisson(t: F64, y: F64, spec: Spec) -> F64:
    """1 - t / (y + 1e-7), over units."""
    gradient: F64 = (1.0 - t / (y + EPSILON)) / y.shape[-1]
    return gradient


def log_cosh(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over units of log(cosh(y - t))."""
    e = np.abs(y - t)
    result: F64 = (e + np.log1p(np.exp(-2.0 * e)) - np.log(2.0)).mean(axis=-1)
    return result


def d_log_cosh(t: F64, y: F64, spec: Spec) -> F64:
    """tanh(y - t) over units."""
    gradient: F64 = np.tanh(y - t) / y.shape[-1]
    return gradient


def cosine_similarity(t: F64, y: F64, spec: Spec) -> F64:
    """-sum of the products of two vectors of length 1."""
    result: F64 = -(_direction(t)[0] * _direction(y)[0]).sum(axis=-1)
    return result


def d_cosine_similarity(t: F64, y: F64, spec: Spec) -> F64:
    """Of -t' y' with y' = y / |y|: -(t' - y' (t' y')) / |y|."""
    (unit, length), goal = _direction(y), _direction(t)[0]
    along = np.where(length > EPSILON, unit * (unit * goal).sum(axis=-1, keepdims=True), 0.0)
    gradient: F64 = (along - goal) / length
    return gradient


def _direction(x: F64) -> tuple[F64, F64]:
    length = np.maximum(np.sqrt((x**2).sum(axis=-1, keepdims=True)), EPSILON)
    return x / length, length


def mean_absolute_percentage_error(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over units of 100 |y - t| / |t|."""
    result: F64 = 100.0 * (np.abs(y - t) / np.maximum(np.abs(t), EPSILON)).mean(axis=-1)
    return result


def d_mean_absolute_percentage_error(t: F64, y: F64, spec: Spec) -> F64:
    """100 sign(y - t) / |t| over units."""
    gradient: F64 = 100.0 * np.sign(y - t) / np.maximum(np.abs(t), EPSILON) / y.shape[-1]
    return gradient


def mean_squared_logarithmic_error(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over units of (log(1 + y) - log(1 + t))^2."""
    y, t = np.maximum(y, EPSILON), np.maximum(t, EPSILON)
    result: F64 = ((np.log(1.0 + y) - np.log(1.0 + t)) ** 2).mean(axis=-1)
    return result


def d_mean_squared_logarithmic_error(t: F64, y: F64, spec: Spec) -> F64:
    """2 (log(1 + y) - log(1 + t)) / (1 + y) over units."""
    p, t = np.maximum(y, EPSILON), np.maximum(t, EPSILON)
    each = 2.0 * (np.log(1.0 + p) - np.log(1.0 + t)) / (1.0 + p)
    gradient: F64 = np.where(y >= EPSILON, each, 0.0) / y.shape[-1]
    return gradient


def _binary_focal(t: F64, y: F64, spec: Spec) -> tuple[F64, F64]:
    """Each unit's share, and its slope."""
    logits, gamma, alpha = _logits(spec), spec.get("gamma", 2.0), spec.get("alpha", 0.25)
    raw = logistic(y) if logits else y
    p, free = clip(raw)
    entropy = -t * np.log(p) - (1.0 - t) * np.log1p(-p)
    rest = raw + t - 2.0 * t * raw
    weight = t * alpha + (1.0 - t) * (1.0 - alpha) if spec.get("apply_class_balancing") else 1.0
    factor = rest**gamma
    with np.errstate(divide="ignore", invalid="ignore"):
        bent = np.where(rest > 0.0, gamma * factor / rest * (1.0 - 2.0 * t), 0.0) * entropy
    slope = weight * (bent + np.where(free, (p - t) / (p * (1.0 - p)), 0.0) * factor)
    return weight * factor * entropy, slope * raw * (1.0 - raw) if logits else slope


def binary_focal_crossentropy(t: F64, y: F64, spec: Spec) -> F64:
    """Binary cross-entropy times (1 - p of the true class)^gamma (Lin et al. 2017)."""
    result: F64 = _binary_focal(t, y, spec)[0].mean(axis=-1)
    return result


def d_binary_focal_crossentropy(t: F64, y: F64, spec: Spec) -> F64:
    """By the product rule, over units."""
    gradient: F64 = _binary_focal(t, y, spec)[1] / y.shape[-1]
    return gradient


def _shares(y: F64, spec: Spec) -> tuple[F64, F64]:
    """Probabilities that sum to 1, and what they were divided by."""
    if _logits(spec):
        return np.exp(log_softmax(y)), np.ones((len(y), 1))
    total = y.sum(axis=-1, keepdims=True)
    return y / total, total


def categorical_focal_crossentropy(t: F64, y: F64, spec: Spec) -> F64:
    """-alpha sum of t (1 - p)^gamma log p."""
    p, _ = clip(_shares(y, spec)[0])
    each = spec.get("alpha", 0.25) * t * (1.0 - p) ** spec.get("gamma", 2.0) * np.log(p)
    result: F64 = -each.sum(axis=-1)
    return result


def d_categorical_focal_crossentropy(t: F64, y: F64, spec: Spec) -> F64:
    """Slopes of the shares, then through the division by their sum, or through softmax."""
    gamma = spec.get("gamma", 2.0)
    shares, total = _shares(y, spec)
    p, free = clip(shares)
    bent = gamma * (1.0 - p) ** (gamma - 1.0) * np.log(p) - (1.0 - p) ** gamma / p
    slope = np.where(free, spec.get("alpha", 0.25) * t * bent, 0.0)
    inner = slope - (slope * shares).sum(axis=-1, keepdims=True)
    gradient: F64 = inner * shares if _logits(spec) else inner / total
    return gradient


def _logits(spec: Spec) -> bool:
    return bool(spec.get("from_logits", False))


def quantile(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over outputs of max(q e, (q - 1) e) with e = t - y (Koenker and Bassett 1978)."""
    levels, error = _errors(t, y, spec)
    result: F64 = np.maximum(levels * error, (levels - 1.0) * error).mean(axis=-1)
    return result


def d_quantile(t: F64, y: F64, spec: Spec) -> F64:
    """-q above the output, 1 - q below it, over outputs; 0 where they are equal."""
    levels, error = _errors(t, y, spec)
    each = np.where(error > 0, -levels, 1.0 - levels)
    gradient: F64 = np.where(error == 0, 0.0, each) / y.shape[-1]
    return gradient


def _errors(t: F64, y: F64, spec: Spec) -> tuple[F64, F64]:
    """The quantile of each output, and the distance to its true value."""
    levels = np.asarray(spec.get("quantiles", [0.5]), np.float64)
    return np.tile(levels, t.shape[-1]), np.repeat(t, len(levels), axis=-1) - y


def gaussian_nll(t: F64, y: F64, spec: Spec) -> F64:
    """Mean over targets of (log v + (t - mean)^2 / v) / 2 (Nix and Weigend 1994)."""
    mean, logarithm, _ = _gaussian(y)
    result: F64 = (0.5 * (logarithm + (t - mean) ** 2 * np.exp(-logarithm))).mean(axis=-1)
    return result


def d_gaussian_nll(t: F64, y: F64, spec: Spec) -> F64:
    """(mean - t) / v, and (1 - (t - mean)^2 / v) / 2, over targets."""
    mean, logarithm, free = _gaussian(y)
    precision = np.exp(-logarithm)
    of_variance = np.where(free, 0.5 - 0.5 * (t - mean) ** 2 * precision, 0.0)
    gradient: F64 = np.hstack([(mean - t) * precision, of_variance]) / t.shape[-1]
    return gradient


def _gaussian(y: F64) -> tuple[F64, F64, npt.NDArray[np.bool_]]:
    """Means, logarithms of variances (at least that of 1e-6), and where that doesn't act."""
    mean, logarithm = np.split(y, 2, axis=-1)
    least = np.log(1e-6)
    return mean, np.maximum(logarithm, least), logarithm >= least

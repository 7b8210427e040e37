"""Layer 6, reference: the activations that few networks use, each beside its derivative."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


class Parameters(NamedTuple):
    """What some activations take besides x; the defaults are Keras 3's."""

    negative_slope: float = 0.2
    alpha: float = 1.0
    approximate: bool = False
    max_value: float = math.inf
    threshold: float = 0.0


def logistic(x: F64) -> F64:
    """1 / (1 + e^-x), in the form whose exponential is at most 1: no overflow, no cancellation."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


def rectifier(x: F64, p: Parameters) -> F64:
    """y = x from the threshold on, at most max_value; below it slope * (x - threshold)."""
    below = p.negative_slope * (x - p.threshold)
    return np.minimum(np.where(x >= p.threshold, x, below), p.max_value)


def d_rectifier(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1 between threshold and max_value, 0 above, the slope below."""
    rising = np.where(x > p.threshold, 1.0, p.negative_slope)
    return np.where(x <= p.max_value, rising, 0.0)


def softplus(x: F64, p: Parameters) -> F64:
    """y = log(1 + e^x)."""
    return np.logaddexp(x, 0.0)


def d_softplus(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = sigmoid(x)."""
    return logistic(x)


def log_sigmoid(x: F64, p: Parameters) -> F64:
    """y = log(sigmoid(x))."""
    return -np.logaddexp(-x, 0.0)


def d_log_sigmoid(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = sigmoid(-x)."""
    return logistic(-x)


def softsign(x: F64, p: Parameters) -> F64:
    """y = x / (1 + |x|)."""
    return x / (1.0 + np.abs(x))


def d_softsign(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1 / (1 + |x|)^2."""
    return 1.0 / (1.0 + np.abs(x)) ** 2


def hard_sigmoid(x: F64, p: Parameters) -> F64:
    """y = x / 6 + 1/2, held in [0, 1]."""
    return np.clip(x + 3.0, 0.0, 6.0) / 6.0


def d_hard_sigmoid(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1/6 inside, 0 outside."""
    return np.where((x > -3.0) & (x <= 3.0), 1.0 / 6.0, 0.0)


def hard_silu(x: F64, p: Parameters) -> F64:
    """y = x hard_sigmoid(x) (also called hard_swish; Howard et al. 2019)."""
    return x * hard_sigmoid(x, p)


def d_hard_silu(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = x / 3 + 1/2 inside, 0 below, 1 above."""
    return np.where(x <= 3.0, np.where(x > -3.0, x / 3.0 + 0.5, 0.0), 1.0)


def hard_tanh(x: F64, p: Parameters) -> F64:
    """y = x, held in [-1, 1]."""
    return np.clip(x, -1.0, 1.0)


def d_hard_tanh(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1 inside, 0 outside."""
    return np.where((x > -1.0) & (x <= 1.0), 1.0, 0.0)


def mish(x: F64, p: Parameters) -> F64:
    """y = x tanh(softplus(x)) (Misra 2019)."""
    return x * np.tanh(np.logaddexp(x, 0.0))


def d_mish(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = t + x (1 - t^2) sigmoid(x), t = tanh(softplus(x))."""
    t = np.tanh(np.logaddexp(x, 0.0))
    return t + x * (1.0 - t**2) * logistic(x)


def exponential(x: F64, p: Parameters) -> F64:
    """y = e^x."""
    return np.exp(x)


def d_exponential(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = e^x."""
    return np.exp(x)


def celu(x: F64, p: Parameters) -> F64:
    """y = x where x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017)."""
    return np.where(x > 0, x, p.alpha * np.expm1(np.minimum(x, 0.0) / p.alpha))


def d_celu(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1 where x > 0, else e^(x / alpha)."""
    return np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0) / p.alpha))


def tanh_shrink(x: F64, p: Parameters) -> F64:
    """y = x - tanh(x)."""
    return x - np.tanh(x)


def d_tanh_shrink(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = tanh(x)^2."""
    return np.tanh(x) ** 2

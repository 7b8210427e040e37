"""Layer 6, reference: activation functions, each beside its derivative.

All are computed in float64 and rounded once to the array's type. A derivative is written in the
output y where y determines it (all but gelu and silu), so that a layer need not keep its input.
With x the pre-activation, y = activation(x) and an upstream gradient dy, `activation_backward`
returns dy * dy/dx; softmax, which mixes the last axis, has its own product. At a kink (x = 0 of
relu and its relatives) the derivative is that of the left side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import Array, check_float_array, check_out
from .curves import (
    Parameters,
    celu,
    d_celu,
    d_exponential,
    d_hard_sigmoid,
    d_hard_silu,
    d_hard_tanh,
    d_log_sigmoid,
    d_mish,
    d_rectifier,
    d_softplus,
    d_softsign,
    d_tanh_shrink,
    exponential,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    log_sigmoid,
    logistic,
    mish,
    rectifier,
    softplus,
    softsign,
    tanh_shrink,
)

F64 = npt.NDArray[np.float64]

# SELU's fixed point for mean 0 and variance 1 (Klambauer et al. 2017, equation 14).
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def linear(x: F64, p: Parameters) -> F64:
    """y = x."""
    return x


def d_linear(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1."""
    return np.ones_like(y)


def relu(x: F64, p: Parameters) -> F64:
    """y = max(x, 0)."""
    return np.maximum(x, 0.0)


def d_relu(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1 where y > 0, else 0."""
    return np.where(y > 0, 1.0, 0.0)


def leaky_relu(x: F64, p: Parameters) -> F64:
    """y = x where x > 0, else slope * x (Maas et al. 2013)."""
    return np.where(x > 0, x, p.negative_slope * x)


def d_leaky_relu(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1 where y > 0, else the slope."""
    return np.where(y > 0, 1.0, p.negative_slope)


def elu(x: F64, p: Parameters) -> F64:
    """y = x where x > 0, else alpha (e^x - 1) (Clevert et al. 2015)."""
    return np.where(x > 0, x, p.alpha * np.expm1(np.minimum(x, 0.0)))


def d_elu(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1 where y > 0, else alpha e^x = y + alpha."""
    return np.where(y > 0, 1.0, y + p.alpha)


def selu(x: F64, p: Parameters) -> F64:
    """y = scale * elu(x; alpha) with the fixed point's constants (Klambauer et al. 2017)."""
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0.0)))


def d_selu(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = scale where y > 0, else y + scale * alpha."""
    return np.where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)


def gelu(x: F64, p: Parameters) -> F64:
    """x times the normal distribution function (Hendrycks and Gimpel 2016), or its tanh form.

    The tanh form, x (1 + tanh u) / 2, is x / (1 + e^-2u).
    """
    return x * (logistic(2.0 * _gelu_inner(x)) if p.approximate else _normal_cdf(x))


def d_gelu(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = Phi(x) + x phi(x), or with s = 1 / (1 + e^-2u) it is s + 2 x s (1 - s) du/dx."""
    if p.approximate:
        u = _gelu_inner(x)
        du = math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * 0.044715 * x**2)
        return logistic(2.0 * u) * (1.0 + 2.0 * x * logistic(-2.0 * u) * du)
    density = np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi)
    return _normal_cdf(x) + x * density


def _gelu_inner(x: F64) -> F64:
    inner: F64 = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)
    return inner


def _normal_cdf(x: F64) -> F64:
    cdf: F64 = 0.5 * _erfc(-x / math.sqrt(2.0))
    return cdf


def _half_plus(t: F64) -> F64:
    return 0.5 * (1.0 + t)


def sigmoid(x: F64, p: Parameters) -> F64:
    """y = 1 / (1 + e^-x)."""
    return logistic(x)


def d_sigmoid(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = y (1 - y)."""
    return y * (1.0 - y)


def silu(x: F64, p: Parameters) -> F64:
    """y = x sigmoid(x) (also called swish)."""
    return x * sigmoid(x, p)


def d_silu(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = s (1 + x (1 - s)), s = sigmoid(x)."""
    s = sigmoid(x, p)
    return s * (1.0 + x * (1.0 - s))


def tanh(x: F64, p: Parameters) -> F64:
    """y = tanh(x)."""
    return np.tanh(x)


def d_tanh(x: F64, y: F64, p: Parameters) -> F64:
    """dy/dx = 1 - y^2."""
    return 1.0 - y**2


def softmax(x: F64, p: Parameters) -> F64:
    """y = e^x / sum e^x over the last axis, shifted by the maximum."""
    e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    result: F64 = e / e.sum(axis=-1, keepdims=True)
    return result


def softmax_backward(y: F64, dy: F64) -> F64:
    """Jacobian diag(y) - y y^T times dy, row by row."""
    result: F64 = y * (dy - (y * dy).sum(axis=-1, keepdims=True))
    return result


_Forward = Callable[[F64, Parameters], F64]
_Derivative = Callable[[F64, F64, Parameters], F64]

_ELEMENTWISE: dict[str, tuple[_Forward, _Derivative]] = {
    "linear": (linear, d_linear),
    "relu": (relu, d_relu),
    "rectifier": (rectifier, d_rectifier),
    "leaky_relu": (leaky_relu, d_leaky_relu),
    "elu": (elu, d_elu),
    "selu": (selu, d_selu),
    "gelu": (gelu, d_gelu),
    "silu": (silu, d_silu),
    "tanh": (tanh, d_tanh),
    "sigmoid": (sigmoid, d_sigmoid),
    "softplus": (softplus, d_softplus),
    "softsign": (softsign, d_softsign),
    "hard_sigmoid": (hard_sigmoid, d_hard_sigmoid),
    "hard_silu": (hard_silu, d_hard_silu),
    "mish": (mish, d_mish),
    "exponential": (exponential, d_exponential),
    "log_sigmoid": (log_sigmoid, d_log_sigmoid),
    "hard_tanh": (hard_tanh, d_hard_tanh),
    "tanh_shrink": (tanh_shrink, d_tanh_shrink),
    "celu": (celu, d_celu),
}

ACTIVATIONS = (*_ELEMENTWISE, "softmax")
# The derivative of these cannot be written in the output alone.
NEED_INPUT = (
    "rectifier",
    "gelu",
    "silu",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "hard_silu",
    "mish",
    "exponential",
    "log_sigmoid",
    "hard_tanh",
    "tanh_shrink",
    "celu",
)


def forward64(name: str, x: F64, p: Parameters) -> F64:
    """The activation in float64."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return softmax(x, p) if name == "softmax" else _ELEMENTWISE[name][0](x, p)


def backward64(name: str, x: F64, y: F64, dy: F64, p: Parameters) -> F64:
    """The gradient with respect to x in float64."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if name == "softmax":
            return softmax_backward(y, dy)
        return dy * _ELEMENTWISE[name][1](x, y, p)


def parameters(name: str, **options: float | None) -> Parameters:
    """Fill in the defaults; the slope of a rectifier is another than that of leaky_relu."""
    given = {key: float(value) for key, value in options.items() if value is not None}
    if name == "rectifier":
        given.setdefault("negative_slope", 0.0)
    return Parameters(**given)  # type: ignore[arg-type]


def check_name(name: Any) -> str:
    """One of :data:`ACTIVATIONS`."""
    if name not in ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {', '.join(ACTIVATIONS)}. Received: activation={name!r}"
        )
    return str(name)


def activation(
    name: str,
    x: npt.ArrayLike,
    negative_slope: float | None = None,
    alpha: float | None = None,
    approximate: bool = False,
    out: Array | None = None,
    max_value: float | None = None,
    threshold: float | None = None,
) -> Array:
    """Apply an activation function by name.

    Parameters
    ----------
    name : str
        One of :data:`ACTIVATIONS`.
    x : ndarray of float
        Pre-activations; softmax runs over the last axis.
    negative_slope : float, optional
        Of leaky_relu, default 0.2; of rectifier, default 0.
    alpha : float, optional
        Of elu and celu, default 1.0.
    approximate : bool
        Of gelu: the tanh form.
    out : ndarray, optional
        Where to write; may be x itself.
    max_value, threshold : float, optional
        Of rectifier: its largest value, and where the rise begins.

    Returns
    -------
    ndarray
        Of x's shape and type.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, an array that is not float, an `out` that does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import activation
    >>> activation("relu", np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    name = check_name(name)
    x = check_float_array("x", x)
    out = check_out(out, x)
    p = parameters(
        name,
        negative_slope=negative_slope,
        alpha=alpha,
        approximate=approximate,
        max_value=max_value,
        threshold=threshold,
    )
    with np.errstate(over="ignore"):
        out[...] = forward64(name, x.astype(np.float64), p).astype(x.dtype)
    return out


def activation_backward(
    name: str,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    dy: npt.ArrayLike,
    negative_slope: float | None = None,
    alpha: float | None = None,
    approximate: bool = False,
    out: Array | None = None,
    max_value: float | None = None,
    threshold: float | None = None,
) -> Array:
    """Gradient of :func:`activation` with respect to x.

    Parameters
    ----------
    name : str
        One of :data:`ACTIVATIONS`.
    x, y, dy : ndarray of float
        Pre-activation, activation(x), and the gradient with respect to y; one shape.
    negative_slope, alpha, approximate, max_value, threshold
        As for :func:`activation`.
    out : ndarray, optional
        Where to write; may be dy itself.

    Returns
    -------
    ndarray
        Of dy's shape and type.

    Raises
    ------
    ValueError, TypeError
        As :func:`activation`.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import activation, activation_backward
    >>> x = np.array([-1.0, 2.0])
    >>> activation_backward("relu", x, activation("relu", x), np.ones(2)).tolist()
    [0.0, 1.0]
    """
    name = check_name(name)
    dy = check_float_array("dy", dy)
    x64, y64 = np.asarray(x, np.float64), np.asarray(y, np.float64)
    for label, array in (("x", x64), ("y", y64)):
        if array.shape != dy.shape:
            raise ValueError(f"{label} must have dy's shape {dy.shape}. Received: {array.shape}")
    out = check_out(out, dy)
    p = parameters(
        name,
        negative_slope=negative_slope,
        alpha=alpha,
        approximate=approximate,
        max_value=max_value,
        threshold=threshold,
    )
    with np.errstate(over="ignore", invalid="ignore"):
        out[...] = backward64(name, x64, y64, dy.astype(np.float64), p).astype(dy.dtype)
    return out

"""Layer 6, reference: dropout that keeps the mean and variance of self-normalising networks.

Klambauer et al., "Self-normalizing neural networks", 2017. Dropped units are set to alpha' = -scale
* alpha of SELU, its value for very negative input, and the result goes through a * x + b so that
  mean 0 and variance 1 are kept:

    a = ((1 - r) (1 + r alpha'^2))^(-1/2),    b = -a alpha' r        for the drop probability r.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._arguments import Array, check_float_array, check_out, check_rate
from .dropout import NoiseShape, dropout_mask, threshold
from .random import KeyLike

ALPHA_PRIME = -1.7580993408473766


def _affine(rate: float) -> tuple[float, float]:
    a = ((1.0 - rate) * (1.0 + rate * ALPHA_PRIME**2)) ** -0.5
    return a, -a * ALPHA_PRIME * rate


def alpha_dropout(
    x: npt.ArrayLike,
    rate: float,
    key: KeyLike,
    training: bool = True,
    noise_shape: NoiseShape = None,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Alpha dropout: dropped elements become SELU's saturation value, then all are rescaled.

    Computed in float64 and rounded once. At rate 1 all elements are +0.0, the formula's limit.

    Parameters
    ----------
    x : ndarray of float16, bfloat16, float32 or float64
        Any shape.
    rate : float
        Probability to drop an element, in [0, 1].
    key, training, noise_shape, offset, out
        As for :func:`dropfast.reference.dropout`.

    Returns
    -------
    ndarray
        Of x's shape and type.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or of the wrong type; nothing is written then.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import Key, alpha_dropout
    >>> y = alpha_dropout(np.random.default_rng(0).normal(size=100_000), 0.2, Key(0))
    >>> bool(abs(y.mean()) < 0.02 and abs(y.std() - 1) < 0.02)
    True
    """
    x = check_float_array("x", x)
    rate = check_rate(rate)
    mask = dropout_mask(x.shape, rate, key, noise_shape, offset=offset)
    out = check_out(out, x)
    if not training or rate == 0.0:
        out[...] = x
    elif threshold(rate) == 1 << 48:
        out[...] = np.zeros_like(x)
    else:
        a, b = _affine(rate)
        with np.errstate(over="ignore", invalid="ignore"):
            y = np.where(mask, a * x.astype(np.float64) + b, a * ALPHA_PRIME + b)
            out[...] = y.astype(x.dtype)
    return out


def alpha_dropout_backward(
    dy: npt.ArrayLike,
    rate: float,
    key: KeyLike,
    noise_shape: NoiseShape = None,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Gradient of :func:`alpha_dropout` with respect to x: a * dy where kept, +0.0 where dropped.

    Parameters
    ----------
    dy : ndarray of float16, bfloat16, float32 or float64
        Gradient with respect to the result.
    rate, key, noise_shape, offset, out
        As for :func:`alpha_dropout`.

    Returns
    -------
    ndarray
        Of dy's shape and type.

    Raises
    ------
    ValueError, TypeError
        As :func:`alpha_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import Key, alpha_dropout_backward
    >>> alpha_dropout_backward(np.ones(3), 0.0, Key(0)).tolist()
    [1.0, 1.0, 1.0]
    """
    dy = check_float_array("dy", dy)
    rate = check_rate(rate)
    mask = dropout_mask(dy.shape, rate, key, noise_shape, offset=offset)
    out = check_out(out, dy)
    if rate == 0.0:
        out[...] = dy
    elif threshold(rate) == 1 << 48:
        out[...] = np.zeros_like(dy)
    else:
        a, _ = _affine(rate)
        with np.errstate(over="ignore", invalid="ignore"):
            out[...] = np.where(mask, a * dy.astype(np.float64), 0.0).astype(dy.dtype)
    return out

"""Layer 6, reference: multiplicative Gaussian noise with the mean and variance of dropout.

Srivastava et al. 2014, section 10: each element is multiplied by a variate of N(1, r / (1 - r)), r
the drop probability. The variates come from the key's stream with the Gaussian domain folded in,
element i (plus `offset`) taking normal variate i.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._arguments import Array, check_float_array, check_offset, check_out, check_rate
from .random import GAUSSIAN_DOMAIN, Key, KeyLike, random_normal


def _noise(shape: tuple[int, ...], rate: float, key: KeyLike, offset: int) -> Array:
    """1 + sqrt(r / (1 - r)) * z, float64."""
    size = int(np.prod(shape, dtype=object))
    offset = check_offset(offset, size)
    own = Key(key.seed, key.stream ^ GAUSSIAN_DOMAIN, key.step)
    normal = random_normal(size, own, offset).reshape(shape)
    noise: Array = 1.0 + np.sqrt(rate / (1.0 - rate)) * normal
    return noise


def _check_rate(rate: float) -> float:
    """Like dropout's, but the deviation grows without bound towards 1."""
    number = check_rate(rate)
    if number == 1.0:
        raise ValueError(f"rate must be in [0, 1) for Gaussian dropout. Received: rate={rate!r}")
    return number


def gaussian_dropout(
    x: npt.ArrayLike,
    rate: float,
    key: KeyLike,
    training: bool = True,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Multiply by Gaussian noise of mean 1 and standard deviation sqrt(rate / (1 - rate)).

    Computed in float64 from float32 variates and rounded once.

    Parameters
    ----------
    x : ndarray of float16, bfloat16, float32 or float64
        Any shape.
    rate : float
        Drop probability of the dropout that has the same variance, in [0, 1).
    key, training, offset, out
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
    >>> from dropfast.reference import Key, gaussian_dropout
    >>> y = gaussian_dropout(np.ones(100_000), 0.5, Key(0))
    >>> bool(abs(y.mean() - 1) < 0.02 and abs(y.std() - 1) < 0.02)
    True
    """
    x = check_float_array("x", x)
    noise = _noise(x.shape, _check_rate(rate), key, offset)
    out = check_out(out, x)
    if not training or rate == 0.0:
        out[...] = x
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            out[...] = (x.astype(np.float64) * noise).astype(x.dtype)
    return out


def gaussian_dropout_backward(
    dy: npt.ArrayLike, rate: float, key: KeyLike, offset: int = 0, out: Array | None = None
) -> Array:
    """Gradient of :func:`gaussian_dropout` with respect to x: dy times the same noise.

    Parameters
    ----------
    dy : ndarray of float16, bfloat16, float32 or float64
        Gradient with respect to the result.
    rate, key, offset, out
        As for :func:`gaussian_dropout`.

    Returns
    -------
    ndarray
        Of dy's shape and type.

    Raises
    ------
    ValueError, TypeError
        As :func:`gaussian_dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import Key, gaussian_dropout_backward
    >>> gaussian_dropout_backward(np.ones(2), 0.0, Key(0)).tolist()
    [1.0, 1.0]
    """
    return gaussian_dropout(dy, rate, key, True, offset, out)

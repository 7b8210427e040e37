"""Layer 6, reference: a fully connected layer with activation and dropout, forward beside backward.

    z = x @ kernel + bias        [n, units] = [n, inputs] @ [inputs, units] + [units]
    y = dropout(activation(z))

Products are :func:`dropfast.reference.matmul`'s chains in the arrays' own type, so with a linear or
relu activation the results are those of the fast path bit for bit; other activations are float64,
rounded once, and differ by the fast path's few ulp.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._arguments import Array
from .activations import (
    NEED_INPUT,
    activation_backward,
    check_name,
)
from .activations import (
    activation as apply_activation,
)
from .dropout import dropout, dropout_backward, scale_of
from .matmul import check_matrix, fused_multiply_add, matmul
from .random import KeyLike


def dense(
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    activation: str | None = None,
    rate: float = 0.0,
    key: KeyLike | None = None,
    rows_per_mask: int = 1,
    out: Array | None = None,
) -> Array:
    """Dense layer with activation and dropout.

    Parameters
    ----------
    x : ndarray of float32 or float64, shape (n, inputs)
    kernel : ndarray of x's type, shape (inputs, units)
    bias : ndarray of x's type, shape (units,), optional
    activation : str, optional
        Name of an activation; None is linear.
    rate : float
        Probability to drop an output, in [0, 1].
    key : Key, optional
        Where to draw the mask; needed where rate > 0.
    rows_per_mask : int
        How many consecutive rows share a mask.
    out : ndarray, shape (n, units), optional
        Where to write.

    Returns
    -------
    ndarray, shape (n, units)

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or shapes or types do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import dense
    >>> dense(np.array([[1.0, -2.0]]), np.eye(2), activation="relu").tolist()
    [[1.0, 0.0]]
    """
    x, kernel = check_matrix("x", x), check_matrix("kernel", kernel)
    _check_key(rate, key)
    z = matmul(x, kernel)
    if bias is not None:
        z = z + _check_bias(bias, z)
    y = apply_activation("linear" if activation is None else activation, z)
    if key is not None:
        y = dropout(y, rate, key, rows_per_mask=rows_per_mask)
    if out is None:
        return y
    if out.shape != y.shape or out.dtype != y.dtype or not out.flags.writeable:
        raise ValueError(
            f"out must be writable, {y.dtype} {y.shape}. Received: {out.dtype} {out.shape}"
        )
    out[...] = y
    return out


def dense_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    activation: str | None = None,
    rate: float = 0.0,
    key: KeyLike | None = None,
    rows_per_mask: int = 1,
) -> tuple[Array, Array, Array]:
    """Gradients of :func:`dense`.

    The mask is drawn again from the key; the activation's derivative is taken from y, the layer's
    output, where a kept value is 1 / (1 - rate) times the activation.

    Parameters
    ----------
    dy : ndarray, shape (n, units)
        Gradient with respect to the output.
    x, kernel, activation, rate, key, rows_per_mask
        As given to :func:`dense`.
    y : ndarray, shape (n, units), optional
        What :func:`dense` returned; needed unless the activation is linear.

    Returns
    -------
    dx : ndarray, shape (n, inputs)
    dkernel : ndarray, shape (inputs, units)
        Chains over the rows in ascending order.
    dbias : ndarray, shape (units,)
        Plain sums over the rows in ascending order.

    Raises
    ------
    ValueError, TypeError
        As :func:`dense`; also where y does not determine the derivative (gelu, silu, and softmax
        below dropout).

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import dense_backward
    >>> dx, dkernel, dbias = dense_backward(np.ones((1, 2)), np.array([[3.0, 4.0]]), np.eye(2))
    >>> dkernel.tolist(), dbias.tolist()
    ([[3.0, 3.0], [4.0, 4.0]], [1.0, 1.0])
    """
    dy, x, kernel = check_matrix("dy", dy), check_matrix("x", x), check_matrix("kernel", kernel)
    _check_key(rate, key)
    name = "linear" if activation is None else check_name(activation)
    dz = dy if key is None else dropout_backward(dy, rate, key, rows_per_mask=rows_per_mask)
    if name != "linear":
        dz = _through_activation(name, dz, y, rate if key is not None else 0.0)
    dbias = np.zeros(dz.shape[1], dtype=dz.dtype)
    for row in dz:
        dbias = fused_multiply_add(row, np.ones_like(row), dbias)
    return matmul(dz, kernel.T), matmul(x.T, dz), dbias


def _through_activation(name: str, dz: Array, y: npt.ArrayLike | None, rate: float) -> Array:
    """Gradient below the activation, from the layer's output."""
    if y is None or name in NEED_INPUT or (name == "softmax" and rate > 0.0):
        raise ValueError(
            "y must be given and determine the activation's derivative. "
            f"Received: y={'None' if y is None else 'an array'}, activation={name!r}, rate={rate}"
        )
    y = check_matrix("y", y)
    if 0.0 < rate < 1.0:
        y = (y.astype(np.float64) / float(scale_of(rate, y.dtype))).astype(y.dtype)
    return activation_backward(name, y, y, dz)


def _check_key(rate: float, key: KeyLike | None) -> None:
    if key is None and rate != 0.0:
        raise ValueError(f"key must be given where rate > 0. Received: key=None, rate={rate!r}")


def _check_bias(bias: npt.ArrayLike, z: Array) -> Array:
    array = np.asarray(bias)
    if array.shape != z.shape[1:]:
        raise ValueError(f"bias must have shape {z.shape[1:]}. Received: shape {array.shape}")
    if array.dtype != z.dtype:
        raise TypeError(f"bias must have x's dtype {z.dtype}. Received: dtype={array.dtype}")
    return array

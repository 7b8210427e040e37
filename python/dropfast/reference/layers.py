"""Layer 6, reference: one layer of a network, forward beside backward, in float64.

A network is a list of dicts; ``kind`` is "dense", "activation", "add", "dropout", "alpha_dropout"
or "gaussian_dropout". An "add" is a skip connection: to the value before it it adds value number
``source``, 0 being the input and i what layer i - 1 returned. A forward function takes the layer's
input [n, features] and returns its output and whatever its backward function needs.

Dropout of a batch: element = row of the batch * features + column, or per row (``per_row``: noise
shape (None, 1)), or by row groups (``rows_per_mask``; 0 stands for the whole batch: noise shape (1,
None)).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .activations import backward64, forward64, parameters
from .alpha_dropout import ALPHA_PRIME, _affine
from .curves import Parameters
from .dropout import dropout_mask, scale_of, threshold
from .gaussian_dropout import _noise
from .random import KeyLike

F64 = npt.NDArray[np.float64]
Layer = Mapping[str, Any]
STOCHASTIC = ("dropout", "alpha_dropout", "gaussian_dropout")


def activation_of(layer: Layer) -> tuple[str, Parameters]:
    """The layer's activation and its parameters."""
    options = ("negative_slope", "alpha", "approximate", "max_value", "threshold")
    p = parameters(layer.get("activation") or "linear", **{key: layer.get(key) for key in options})
    return layer.get("activation") or "linear", p


def dense_forward(x: F64, kernel: F64, bias: F64 | None) -> F64:
    """z = x @ kernel + bias. [n, inputs] -> [n, units]."""
    z: F64 = x @ kernel
    return z if bias is None else z + bias


def dense_backward(dz: F64, x: F64, kernel: F64) -> tuple[F64, F64, F64]:
    """dx [n, inputs], dkernel [inputs, units], dbias [units]."""
    return dz @ kernel.T, x.T @ dz, dz.sum(axis=0)


def activate(layer: Layer, z: F64) -> F64:
    """y = activation(z)."""
    name, p = activation_of(layer)
    return forward64(name, z, p)


def activate_backward(layer: Layer, z: F64, y: F64, dy: F64) -> F64:
    """dz from dy."""
    name, p = activation_of(layer)
    return backward64(name, z, y, dy, p)


class Noise:
    """What one stochastic layer does to one batch: y = where(mask, x * factor + shift, fill)."""

    def __init__(self, mask: Any, factor: Any, shift: float = 0.0, fill: float = 0.0) -> None:
        self.mask, self.factor, self.shift, self.fill = mask, factor, shift, fill

    def forward(self, x: F64) -> F64:
        """The layer's output."""
        return np.where(self.mask, x * self.factor + self.shift, self.fill)

    def backward(self, dy: F64) -> F64:
        """dx = where(mask, dy * factor, 0)."""
        return np.where(self.mask, dy * self.factor, 0.0)


def draw(
    layer: Layer, shape: tuple[int, int], rate: float, key: KeyLike, dtype: np.dtype[Any]
) -> Noise:
    """The noise of a training step. `dtype` is the network's: the scale is rounded to it."""
    if layer["kind"] == "gaussian_dropout":
        return Noise(True, _noise(shape, rate, key, 0))
    if layer["kind"] == "alpha_dropout":
        if threshold(rate) == 1 << 48:
            return Noise(False, 0.0)
        a, b = _affine(rate)
        return Noise(dropout_mask(shape, rate, key), a, b, a * ALPHA_PRIME + b)
    mask = dropout_mask(shape, rate, key, **_sharing(layer))
    if layer.get("scale_at", "train") == "inference" or threshold(rate) == 1 << 48:
        return Noise(mask, 1.0)
    return Noise(mask, float(scale_of(rate, dtype)))


def draw_rows(
    layer: Layer,
    shape: tuple[int, int],
    rate: float,
    key: KeyLike,
    dtype: np.dtype[Any],
    first_row: int,
    consistent: bool,
) -> Noise:
    """The noise of a block of rows: drawn for all rows up to its last, or the first row's."""
    rows, width = shape
    whole = draw(layer, (1 if consistent else first_row + rows, width), rate, key, dtype)
    own = slice(None) if consistent else slice(first_row, None)

    def cut(part: Any) -> Any:
        return part[own] if np.ndim(part) else part

    return Noise(cut(whole.mask), cut(whole.factor), whole.shift, whole.fill)


def _sharing(layer: Layer) -> dict[str, Any]:
    """How the layer's rows share masks, as arguments of dropout_mask."""
    if layer.get("per_row", False):
        return {"noise_shape": (None, 1)}
    rows = layer.get("rows_per_mask", 1)
    return {"noise_shape": (1, None)} if rows == 0 else {"rows_per_mask": rows}


def at_inference(layer: Layer, rate: float) -> Noise:
    """The layer without its randomness: only classic dropout still acts, it multiplies by keep."""
    classic = layer["kind"] == "dropout" and layer.get("scale_at", "train") == "inference"
    return Noise(True, 1.0 - rate if classic else 1.0)

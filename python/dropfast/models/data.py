"""Layer 6: data that users give, checked: inputs, targets, weights of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast.arrays import Array, Shape, as_numeric, block_rows, check_finite, shape_text
from dropfast.checks import as_number, check_number
from dropfast.losses import Loss
from dropfast.matching import as_row_weights, checked_labels
from dropfast.pieces import Pieces, in_pieces
from dropfast.training.engine import Engine
from dropfast.training.plan import features


def check_x(x: Any, input_shape: Shape | None, name: str = "x") -> Any:
    """Inputs as an array [n, ...] that fits the model.

    Parameters
    ----------
    x
        What the user gave; a memory map stays one. Of one axis, it is a column.
    input_shape
        The model's, or None if it is not built.
    name
        For messages.

    Raises
    ------
    ValueError
        If there are no rows or their shape doesn't fit.
    """
    given = in_pieces(x)
    array = given if isinstance(given, Pieces) else as_numeric(name, given)
    if array.ndim == 1 and (input_shape is None or tuple(input_shape[1:]) == (1,)):
        array = array.as_column() if isinstance(array, Pieces) else array[:, None]
    if array.ndim < 2:
        raise ValueError(
            f"{name} must have a first axis of rows and at least one more. "
            f"Received: shape {shape_text(array.shape)}"
        )
    if input_shape is not None and array.shape[1:] != tuple(input_shape[1:]):
        raise ValueError(
            f"{name} must have shape {shape_text(input_shape)}. "
            f"Received: shape {shape_text(array.shape)}"
        )
    if len(array) == 0:
        raise ValueError(f"{name} must have at least one row. Received: 0 rows")
    return array


def check_y(
    y: ArrayLike, rows: int, loss: Loss, output_shape: Shape, dtype: Any, name: str = "y"
) -> Array:
    """Targets in the loss' form: int64 labels [n], or values in the outputs' shape.

    Raises
    ------
    ValueError
        If the length or shape doesn't fit, a value is not finite, or a label is out of range; the
        first bad row is named.
    """
    array = as_numeric(name, y)
    if array.ndim == 0 or len(array) != rows:
        length = "a scalar" if array.ndim == 0 else f"{len(array)} rows"
        raise ValueError(f"{name} must have as many rows as x, {rows}. Received: {length}")
    if loss.target == "labels":
        return _labels(array, features(output_shape), name)
    shape = (rows, *output_shape[1:])
    if len(shape) == 2:
        shape = (rows, loss.target_units(features(output_shape)))
    if array.shape == (rows,) and shape[1:] == (1,) * (len(shape) - 1):
        array = array.reshape(shape)
    if array.shape != shape:
        hint = ""
        if array.size == rows:
            hint = "; labels go with sparse_categorical_crossentropy"
        raise ValueError(
            f"{name} must have shape {shape_text((None, *shape[1:]))}{hint}. "
            f"Received: shape {shape_text(array.shape)}"
        )
    check_finite(name, array)
    loss.check_values(name, array)
    return np.require(loss.prepare(array), dtype, ["C", "A"])


def _labels(array: Array, units: int, name: str) -> NDArray[np.int64]:
    if array.size != len(array):
        raise ValueError(
            f"{name} must hold one label a row; rows of probabilities go with "
            f"categorical_crossentropy. Received: shape {shape_text(array.shape)}"
        )
    flat = array.reshape(-1)
    check_finite(name, flat)
    return checked_labels(name, flat, units)


def row_weights(
    sample_weight: ArrayLike | None,
    class_weight: Mapping[int, float] | None,
    y: Array,
    dtype: Any,
    units: int,
) -> Array | None:
    """One weight a row from both kinds of weights, or None for none.

    Raises
    ------
    ValueError
        If the shape doesn't fit, or a weight is negative or not finite.
    """
    weights: Array | None = None
    if sample_weight is not None:
        given = as_row_weights(sample_weight, len(y))
        assert given is not None
        weights = given.astype(dtype)
    if class_weight is None:
        return weights
    labels, classes = classes_of(y, units)
    by_class = np.ones(len(labels), dtype)
    for label, weight in _table(class_weight, classes).items():
        by_class[labels == label] = weight
    return by_class if weights is None else weights * by_class


def classes_of(y: Array, units: int) -> tuple[Array, int]:
    """The class of each row of checked targets, and how many classes there are.

    Raises
    ------
    ValueError
        If the targets are no classes: rows of numbers that are not whole, or negative.
    """
    if y.ndim == 1:
        return y, units
    flat = y.reshape(len(y), -1)
    if flat.shape[1] > 1:
        return flat.argmax(axis=-1), flat.shape[1]
    column = flat[:, 0]
    bad = (column < 0) | (column != np.floor(column))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            "class_weight must be None where y holds no classes, whole numbers from 0 on. "
            f"Received: y={column[row]} in row {row}"
        )
    return column, max(int(column.max()) + 1, 2)


def _table(class_weight: Any, classes: int) -> dict[int, float]:
    """Weights by class, checked."""
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"class_weight must be a dict of label -> weight. Received: {class_weight!r}"
        )
    table = {}
    for label, weight in class_weight.items():
        number = as_number(label)
        if not (0 <= number < classes and number == int(number)):
            raise ValueError(
                f"class_weight must have labels in [0, {classes - 1}] as keys. Received: {label!r}"
            )
        if not 0.0 <= as_number(weight) < np.inf:
            raise ValueError(
                "class_weight must be at least 0 and finite. "
                f"Received: {weight!r} for class {label!r}"
            )
        table[int(number)] = float(weight)
    return table


def split(
    x: Any, y: ArrayLike, sample_weight: ArrayLike | None, share: float
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """Cut the last rows off for validation, as Keras does: before any shuffling.

    Raises
    ------
    ValueError
        If the share is not in (0, 1) or leaves one part empty.
    """
    check_number("validation_split", share, 0.0, 1.0)
    at = int(np.floor(len(x) * (1.0 - share)))
    if at in (0, len(x)):
        raise ValueError(
            "validation_split must leave rows on both sides. "
            f"Received: validation_split={share!r} of {len(x)} rows"
        )
    targets = as_numeric("y", y)
    weights = None if sample_weight is None else np.asarray(sample_weight)
    first = (x[:at], targets[:at], None if weights is None else weights[:at])
    last = (x[at:], targets[at:], None if weights is None else weights[at:])
    return first, last


class Feed:
    """Rows as an engine takes them, without a second copy of data that is large or fits already.

    Parameters
    ----------
    engine
        Who takes them.
    x
        Checked inputs.
    """

    def __init__(self, engine: Engine, x: Any) -> None:
        self.engine, self.x = engine, x
        self.prepared = engine.plan.prepared_by()
        self.whole = None if isinstance(x, Pieces) else engine.direct(x)
        if self.whole is None and not isinstance(x, np.memmap | Pieces):
            self.whole = engine.convert(x)

    def fits(self, engine: Engine) -> bool:
        """Whether rows are still as an engine takes them."""
        return engine is self.engine and engine.plan.prepared_by() == self.prepared

    def rows(self, order: NDArray[np.int64]) -> Array:
        """The rows of a memory map in an order, converted; read in the file's own order."""
        if isinstance(self.x, Pieces):
            found = self.x[order]
        else:
            sorting = np.argsort(order, kind="stable")
            found = np.empty((len(order), *self.x.shape[1:]), self.x.dtype)
            found[sorting] = self.x[order[sorting]]
        taken = self.engine.direct(found)
        return self.engine.convert(found) if taken is None else taken

    @property
    def row_bytes(self) -> int:
        """Memory that a gathered row takes, before or after it is converted."""
        # float64 is the widest that rows are converted to.
        return int(max(self.x.dtype.itemsize, 8) * self.x[:1].size) or 1

    def blocks(self, dtype: np.dtype[Any]) -> Any:
        """(start, rows) in blocks that stay small beside the data."""
        step = block_rows(self.x, dtype)
        for start in range(0, len(self.x), step):
            source = self.x if self.whole is None else self.whole
            block = source[start : start + step]
            if self.whole is None:
                block = self.engine.convert(np.asarray(block))
            yield start, block

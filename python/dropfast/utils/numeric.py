"""Layer 6: labels as rows of zeros and a one, rows of unit length."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dropfast.arrays import Array, shape_text


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> Array:
    """Labels as rows of zeros with a one: what categorical_crossentropy takes.

    Parameters
    ----------
    x
        Labels, integers from 0; a last axis of size 1 is dropped.
    num_classes
        Number of classes; None takes the largest label + 1.

    Returns
    -------
    ndarray of float64, shape (..., num_classes)

    Raises
    ------
    ValueError
        If a label is negative, no integer or too large.

    Examples
    --------
    >>> import dropfast as df
    >>> df.utils.to_categorical([0, 2], num_classes=3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    given = np.asarray(x)
    if given.dtype.kind not in "iubf":
        raise ValueError(f"x must hold integer labels. Received: dtype={given.dtype}")
    labels = given.astype(np.int64)
    if labels.shape[-1:] == (1,) and labels.ndim > 1:
        labels = labels[..., 0]
    top = int(labels.max(initial=-1))
    classes = top + 1 if num_classes is None else int(num_classes)
    if not np.array_equal(given.reshape(labels.shape), labels) or labels.min(initial=0) < 0:
        raise ValueError("x must hold integer labels from 0. Received: another number")
    if top >= classes:
        raise ValueError(f"x must hold labels below num_classes={classes}. Received: {top}")
    hot: Array = np.zeros((*labels.shape, classes))
    np.put_along_axis(hot, labels[..., None], 1.0, axis=-1)
    return hot


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> Array:
    """Rows of length 1 (a row of zeros stays one).

    Parameters
    ----------
    x
        Numbers.
    axis
        Along which the lengths are.
    order
        2 for Euclid's.

    Examples
    --------
    >>> import dropfast as df
    >>> df.utils.normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    array = np.asarray(x, np.float64)
    if not array.ndim:
        raise ValueError(f"x must have an axis. Received: shape {shape_text(array.shape)}")
    length = np.atleast_1d(np.linalg.norm(array, order, axis, keepdims=True))
    unit: Array = array / np.where(length == 0, 1.0, length)
    return unit

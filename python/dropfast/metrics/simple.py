"""Layer 6: Accuracy and MeanMetricWrapper."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dropfast.arrays import Array
from dropfast.metrics.base import Call, Metric


class Accuracy(Metric):
    """How often predictions are equal to the targets.

    Examples
    --------
    >>> import dropfast as df
    >>> df.metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    0.75
    """

    target = "values"

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name)
        self.dtype = dtype

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """Share of equal values of each row."""
        share: Array = np.asarray(y_true == y_pred, np.float64).mean(axis=-1)
        return share


def MeanMetricWrapper(
    fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
) -> Call:
    """The mean of a function ``fn(y_true, y_pred, **kwargs)``.

    Parameters
    ----------
    fn
        Returns one value a row, or one value a batch.
    name
        A name; None takes the function's.
    dtype
        For compatibility, without effect.
    **kwargs
        Handed on to the function.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.MeanMetricWrapper(lambda y, p, by: by * abs(y - p).mean(-1), by=2)
    >>> metric([[0.0]], [[1.5]])
    3.0
    """
    return Call(partial(fn, **kwargs) if kwargs else fn, name or getattr(fn, "__name__", None))

"""Layer 6: penalties on weights, added to the loss; names and defaults are Keras 3's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dropfast.arrays import Array
from dropfast.configurable import Configurable, resolve
from dropfast.training.exact import check_own

_ALIASES = {"l1_l2": "L1L2", "l1l2": "L1L2"}


class Regularizer(Configurable):
    """Base: penalty l1 * sum(abs(w)) + l2 * sum(w * w).

    Attributes
    ----------
    l1, l2
        The factors, not negative.

    Examples
    --------
    >>> import dropfast as df
    >>> isinstance(df.regularizers.L2(0.1), df.regularizers.Regularizer)
    True
    """

    kind = "regularizer"
    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, w: ArrayLike) -> float:
        """The penalty of the weights."""
        wide = np.asarray(w, np.float64)
        return float(self.l1 * np.abs(wide).sum() + self.l2 * np.square(wide).sum())

    def gradient(self, w: Array) -> Array:
        """The penalty's gradient, in the weights' dtype."""
        wide = np.asarray(w, np.float64)
        gradient: Array = (self.l1 * np.sign(wide) + 2.0 * self.l2 * wide).astype(w.dtype)
        return gradient


class L1L2(Regularizer):
    """Both penalties.

    Parameters
    ----------
    l1, l2
        Factors, not negative.

    Raises
    ------
    ValueError
        If a factor is negative or not finite.

    Examples
    --------
    >>> import dropfast as df
    >>> df.regularizers.L1L2(l1=1.0, l2=10.0)([1.0, -2.0])
    53.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _check("l1", l1), _check("l2", l2)


class L1(Regularizer):
    """l1 * sum(abs(w)).

    Examples
    --------
    >>> import dropfast as df
    >>> df.regularizers.L1(0.5)([1.0, -2.0])
    1.5
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _check("l1", l1)


class L2(Regularizer):
    """l2 * sum(w * w).

    Examples
    --------
    >>> import dropfast as df
    >>> df.layers.Dense(3, kernel_regularizer=df.regularizers.L2(1e-4)).kernel_regularizer
    L2(l2=0.0001)
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _check("l2", l2)


def _check(name: str, value: float) -> float:
    if not 0.0 <= value < float("inf"):
        raise ValueError(f"{name} must be at least 0 and finite. Received: {name}={value!r}")
    return float(value)


def get(identifier: Any) -> Regularizer | None:
    """The regularizer that a name, class, config or object stands for; None for None.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import dropfast as df
    >>> df.regularizers.get("l1_l2")
    L1L2()
    """
    if identifier is None:
        return None
    found: Regularizer = resolve("regularizer", identifier, _ALIASES)
    check_own(found)
    return found

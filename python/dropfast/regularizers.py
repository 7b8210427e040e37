"""Layer 6: penalties on weights, added to the loss; names and defaults are Keras 3's."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from dropfast.arrays import Array
from dropfast.checks import check_choice, check_number
from dropfast.configurable import Configurable, resolve
from dropfast.training.exact import check_own

_ALIASES = {"l1_l2": "L1L2", "l1l2": "L1L2", "l2": "L2", "l1": "L1"}


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


class OrthogonalRegularizer(Regularizer):
    """Penalty on rows (or columns) that are not orthogonal: factor * mean of abs(cosines) of pairs.

    Parameters
    ----------
    factor
        Of the penalty, not negative.
    mode
        "rows" or "columns" of the matrix: which are made orthogonal.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> penalty = df.regularizers.OrthogonalRegularizer(0.5)
    >>> penalty(np.eye(2)), round(penalty(np.ones((2, 2))), 6)
    (0.0, 0.5)
    """

    def __init__(self, factor: float = 0.01, mode: Literal["rows", "columns"] = "rows") -> None:
        self.factor = check_number("factor", factor, 0.0)
        self.mode = check_choice("mode", mode, ("rows", "columns"))

    def _unit(self, w: ArrayLike) -> tuple[Array, Array, Array, int]:
        """Vectors as unit rows, their norms, their cosines off the diagonal, number of pairs."""
        wide = np.asarray(w, np.float64)
        if wide.ndim != 2:
            raise ValueError(f"w must be a matrix. Received: shape {wide.shape}")
        rows = wide if self.mode == "rows" else wide.T
        norm = np.sqrt(np.maximum(np.square(rows).sum(axis=1, keepdims=True), 1e-12))
        unit = rows / norm
        cosines = unit @ unit.T * (1.0 - np.eye(len(unit)))
        return unit, norm, cosines, max(len(unit) * (len(unit) - 1) // 2, 1)

    def __call__(self, w: ArrayLike) -> float:
        """Half the sum of abs(cosines) of all ordered pairs, over the number of pairs."""
        _, _, cosines, pairs = self._unit(w)
        return float(self.factor * 0.5 * np.abs(cosines).sum() / pairs)

    def gradient(self, w: Array) -> Array:
        """The penalty's gradient, in the weights' dtype."""
        unit, norm, cosines, pairs = self._unit(w)
        by_unit = self.factor / pairs * np.sign(cosines) @ unit
        by_row = (by_unit - unit * (by_unit * unit).sum(axis=1, keepdims=True)) / norm
        gradient: Array = (by_row if self.mode == "rows" else by_row.T).astype(w.dtype)
        return gradient


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def _check(name: str, value: float) -> float:
    return float(check_number(name, value, 0.0))


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

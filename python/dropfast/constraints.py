"""Layer 6: what weights are forced back to after every step; names and defaults are Keras 3's."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast.arrays import Array
from dropfast.checks import as_number, check_integer, check_number
from dropfast.configurable import Configurable, resolve

# Keras' backend epsilon.
_EPSILON = 1e-7


class Constraint(Configurable):
    """Base: a callable that maps weights to allowed weights.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> class AtMostOne(df.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return np.minimum(w, w.dtype.type(1))
    >>> AtMostOne()(np.array([0.5, 3.0])).tolist()
    [0.5, 1.0]
    """

    kind = "constraint"

    def __call__(self, w: Array) -> Array:
        """The allowed weights nearest to `w`, as a new array of its dtype."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(w)")


class MaxNorm(Constraint):
    """The norm of the weights into each unit is at most `max_value` (Srivastava et al. 2014, 5.1).

    Parameters
    ----------
    max_value
        Positive.
    axis
        Axis that a norm runs along: 0 for the kernel (inputs, units) of a Dense layer.

    Raises
    ------
    ValueError
        If `max_value` is not positive.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.constraints.MaxNorm(1.0)(np.array([[3.0], [4.0]])).round(6).tolist()
    [[0.6], [0.8]]
    """

    def __init__(self, max_value: float = 2.0, axis: int = 0) -> None:
        self.max_value = check_number("max_value", max_value, positive=True)
        self.axis = check_integer("axis", axis, -32, 32)

    def __call__(self, w: Array) -> Array:
        """Scale down columns that are too long."""
        wide = w.astype(np.float64)
        norm = np.sqrt(np.square(wide).sum(axis=self.axis, keepdims=True))
        limited: Array = wide * (np.clip(norm, 0.0, self.max_value) / (_EPSILON + norm))
        return limited.astype(w.dtype)


class UnitNorm(Constraint):
    """The norm of the weights into each unit is 1.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.constraints.UnitNorm()(np.array([[3.0], [4.0]])).round(6).tolist()
    [[0.6], [0.8]]
    """

    def __init__(self, axis: int = 0) -> None:
        self.axis = check_integer("axis", axis, -32, 32)

    def __call__(self, w: Array) -> Array:
        """Divide by the norms."""
        wide = w.astype(np.float64)
        norm = np.sqrt(np.square(wide).sum(axis=self.axis, keepdims=True))
        unit: Array = wide / (_EPSILON + norm)
        return unit.astype(w.dtype)


class NonNeg(Constraint):
    """No weight is negative.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.constraints.NonNeg()(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: Array) -> Array:
        """Negative weights become 0."""
        positive: Array = np.maximum(w, w.dtype.type(0))
        return positive


class MinMaxNorm(Constraint):
    """The norm of the weights into each unit is moved into [min_value, max_value].

    Parameters
    ----------
    min_value, max_value
        The bounds.
    rate
        How much of the way there a step goes: 1 is all of it.
    axis
        Axis that a norm runs along.

    Raises
    ------
    ValueError
        If the bounds are not ordered or the rate is not in [0, 1].

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.constraints.MinMaxNorm(1.0, 2.0)(np.array([[0.3, 3.0], [0.4, 4.0]])).round(4).tolist()
    [[0.6, 1.2], [0.8, 1.6]]
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int = 0
    ) -> None:
        self.min_value = check_number("min_value", min_value, 0.0)
        self.max_value = check_number("max_value", max_value, 0.0)
        if not min_value <= max_value:
            raise ValueError(
                "min_value must be in [0, max_value]. "
                f"Received: min_value={min_value!r}, max_value={max_value!r}"
            )
        if not 0.0 <= as_number(rate) <= 1.0:
            raise ValueError(f"rate must be in [0, 1]. Received: rate={rate!r}")
        self.rate, self.axis = float(rate), check_integer("axis", axis, -32, 32)

    def __call__(self, w: Array) -> Array:
        """Scale columns that are too short or too long."""
        wide = w.astype(np.float64)
        norm = np.sqrt(np.square(wide).sum(axis=self.axis, keepdims=True))
        wanted = self.rate * np.clip(norm, self.min_value, self.max_value) + (1 - self.rate) * norm
        scaled: Array = wide * (wanted / (_EPSILON + norm))
        return scaled.astype(w.dtype)


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm


def get(identifier: Any) -> Constraint | None:
    """The constraint that a name, class, config or object stands for; None for None.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import dropfast as df
    >>> df.constraints.get("max_norm").max_value
    2.0
    """
    if identifier is None:
        return None
    found: Constraint = resolve("constraint", identifier)
    return found

"""Layer 6: what every initializer is, and those that draw nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from dropfast.arrays import Array, as_numeric
from dropfast.checks import check_number
from dropfast.configurable import Configurable
from dropfast.random import WEIGHTS, Key, draw_seed


class Initializer(Configurable):
    """Base: a callable ``(shape, dtype, key)`` that returns an array.

    Examples
    --------
    >>> from dropfast.initializers import Constant
    >>> Constant(2.0)((3,)).tolist()
    [2.0, 2.0, 2.0]
    """

    kind = "initializer"

    def __call__(
        self, shape: tuple[int, ...], dtype: DTypeLike = "float32", key: Key | None = None
    ) -> Array:
        """Draw the weights.

        Parameters
        ----------
        shape
            Shape of the weights; a kernel is (inputs, units).
        dtype
            "float32" or "float64".
        key
            Where to draw. An initializer that has a seed of its own uses that instead.
        """
        seed = getattr(self, "seed", None)
        if seed is not None or key is None:
            key = Key(draw_seed() if seed is None else seed, WEIGHTS)
        return self.draw(tuple(shape), key).astype(dtype)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """The weights in float64; subclasses define this."""
        raise NotImplementedError(f"{type(self).__name__} must define draw(shape, key)")


class Zeros(Initializer):
    """All 0.

    Examples
    --------
    >>> import dropfast as df
    >>> df.initializers.Zeros()((2,)).tolist()
    [0.0, 0.0]
    """

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """All 1.

    Examples
    --------
    >>> import dropfast as df
    >>> df.initializers.Ones()((2,)).tolist()
    [1.0, 1.0]
    """

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Ones."""
        return np.ones(shape)


class Constant(Initializer):
    """All `value`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.initializers.Constant(0.5)((2,)).tolist()
    [0.5, 0.5]
    """

    def __init__(self, value: ArrayLike = 0.0) -> None:
        if not np.isfinite(np.asarray(as_numeric("value", value), np.float64)).all():
            raise ValueError(f"value must be finite. Received: value={value!r}")
        self.value: Any = value if np.ndim(value) == 0 else np.asarray(value).tolist()

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """The value everywhere; an array is spread over the shape as NumPy does it."""
        return np.array(np.broadcast_to(np.asarray(self.value, np.float64), shape))


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere.

    Examples
    --------
    >>> import dropfast as df
    >>> df.initializers.Identity(2.0)((2, 3)).tolist()
    [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = check_number("gain", gain)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """The diagonal."""
        if len(shape) != 2:
            raise ValueError(f"shape must be that of a matrix. Received: shape={shape}")
        return self.gain * np.eye(*shape)

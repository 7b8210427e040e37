"""Layer 6: DropConnect."""

from __future__ import annotations

from typing import Any, ClassVar

from dropfast import _core
from dropfast.arrays import Array, Shape
from dropfast.layers.base import Passage
from dropfast.layers.dense import Dense
from dropfast.layers.rated import Rate, Rated


class DropConnect(Rated, Dense):
    """A Dense layer that drops weights instead of units in training (Wan et al. 2013).

    One mask over the kernel for the whole batch, inverted scaling; the bias is never dropped.

    Parameters
    ----------
    units
        Number of outputs.
    rate
        Probability to drop a weight, in [0, 1], or a schedule.
    seed
        Seed of its own; None takes the model's.
    **kwargs
        As `Dense`.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> layer = df.layers.DropConnect(3, 0.5, seed=0, kernel_initializer="ones")
    >>> y = layer(np.ones((2, 4)), training=True)
    >>> bool((y[0] == y[1]).all()), layer(np.ones((1, 4))).tolist()
    (True, [[4.0, 4.0, 4.0]])
    """

    # The mask is the kernel's: rows have no part in it.
    by_rows: ClassVar[bool] = True

    def __init__(
        self,
        units: int,
        rate: Rate | Any = 0.5,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, **kwargs)
        self.set_rate(rate, seed)

    def kernel_of(self, passage: Passage) -> Array:
        """The kernel with dropped weights at 0."""
        if not passage.training or passage.key is None:
            return self.kernel
        return _core.dropout(self.kernel, self.rate_of(passage), passage.key)

    def kernel_gradient(self, grad: Array, passage: Passage) -> Array:
        """The same mask on the kernel's gradient."""
        if not passage.training or passage.key is None:
            return grad
        return _core.dropout_backward(grad, self.rate_of(passage), passage.key)

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """None: the native network drops units only."""
        return None

"""Layer 6: AlphaDropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from dropfast import _core
from dropfast.arrays import Array, Shape
from dropfast.layers.base import Layer, Passage
from dropfast.layers.rated import Rate, Rated, check_noise_shape, noise_of


class AlphaDropout(Rated, Layer):
    """Dropout for selu networks: mean and variance stay (Klambauer et al. 2017).

    Parameters
    ----------
    rate
        Probability to drop, in [0, 1], or a schedule.
    noise_shape
        One entry per axis of the input: 1 where all positions share a decision, else None.
    seed
        Seed of its own; None takes the model's.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> y = df.layers.AlphaDropout(0.5, seed=0)(np.zeros((2, 1000)), training=True)
    >>> len(set(y.ravel().tolist()))
    2
    """

    by_rows: ClassVar[bool] = True

    def __init__(
        self,
        rate: Rate | Any,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.noise_shape = check_noise_shape(noise_shape)
        self.set_rate(rate, seed)

    def forward(self, x: Array, passage: Passage) -> Array:
        """Dropped elements at the negative saturation, then an affine map."""
        if not passage.training or passage.key is None:
            return x
        noise = noise_of(x.shape, passage, self.noise_shape)
        return _core.alpha_dropout(x, self.rate_of(passage), passage.key, **noise)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The same mask, drawn again."""
        if not passage.training or passage.key is None:
            return grad
        noise = noise_of(grad.shape, passage, self.noise_shape)
        return _core.alpha_dropout_backward(grad, self.rate_of(passage), passage.key, **noise)

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """An "alpha_dropout" of the native network, where each element decides for itself."""
        if self.noise_shape is not None:
            return None
        return {"kind": "alpha_dropout", "rate": self.rate_at(0, 0)}

"""Layer 6: AlphaDropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from dropfast import _core, schedules
from dropfast.arrays import Array, Shape
from dropfast.layers.base import Layer, Passage
from dropfast.layers.dropout import _noise_shape
from dropfast.random import check_seed


class AlphaDropout(Layer):
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

    stochastic: ClassVar[bool] = True

    def __init__(
        self,
        rate: float | schedules.Schedule | Any,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = schedules.get_rate(rate)
        self.noise_shape = None if noise_shape is None else _noise_shape(noise_shape)
        self.seed = check_seed(seed)

    def rate_at(self, step: int, epoch: int) -> float:
        """The drop rate at a step of training."""
        return schedules.value_at(self.rate, step, epoch, "rate")

    def forward(self, x: Array, passage: Passage) -> Array:
        """Dropped elements at the negative saturation, then an affine map."""
        if not passage.training or passage.key is None:
            return x
        return _core.alpha_dropout(x, self._rate(passage), passage.key, True, self.noise_shape)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The same mask, drawn again."""
        if not passage.training or passage.key is None:
            return grad
        return _core.alpha_dropout_backward(
            grad, self._rate(passage), passage.key, self.noise_shape
        )

    def _rate(self, passage: Passage) -> float:
        return self.rate_at(0, 0) if passage.rate is None else passage.rate

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """An "alpha_dropout" of the native network, where each element decides for itself."""
        if self.noise_shape is not None:
            return None
        return {"kind": "alpha_dropout", "rate": self.rate_at(0, 0)}

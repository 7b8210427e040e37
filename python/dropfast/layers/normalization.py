"""Layer 6: Normalization."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dropfast.arrays import Array, Shape, as_numeric, block_rows, shape_text
from dropfast.checks import check_flag
from dropfast.layers.base import Layer, Passage
from dropfast.layers.spellings import check_last_axis, last_axis

# Keras' backend epsilon.
_EPSILON = 1e-7


class Normalization(Layer):
    """Each feature gets the mean 0 and the variance 1 that it has in the data given to `adapt`.

    At the start of a model it is computed once for all epochs.

    Parameters
    ----------
    axis
        The axis of the features: the last; None takes one mean for all numbers.
    mean, variance
        Both themselves, in place of `adapt`.
    invert
        Whether numbers of mean 0 and variance 1 are turned back.

    Raises
    ------
    ValueError
        If only one of `mean` and `variance` is given, or they don't fit the input.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> layer = df.layers.Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> layer(np.array([[1.0, 30.0]])).round(4).tolist()
    [[-1.0, 1.0]]
    """

    rounds = False
    until_built = ("axis", "mean", "variance", "invert")

    def __init__(
        self,
        axis: int | None = -1,
        mean: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = None if axis is None else last_axis(axis)
        if (mean is None) != (variance is None):
            raise ValueError(
                "mean and variance must be given together. "
                f"Received: mean={mean!r}, variance={variance!r}"
            )
        self.mean: Any = _numbers("mean", mean)
        self.variance: Any = _numbers("variance", variance)
        self.invert = check_flag("invert", invert)

    def build(self, input_shape: Shape) -> None:
        """Make the statistics, where they are still to be found."""
        if self.axis is not None:
            check_last_axis(self.axis, input_shape)
        size = () if self.axis is None else (input_shape[-1],)
        if None in size:
            raise ValueError(
                f"input of layer {self.name!r} must have a known last size. "
                f"Received: shape {shape_text(input_shape)}"
            )
        if self.mean is None:
            self.adapted_mean = self.add_weight("mean_", size, "zeros", trainable=False)  # type: ignore[arg-type]
            self.adapted_variance = self.add_weight("variance_", size, "ones", trainable=False)  # type: ignore[arg-type]

    def adapt(self, data: ArrayLike, batch_size: int | None = None) -> None:
        """Find mean and variance of each feature.

        Parameters
        ----------
        data
            Rows; a memory map is read piece by piece.
        batch_size
            For compatibility, without effect.
        """
        rows = as_numeric("data", data)
        if self.mean is not None:
            raise ValueError("adapt needs a layer without a mean. Received: one that has it")
        if rows.ndim < 2 or not len(rows):
            raise ValueError(
                f"data must have rows and features. Received: shape {shape_text(rows.shape)}"
            )
        if not self.built:
            self.build_once((None, *rows.shape[1:]), "float32")
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        axes = None if self.axis is None else tuple(range(rows.ndim - 1))
        step = block_rows(rows, np.dtype(np.float64))
        for start in range(0, len(rows), step):
            part = np.asarray(rows[start : start + step], np.float64)
            size = part.size if axes is None else part.size // part.shape[-1]
            part_mean = part.mean(axis=axes)
            part_squares = np.square(part - part_mean).sum(axis=axes)
            # Chan, Golub and LeVeque 1979: sums of squares of two sets as those of their union.
            apart = part_mean - mean
            squares = squares + part_squares + apart**2 * (count * size / (count + size))
            mean = mean + apart * (size / (count + size))
            count += size
        self.adapted_mean[...], self.adapted_variance[...] = mean, squares / count

    def forward(self, x: Array, passage: Passage) -> Array:
        """(x - mean) / sqrt(variance)."""
        mean, deviation = self._statistics()
        passage.saved = deviation if self.invert else 1.0 / deviation
        wide = x.astype(np.float64)
        scaled = wide * deviation + mean if self.invert else (wide - mean) / deviation
        return np.asarray(scaled).astype(x.dtype)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient times the scale."""
        scaled: Array = (grad * passage.saved).astype(grad.dtype)
        return scaled

    def _statistics(self) -> tuple[Array, Array]:
        given = self.mean is not None
        mean = np.asarray(self.mean if given else self.adapted_mean, np.float64)
        variance = np.asarray(self.variance if given else self.adapted_variance, np.float64)
        return mean, np.maximum(np.sqrt(variance), _EPSILON)


def _numbers(name: str, value: ArrayLike | None) -> Any:
    if value is None:
        return None
    array = as_numeric(name, value).astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite. Received: {name}={value!r}")
    plain: Any = array.tolist()
    return plain

"""Layer 6: SpatialDropout1D, 2D and 3D, which drop whole feature maps."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from dropfast.arrays import Array, Shape, shape_text
from dropfast.checks import check_choice
from dropfast.layers.base import Passage
from dropfast.layers.dropout import Dropout
from dropfast.layers.rated import Rate


class _SpatialDropout(Dropout):
    fixed = ("noise_shape", "rows_per_mask")
    by_rows: ClassVar[bool] = True
    spatial: ClassVar[int]

    def __init__(
        self,
        rate: Rate | Any,
        data_format: Literal["channels_last", "channels_first"] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        data_format = "channels_last" if data_format is None else data_format
        check_choice("data_format", data_format, ("channels_last", "channels_first"))
        ones = (1,) * self.spatial
        noise = (None, *ones, None) if data_format == "channels_last" else (None, None, *ones)
        super().__init__(rate, noise, seed, **kwargs)
        self.data_format = data_format

    def forward(self, x: Array, passage: Passage) -> Array:
        """The input with dropped maps at 0."""
        self._check(x.shape)
        return super().forward(x, passage)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's, which must have the right number of axes."""
        self._check(input_shape)
        return input_shape

    def _check(self, shape: Shape) -> None:
        if len(shape) != self.spatial + 2:
            raise ValueError(
                f"input of layer {self.name!r} must have {self.spatial + 2} axes. "
                f"Received: shape {shape_text(shape)}"
            )


class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of (n, steps, channels) arrays (Tompson et al. 2015).

    Parameters
    ----------
    rate
        Probability to drop a channel, in [0, 1], or a schedule.
    seed
        Seed of its own; None takes the model's.
    data_format
        "channels_last", or "channels_first" for (n, channels, steps).
    scale_at
        As `Dropout`.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> y = df.layers.SpatialDropout1D(0.5, seed=3)(np.ones((2, 5, 4)), training=True)
    >>> bool((y == y[:, :1]).all())
    True
    """

    spatial = 1

    def __init__(
        self,
        rate: Rate | Any,
        seed: int | None = None,
        *,
        data_format: Literal["channels_last", "channels_first"] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, data_format, seed, **kwargs)


class SpatialDropout2D(_SpatialDropout):
    """The same for images (n, height, width, channels).

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> y = df.layers.SpatialDropout2D(0.5, seed=3)(np.ones((2, 4, 4, 3)), training=True)
    >>> bool((y == y[:, :1, :1]).all())
    True
    """

    spatial = 2


class SpatialDropout3D(_SpatialDropout):
    """The same for volumes (n, depth, height, width, channels).

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> y = df.layers.SpatialDropout3D(0.5, seed=3)(np.ones((2, 2, 4, 4, 3)), training=True)
    >>> bool((y == y[:, :1, :1, :1]).all())
    True
    """

    spatial = 3

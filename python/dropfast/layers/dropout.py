"""Layer 6: Dropout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from dropfast import _core
from dropfast.arrays import Array, Shape
from dropfast.checks import check_choice, check_integer
from dropfast.layers.base import Layer, Passage
from dropfast.layers.rated import Rate, Rated, check_noise_shape, noise_of


class Dropout(Rated, Layer):
    """Zeros its inputs with probability `rate` in training, so that units don't lean on each other.

    Srivastava et al. 2014. There p is the probability to *keep*; `rate` is that to drop, 1 - p.

    Parameters
    ----------
    rate
        Probability to drop, in [0, 1]; or a schedule from `dropfast.schedules`, or a function of
        the epoch.
    noise_shape
        One entry per axis of the input: 1 where all positions share a decision, else None. So
        (None, 1) drops whole rows, (1, None) the same units for the whole batch.
    seed
        Seed of its own: an int gives a reproducible sequence, a new mask each step. None takes the
        model's.
    scale_at
        "train" multiplies what is kept by 1 / (1 - rate) in training (inverted dropout);
        "inference" multiplies by (1 - rate) at inference instead, the paper's classic form.
    rows_per_mask
        How many consecutive rows of a batch share a mask, which saves work; 0 for the whole batch.
        None takes the model's (see `Sequential.compile`), which is 1.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> layer = df.layers.Dropout(0.5, seed=1)
    >>> y = layer(np.ones((2, 3)), training=True)
    >>> sorted(set(y.ravel().tolist()))
    [0.0, 2.0]
    >>> bool((layer.backward(np.ones((2, 3))) == y).all())
    True
    >>> layer(np.ones((1, 2))).tolist()
    [[1.0, 1.0]]
    """

    by_rows: ClassVar[bool] = True

    def __init__(
        self,
        rate: Rate | Any,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        scale_at: Literal["train", "inference"] = "train",
        rows_per_mask: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.noise_shape = check_noise_shape(noise_shape)
        self.set_rate(rate, seed)
        check_choice("scale_at", scale_at, ("train", "inference"))
        self.scale_at = scale_at
        self.rows_per_mask = check_rows_per_mask(rows_per_mask)
        if self.rows_per_mask is not None and self.noise_shape is not None:
            raise ValueError(
                "rows_per_mask must be None when noise_shape is given. "
                f"Received: rows_per_mask={rows_per_mask}, noise_shape={self.noise_shape}"
            )

    def forward(self, x: Array, passage: Passage) -> Array:
        """The input with dropped elements at 0."""
        rate = self.rate_of(passage)
        if not passage.training:
            return x * x.dtype.type(1.0 - rate) if self.scale_at == "inference" else x
        return self._drop(x, rate, passage, _core.dropout)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The same mask, drawn again, on the gradient."""
        rate = self.rate_of(passage)
        if not passage.training:
            return grad * grad.dtype.type(1.0 - rate) if self.scale_at == "inference" else grad
        return self._drop(grad, rate, passage, _core.dropout_backward)

    def _drop(self, x: Array, rate: float, passage: Passage, kernel: Any) -> Array:
        key = passage.drawing_key()
        parts = []
        for rows, sharing in self.sharing(x.shape, passage):
            part = x[rows]
            if self.scale_at == "inference":
                mask = _core.dropout_mask(part.shape, rate, key, **sharing)
                parts.append(np.where(mask, part, part.dtype.type(0)))
            else:
                parts.append(kernel(part, rate, key, **sharing))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def sharing(
        self, shape: tuple[int, ...], passage: Passage
    ) -> list[tuple[slice, dict[str, Any]]]:
        """Which elements share decisions, as kernels take it: for all rows, or in two parts."""
        whole = slice(None)
        if self.noise_shape is not None or passage.consistent:
            return [(whole, noise_of(shape, passage, self.noise_shape))]
        rows = passage.rows_per_mask if self.rows_per_mask is None else self.rows_per_mask
        one = (1,) + (None,) * (len(shape) - 1)
        if rows == 0:
            return [(whole, {"noise_shape": one})]
        size, (group, inside) = math.prod(shape[1:]), divmod(passage.first_row, rows)
        if not inside:
            return [(whole, {"rows_per_mask": rows, "offset": group * size})]
        # The rest of a group that began in the block before.
        rest = rows - inside
        first = (slice(rest), {"noise_shape": one, "offset": group * size})
        if rest >= shape[0]:
            return [first]
        return [first, (slice(rest, None), {"rows_per_mask": rows, "offset": (group + 1) * size})]

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """A "dropout" of the native network, unless the noise shape is an unusual one."""
        per_row, rows = False, self.rows_per_mask
        if self.noise_shape is not None:
            sizes = input_shape[1:]
            if len(self.noise_shape) != len(input_shape) or 0 in sizes:
                return None
            first, rest = self.noise_shape[0], self.noise_shape[1:]
            same = all(entry in (None, size) for entry, size in zip(rest, sizes, strict=True))
            if first == 1 and same:
                rows = 0
            elif first is None and all(entry == 1 for entry in rest):
                per_row = True
            elif not (first is None and same):
                return None
            rows = 1 if rows is None else rows
        described: dict[str, Any] = {
            "kind": "dropout",
            "rate": self.rate_at(0, 0),
            "scale_at": self.scale_at,
            "per_row": per_row,
        }
        if rows is not None:
            described["rows_per_mask"] = rows
        return described


def check_rows_per_mask(rows: int | None) -> int | None:
    """None, or an integer that is not negative."""
    if rows is None:
        return None
    return check_integer("rows_per_mask", rows)

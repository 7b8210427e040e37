"""Layer 6: what layers with a drop rate have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from dropfast import schedules
from dropfast.checks import check_integer
from dropfast.layers.base import Passage
from dropfast.random import check_seed

Rate = float | schedules.Schedule


class Rated:
    """Mixed into a layer: a rate that may be a schedule, and a seed.

    Attributes
    ----------
    rate
        Number in [0, 1], or a schedule.
    seed
        Seed of its own, or None.
    """

    stochastic: ClassVar[bool] = True
    rate: Rate
    seed: int | None

    def set_rate(self, rate: Any, seed: int | None) -> None:
        """Check and keep both; called by constructors."""
        self.rate, self.seed = schedules.get_rate(rate), check_seed(seed)

    def rate_at(self, step: int, epoch: int) -> float:
        """The drop rate at a step of training."""
        return schedules.value_at(self.rate, step, epoch, "rate")

    def rate_of(self, passage: Passage) -> float:
        """The drop rate of a passage."""
        return self.rate_at(0, 0) if passage.rate is None else passage.rate


def noise_of(
    shape: tuple[int, ...], passage: Passage, noise_shape: Sequence[int | None] | None = None
) -> dict[str, Any]:
    """Noise shape and offset, as kernels take them, of a batch whose rows a passage numbers."""
    known = (None,) * len(shape) if noise_shape is None else tuple(noise_shape)
    if passage.consistent and known:
        return {"noise_shape": (1, *known[1:]), "offset": 0}
    if not passage.first_row or known[:1] == (1,):
        return {"noise_shape": noise_shape, "offset": 0}
    sizes = zip(known[1:], shape[1:], strict=False)
    row = math.prod(size if entry is None else entry for entry, size in sizes)
    return {"noise_shape": known, "offset": passage.first_row * row}


def check_noise_shape(noise_shape: Sequence[int | None] | None) -> tuple[int | None, ...] | None:
    """A noise shape of positive integers and None, or None for none.

    Raises
    ------
    ValueError
        If an entry is something else.
    """
    if noise_shape is None:
        return None
    try:
        return tuple(None if n is None else check_integer("", n, least=1) for n in noise_shape)
    except (TypeError, ValueError):
        raise ValueError(
            "noise_shape must hold positive integers and None. "
            f"Received: noise_shape={noise_shape!r}"
        ) from None

"""Layer 6: which units dropout drops, told from keys: no training needs to be watched for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast import _core
from dropfast.arrays import Array
from dropfast.checks import check_integer
from dropfast.layers import AlphaDropout, Dropout
from dropfast.layers.base import Passage
from dropfast.random import Key

if TYPE_CHECKING:
    from dropfast.models.fitting import Fitting


@dataclass(frozen=True, eq=False)
class LayerExplanation:
    """What one dropout layer did to one row.

    Attributes
    ----------
    layer
        Its name.
    place
        Its place in ``model.layers``.
    key
        Where it drew.
    rate
        The rate of the step.
    kept
        Bool, shape of a row of its input: True where kept.
    """

    layer: str
    place: int
    key: Key
    rate: float
    kept: NDArray[np.bool_]

    @property
    def dropped(self) -> NDArray[np.intp]:
        """Indices of the dropped units, counted in C order."""
        return np.flatnonzero(~self.kept)

    def __repr__(self) -> str:
        return (
            f"{self.layer} (place {self.place}): rate {self.rate:g}, dropped "
            f"{self.dropped.size} of {self.kept.size} at {self.key!r}"
        )


class Explanation:
    """Entries of all dropout layers for one row at one step."""

    def __init__(self, step: int, row: int, entries: list[LayerExplanation]) -> None:
        self.step, self.row, self.entries = step, row, entries

    def __getitem__(self, index: int) -> LayerExplanation:
        return self.entries[index]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[LayerExplanation]:
        return iter(self.entries)

    def __repr__(self) -> str:
        head = f"row {self.row} at step {self.step}"
        return "\n".join([head, *(f"  {entry!r}" for entry in self.entries)])


def explain(model: Fitting, x: ArrayLike, step: int | None, row: int) -> Explanation:
    """See `Sequential.explain_dropout`."""
    array = model._take(x)
    row = check_integer("row", row, 0, len(array) - 1)
    step = max(model._steps_done() - 1, 0) if step is None else check_integer("step", step)
    return Explanation(step, row, list(entries(model, len(array), step, row)))


def entries(model: Fitting, rows: int, step: int, row: int) -> Iterator[LayerExplanation]:
    """One entry a place that drops whole elements."""
    keys = model.plan.keys(model.seed, step=step)
    epoch = max(model.epochs_done - 1, 0)
    for place, key in zip(model.plan.stochastic, keys, strict=True):
        layer = place.layer
        if isinstance(layer, Dropout | AlphaDropout):
            rate = layer.rate_at(step, epoch)
            shape = (rows, *(size or 1 for size in place.input_shape[1:]))
            mask = mask_of(layer, shape, rate, key, model.rows_per_mask)
            yield LayerExplanation(layer.name, place.index, key, rate, mask[row])


def mask_of(
    layer: Dropout | AlphaDropout, shape: tuple[int, ...], rate: float, key: Key, rows: int
) -> Array:
    """The mask that a layer draws for a batch."""
    if isinstance(layer, Dropout):
        ((_, sharing),) = layer.sharing(shape, Passage(rows_per_mask=rows))
        return _core.dropout_mask(shape, rate, key, **sharing)
    return _core.dropout_mask(shape, rate, key, layer.noise_shape)

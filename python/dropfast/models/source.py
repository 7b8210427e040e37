"""Layer 6: where the epochs of a fit take their rows from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dropfast.arrays import Array
from dropfast.models.data import Feed

Rows = tuple[Array, Array, Array | None]


class Source:
    """Checked arrays, or a stream of batches.

    Parameters
    ----------
    data
        Inputs, targets and weights of rows, or None for a stream.
    stream
        Iterable of batches, or None.
    first
        Batches that were taken from an iterator already.
    class_weight
        For the batches of a stream.
    batch_size, shuffle
        For arrays.
    """

    def __init__(
        self,
        data: Rows | None,
        stream: Any = None,
        first: list[Any] | None = None,
        class_weight: Mapping[int, float] | None = None,
        batch_size: int = 32,
        shuffle: bool = False,
    ) -> None:
        self.data, self.stream, self.first = data, stream, first or []
        self.class_weight, self.batch_size, self.shuffle = class_weight, batch_size, shuffle
        self.feed: Feed | None = None
        # Batches of the next epoch that were trained before an interruption.
        self.skip = 0
        self.rows = None if data is None else len(data[0])
        self.steps = None if data is None else -(-len(data[0]) // batch_size)

    def rows_in(self, steps: int | None) -> int | None:
        """How many rows an epoch has, of so many batches where that is given; None if unknown."""
        if steps is None or self.rows is None:
            return self.rows
        return steps * self.batch_size

    def batches(self) -> Iterator[Any]:
        """The batches of an epoch; one that was taken for building comes first."""
        while self.first:
            yield self.first.pop()
        # Not `yield from`: that would close a generator which later epochs go on with.
        for part in self.stream:  # noqa: UP028
            yield part

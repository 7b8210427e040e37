"""Layer 6: kinds of data that scripts bring: objects with batches by number, streams to predict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from dropfast.pieces import in_pieces


class Indexed:
    """Batches that an object has by number, as Keras' Sequence and PyDataset do, as an iterable.

    Parameters
    ----------
    batches
        Has ``__len__`` and ``__getitem__``, and ``on_epoch_end`` if it wants to be told.
    """

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        for number in range(len(self.batches)):
            yield self.batches[number]

    def on_epoch_begin(self) -> None:
        """Tell the object, if it wants to know."""
        self._tell("on_epoch_begin")

    def on_epoch_end(self) -> None:
        """Tell the object, if it wants to know."""
        self._tell("on_epoch_end")

    def _tell(self, hook: str) -> None:
        tell = getattr(self.batches, hook, None)
        if tell is not None:
            tell()


def as_given(x: Any) -> Any:
    """`x` itself, or what stands for it where batches come by number or data in pieces.

    Raises
    ------
    TypeError
        If it is a sparse matrix.
    """
    if hasattr(x, "toarray") and hasattr(x, "nnz"):
        raise TypeError(
            "x must be a dense array: x.toarray() makes one. "
            f"Received: a sparse {type(x).__name__} of shape {x.shape}"
        )
    plain = isinstance(x, list | tuple | dict | str) or hasattr(x, "shape")
    x = in_pieces(x)
    by_number = hasattr(x, "__getitem__") and hasattr(x, "__len__") and not plain
    return Indexed(x) if by_number and not isinstance(x, Iterable) else x


def inputs_of(x: Any, steps: int | None) -> Iterator[Any]:
    """The inputs of each batch of a stream; what else a batch holds is left out.

    Raises
    ------
    ValueError
        If there is none.
    """
    count = 0
    for part in islice(x, steps):
        count += 1
        # Keras takes a list of arrays for (x, y) too: PyTorch's loaders make such lists.
        arrays = isinstance(part, list) and all(hasattr(one, "shape") for one in part) and part
        yield part[0] if arrays or isinstance(part, tuple) else part
    if not count:
        raise ValueError("x must yield at least one batch. Received: none")

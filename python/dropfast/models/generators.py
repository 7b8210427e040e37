"""Layer 6: batches that come one at a time, from generators or other iterables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from dropfast.pieces import Pieces, in_pieces

Part = tuple[Any, Any, Any]


def is_stream(x: Any) -> bool:
    """Whether `x` yields batches rather than being an array."""
    if isinstance(x, np.ndarray | list | tuple | Mapping | str | bytes | bytearray) or hasattr(
        x, "__array__"
    ):
        return False
    return isinstance(x, Iterable)


def batches(
    x: Any,
    y: Any,
    sample_weight: Any,
    steps: int | None,
    batch_size: int = 32,
    one_by_one: bool = False,
) -> Iterator[Part]:
    """(x, y, sample_weight) of the array that `x` is, or of each batch that it yields.

    Arrays come at once, or in batches if `one_by_one`; `steps` limits both.

    Raises
    ------
    ValueError
        If a stream is given together with y, or yields nothing or something else.
    """
    if not is_stream(x):
        if steps is None and not one_by_one:
            yield x, y, sample_weight
            return
        if x is None or y is None:
            raise ValueError("x and y must be given. Received: None")
        inputs = x if isinstance(x, Pieces) else np.asanyarray(x)
        targets = np.asanyarray(in_pieces(y))
        weights = None if sample_weight is None else np.asanyarray(sample_weight)
        rows = len(inputs) if steps is None else min(len(inputs), steps * batch_size)
        step = batch_size if one_by_one else rows
        for first in range(0, rows, step):
            part = slice(first, min(first + step, rows))
            yield inputs[part], targets[part], None if weights is None else weights[part]
        return
    if y is not None or sample_weight is not None:
        raise ValueError("y and sample_weight must come from the generator. Received: both kinds")
    count = 0
    for part in islice(x, steps):
        count += 1
        yield unpack(part)
    if count == 0:
        raise ValueError("x must yield at least one batch. Received: none")


def unpack(part: Any) -> Part:
    """(x, y) or (x, y, sample_weight) as three.

    Raises
    ------
    ValueError
        If it is neither.
    """
    # PyTorch's loaders make lists of the batches.
    part = tuple(part) if isinstance(part, list) else part
    if not isinstance(part, tuple) or len(part) not in (2, 3):
        raise ValueError(
            "a generator must yield tuples (x, y) or (x, y, sample_weight). "
            f"Received: {type(part).__name__}"
        )
    return part if len(part) == 3 else (*part, None)

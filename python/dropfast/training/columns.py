"""Layer 6: several arrays as the columns of one, as the rows of a model with several inputs go.

So whatever takes rows, shuffles, shards or averages them, sees one array [n, columns], and a model
with one input and one output is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dropfast.arrays import Array, Shape


class Columns:
    """Where arrays lie among the columns.

    Parameters
    ----------
    shapes
        Their shapes, each with None for the rows.

    Examples
    --------
    >>> import numpy as np
    >>> columns = Columns([(None, 2), (None, 1, 1)])
    >>> rows = columns.join([np.zeros((3, 2)), np.ones((3, 1, 1))])
    >>> rows.shape, [part.shape for part in columns.split(rows)]
    ((3, 3), [(3, 2), (3, 1, 1)])
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self.shapes = [tuple(size or 1 for size in shape[1:]) for shape in shapes]
        sizes = [math.prod(shape) for shape in self.shapes]
        self.ends = np.cumsum(sizes).tolist()
        self.starts = [0, *self.ends[:-1]]

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def shape(self) -> Shape:
        """Shape of the one array: of a single one its own."""
        return (None, *(self.shapes[0] if len(self) == 1 else (self.ends[-1],)))

    def split(self, rows: Array) -> list[Array]:
        """The arrays, as views where the layout allows."""
        if len(self) == 1:
            return [rows]
        cuts = zip(self.starts, self.ends, self.shapes, strict=True)
        return [rows[:, start:end].reshape(len(rows), *shape) for start, end, shape in cuts]

    def join(self, arrays: Sequence[Array]) -> Array:
        """The one array."""
        if len(self) == 1:
            return np.ascontiguousarray(arrays[0])
        return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)

"""Layer 6: Orthogonal: initial weights whose rows or columns are orthonormal (Saxe et al. 2014)."""

from __future__ import annotations

import math

import numpy as np

from dropfast._core import matmul
from dropfast.arrays import Array
from dropfast.checks import check_number
from dropfast.initializers.base import Initializer
from dropfast.random import Key, check_seed, random_normal

_BLOCK = 32


class Orthogonal(Initializer):
    """`gain` times a random matrix with orthonormal columns, or rows where there are fewer.

    Shapes of more than two sizes count as (all but the last, last).

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> w = df.initializers.Orthogonal(seed=0)((4, 3), "float64")
    >>> bool(np.allclose(w.T @ w, np.eye(3)))
    True
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain, self.seed = check_number("gain", gain), check_seed(seed)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Normal variates made orthonormal."""
        if len(shape) < 2:
            raise ValueError(f"shape must have at least 2 sizes. Received: shape={shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q = orthonormal(random_normal(math.prod(tall), key).reshape(tall))
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


def orthonormal(a: Array) -> Array:
    """Orthonormal columns with the span of those of `a`, by Gram and Schmidt, each done twice.

    LAPACK's would be faster, but its bits depend on the machine; our products' don't.
    """
    q = np.array(a, np.float64)
    for start in range(0, q.shape[1], _BLOCK):
        block, before = q[:, start : start + _BLOCK], q[:, :start]
        for _ in range(2):
            _remove(block, before)
        for j in range(block.shape[1]):
            column = block[:, j : j + 1]
            for _ in range(2):
                _remove(column, block[:, :j])
            column /= math.sqrt(matmul(column.T.copy(), column.copy())[0, 0])
    return q


def _remove(columns: Array, directions: Array) -> None:
    """Take the part along orthonormal directions off columns."""
    if directions.shape[1]:
        directions = directions.copy()
        columns -= matmul(directions, matmul(directions.T.copy(), columns.copy()))

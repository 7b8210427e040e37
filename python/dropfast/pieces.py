"""Layer 6: arrays of other libraries that lie on a disk or elsewhere, read piece by piece."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# A request is large enough to keep a disk busy, and small beside the data.
_REQUEST_BYTES = 1 << 22
# Rows that lie this near to each other are read in one request.
_NEAR = 8


class Pieces:
    """Rows of anything with `shape`, `dtype` and slices: an h5py dataset, a zarr or dask array.

    A slice of it is one too, and reads nothing; `numpy.asarray` and a list of rows read, in
    requests that are small beside the whole.

    Parameters
    ----------
    source
        Whose rows.
    start, stop
        Which of them; None for all.
    column
        Whether a source of one axis is shown as a column.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.pieces import Pieces
    >>> rows = Pieces(np.arange(20).reshape(10, 2))[2:]
    >>> rows.shape, rows[np.array([3, 0])].tolist()
    ((8, 2), [[10, 11], [4, 5]])
    """

    def __init__(
        self, source: Any, start: int = 0, stop: int | None = None, column: bool = False
    ) -> None:
        self.source, self.start, self.column = source, start, column
        rows = int(source.shape[0])
        self.stop = rows if stop is None else stop
        size = math.prod(int(n) for n in source.shape[1:]) * np.dtype(source.dtype).itemsize
        self._most = max(min(_REQUEST_BYTES // max(size, 1), rows // 4), 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of these rows."""
        rest = tuple(int(size) for size in self.source.shape[1:])
        return (self.stop - self.start, *rest, *((1,) if self.column else ()))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the source."""
        found: np.dtype[Any] = np.dtype(self.source.dtype)
        return found

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.stop - self.start

    def as_column(self) -> Pieces:
        """The rows of a source of one axis as rows of one element."""
        return Pieces(self.source, self.start, self.stop, column=True)

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            first, last, _ = rows.indices(len(self))
            last = max(first, last)
            return Pieces(self.source, self.start + first, self.start + last, self.column)
        return self._gather(np.asarray(rows))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return self._gather(np.arange(len(self))).astype(dtype or self.dtype, copy=False)

    def _gather(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Rows in an order; the source is read from its beginning to its end."""
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        sorting = np.argsort(rows, kind="stable")
        wanted = rows[sorting] + self.start
        at = 0
        while at < len(wanted):
            low = int(wanted[at])
            end = int(np.searchsorted(wanted, low + self._most))
            apart = np.flatnonzero(np.diff(wanted[at:end]) > _NEAR)
            end = at + int(apart[0]) + 1 if len(apart) else end
            piece = np.asarray(self.source[low : int(wanted[end - 1]) + 1])
            picked = piece[wanted[at:end] - low]
            found[sorting[at:end]] = picked[..., None] if self.column else picked
            at = end
        return found


def in_pieces(x: Any) -> Any:
    """`x` itself, or `Pieces` of it where it is no array in memory but can be sliced."""
    if isinstance(x, np.ndarray | Pieces) or not hasattr(x, "__getitem__"):
        return x
    # What converts itself lies in memory: tensors, columns and tables.
    in_memory = ("detach", "numpy", "__dlpack__", "to_numpy", "iloc", "toarray")
    if any(hasattr(x, name) for name in in_memory):
        return x
    shape = getattr(x, "shape", None)
    if not isinstance(shape, tuple) or not shape or not hasattr(x, "dtype"):
        return x
    try:
        kind = np.dtype(x.dtype).kind
    except TypeError:
        return x
    return Pieces(x) if kind in "fiub" else x

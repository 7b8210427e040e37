"""Layer 6: weights and optimizer state of the last good epoch, for a fit to go back to."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from typing import IO

import numpy as np

from dropfast.arrays import Array

# Below this a copy is lost in what Python itself needs, and quicker made in memory.
_IN_MEMORY = 1 << 16


class Kept:
    """Contents of some arrays, to come back to.

    They are needed only if a loss is not finite, which is rare, so they don't lie in memory but in
    a temporary file without a name; in memory where they are small or no file can be written.
    """

    def __init__(self) -> None:
        self._arrays: list[Array] = []
        self._copies: list[Array] | None = None
        self._file: IO[bytes] | None = None

    def keep(self, arrays: Sequence[Array]) -> None:
        """Keep what the arrays hold now, instead of what was kept before."""
        self._arrays = list(arrays)
        if self._copies is None and sum(array.nbytes for array in arrays) > _IN_MEMORY:
            try:
                self._write()
            except OSError:
                self.close()
            else:
                return
        self._copies = [array.copy() for array in arrays]

    def go_back(self) -> None:
        """Give the arrays back what was kept."""
        if self._copies is not None:
            for array, copy in zip(self._arrays, self._copies, strict=True):
                np.copyto(array, copy)
            return
        assert self._file is not None
        self._file.seek(0)
        for array in self._arrays:
            found = np.frombuffer(self._file.read(array.nbytes), array.dtype)
            array[...] = found.reshape(array.shape)

    def close(self) -> None:
        """Forget everything."""
        file, self._file, self._copies = self._file, None, None
        if file is not None:
            # What could not be written is not missed.
            with contextlib.suppress(OSError):
                file.close()

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="dropfast-")  # noqa: SIM115
        self._file.seek(0)
        for array in self._arrays:
            self._file.write(np.ascontiguousarray(array).data)
        self._file.flush()

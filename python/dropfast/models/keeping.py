"""Layer 6: weights and optimizer state of the last good epoch, for a fit to go back to."""

from __future__ import annotations

import contextlib
import mmap
import tempfile
from collections.abc import Sequence
from typing import IO

import numpy as np

from dropfast.arrays import Array, assign
from dropfast.optimizers import Optimizer

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

    def go_back(self, more: Sequence[tuple[Array, Array]] = ()) -> None:
        """Give the arrays back what was kept, and others what they were, all at once."""
        if self._copies is not None:
            assign([*zip(self._arrays, self._copies, strict=True), *more])
            return
        assert self._file is not None
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as found:
            kept: list[Array] = []
            start = 0
            for array in self._arrays:
                kept.append(
                    np.frombuffer(found, array.dtype, array.size, start).reshape(array.shape)
                )
                start += array.nbytes
            assign([*zip(self._arrays, kept, strict=True), *more])
            # A mapping that is still looked at can't be closed.
            kept.clear()

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


class Snapshots:
    """What weights and optimizer were before this epoch and before the one before it.

    Weights are good if a loss that was computed with them is finite. Those from before an epoch
    are known to be when its first step is done: until then those before the last one are the good
    ones.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._now, self._before = Kept(), Kept()
        # Step and epoch that each begins with; None where nothing is kept.
        self._begin: tuple[int, int] | None = None
        self._begin_before: tuple[int, int] | None = None

    def keep(self, weights: Sequence[Array], epoch: int) -> None:
        """Keep what weights and optimizer state are before an epoch."""
        if self._begin is not None and self._optimizer.iterations > self._begin[0]:
            self._now, self._before = self._before, self._now
            self._begin_before = self._begin
        state = (array for slot in self._optimizer.state for array in slot)
        self._now.keep([*weights, *state])
        self._begin = self._optimizer.iterations, epoch

    def go_back(self) -> tuple[str, int]:
        """Give weights, state and counter back what they were when they were good.

        Returns what that means for the user, and the epoch that begins with them.
        """
        advice = "; a lower learning rate or clipnorm may help"
        assert self._begin is not None
        step, epoch = self._begin
        if self._optimizer.iterations > step:
            self._now.go_back(self._optimizer._count(step))
            return f"The weights from before this epoch are kept{advice}", epoch
        if self._begin_before is None:
            self._now.go_back(self._optimizer._count(step))
            message = "No weights of this fit gave a finite loss: they are as they were before it"
            return message, epoch
        step, epoch = self._begin_before
        self._before.go_back(self._optimizer._count(step))
        good = "are kept, the last that gave a finite loss"
        return f"The weights from before epoch {epoch + 1} {good}{advice}", epoch

    def close(self) -> None:
        """Forget everything."""
        self._now.close()
        self._before.close()

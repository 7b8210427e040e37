"""Layer 7: how rates move while networks for tables train, as shares of training that is done."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dropfast import schedules
from dropfast.optimizers.schedules import LearningRateSchedule


def _cosine(t: float) -> float:
    return 0.5 * (1.0 + float(np.cos(np.pi * t)))


def _coslog4(t: float) -> float:
    # Four cosine waves, each twice as long as the one before: RealMLP's.
    return 0.5 * (1.0 - float(np.cos(2.0 * np.pi * np.log2(1.0 + 15.0 * t))))


# Factor of a first value at the share t of training.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 1.0,
    "cosine": _cosine,
    "coslog4": _coslog4,
    "flat_cosine": lambda t: 1.0 if t < 0.5 else _cosine(2.0 * t - 1.0),
    "linear": lambda t: 1.0 - t,
}


class LearningRate(LearningRateSchedule):
    """A learning rate of one of the shapes, for the native engine."""

    def __init__(self, start: float, shape: str, steps: int) -> None:
        self.start, self.shape, self.steps = float(start), shape, int(steps)

    def __call__(self, step: int) -> float:
        """The learning rate of the step after `step` steps."""
        return self.start * SCHEDULES[self.shape](min(step / self.steps, 1.0))


class DropRate(schedules.Schedule):
    """A drop rate of one of the shapes, an epoch at a time, for the native engine."""

    def __init__(self, start: float, shape: str, epochs: int) -> None:
        super().__init__()
        self.start, self.shape, self.epochs = float(start), shape, int(epochs)

    def __call__(self, time: int) -> float:
        """The rate of an epoch."""
        return self.start * SCHEDULES[self.shape](min(time / self.epochs, 1.0))

    def extremes(self) -> tuple[float, ...]:
        """Both ends."""
        return 0.0, self.start

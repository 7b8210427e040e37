"""Layer 6: callbacks that set the learning rate: LearningRateScheduler, ReduceLROnPlateau."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from dropfast.callbacks.base import Callback, Logs
from dropfast.callbacks.stopping import Mode, Monitor
from dropfast.optimizers import schedules
from dropfast.output import write


def current_rate(callback: Callback) -> float:
    """The optimizer's learning rate now.

    Raises
    ------
    ValueError
        If a schedule sets it: two masters are one too many.
    """
    rate = callback.model.optimizer.learning_rate
    if isinstance(rate, schedules.LearningRateSchedule):
        raise ValueError(
            f"learning_rate must be a number where {type(callback).__name__} is used. "
            f"Received: {rate!r}"
        )
    return rate


def note_rate(callback: Callback, logs: Logs) -> None:
    """Put the learning rate into an epoch's logs, and so into the history."""
    if isinstance(logs, dict):
        logs["learning_rate"] = current_rate(callback)


class LearningRateScheduler(Callback):
    """Asks a function for the learning rate before each epoch.

    Parameters
    ----------
    schedule
        Function of the epoch (from 0) and the current learning rate, or of the epoch alone.
    verbose
        1 prints the rate.

    Examples
    --------
    >>> import dropfast as df
    >>> halve = df.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"schedule must be callable. Received: schedule={schedule!r}")
        self.schedule, self.verbose = schedule, verbose
        try:
            self._two = len(inspect.signature(schedule).parameters) != 1
        except ValueError:
            self._two = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Set the rate."""
        now = current_rate(self)
        rate = self.schedule(epoch, now) if self._two else self.schedule(epoch)
        self.model.optimizer.learning_rate = rate
        if self.verbose:
            write(f"Epoch {epoch + 1}: learning rate {rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Put the rate into the logs."""
        note_rate(self, logs)


class ReduceLROnPlateau(Callback):
    """Lowers the learning rate when a monitored value has not improved for some epochs.

    Parameters
    ----------
    monitor
        Name of the value in the logs.
    factor
        What the rate is multiplied with, below 1.
    patience
        Number of epochs without improvement.
    verbose
        1 prints the new rate.
    mode
        "min", "max", or "auto", which decides by the name.
    min_delta
        A change by less than this is no improvement.
    cooldown
        Epochs after a change in which none is counted.
    min_lr
        The rate never falls below.

    Examples
    --------
    >>> import dropfast as df
    >>> reduce = df.callbacks.ReduceLROnPlateau("val_loss", factor=0.2, patience=5, min_lr=1e-5)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: Mode = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0.0 <= factor < 1.0:
            raise ValueError(f"factor must be in [0, 1). Received: factor={factor!r}")
        self.monitor = Monitor(monitor, mode, min_delta)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start anew."""
        self.best, self.wait, self.cooldown_counter = self.monitor.worst, 0, 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compare with the best epoch."""
        note_rate(self, logs)
        value = self.monitor.read(logs, self.params)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.wait = self.cooldown_counter - 1, 0
        if self.monitor.better(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            now = current_rate(self)
            if self.wait >= self.patience and now > self.min_lr:
                rate = max(now * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = rate
                self.cooldown_counter, self.wait = self.cooldown, 0
                if self.verbose:
                    write(f"Epoch {epoch + 1}: learning rate reduced to {rate:g}")

"""Layer 6: callbacks that end training: EarlyStopping, TerminateOnNaN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from dropfast.arrays import Array
from dropfast.callbacks.base import Callback, Logs
from dropfast.output import write

Mode = Literal["auto", "min", "max"]


class Monitor:
    """Tells whether a monitored value got better.

    Parameters
    ----------
    name
        Name in the logs.
    mode
        "min", "max", or "auto", which decides by the name.
    min_delta
        A change by less than this is none.

    Raises
    ------
    ValueError
        If the mode is none of these.
    """

    def __init__(self, name: str, mode: Mode = "auto", min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max'. Received: mode={mode!r}")
        rising = ("accuracy", "acc", "precision", "recall", "r2_score", "auc", "f1_score")
        if mode == "auto":
            mode = "max" if name.endswith(rising) else "min"
        self.name, self.mode, self.min_delta = name, mode, abs(min_delta)

    @property
    def worst(self) -> float:
        """What any value is better than."""
        return np.inf if self.mode == "min" else -np.inf

    def better(self, value: float, than: float) -> bool:
        """Whether `value` improves on `than`."""
        if self.mode == "min":
            return value < than - self.min_delta
        return value > than + self.min_delta

    def read(self, logs: Logs, params: Mapping[str, Any]) -> float | None:
        """The monitored value; None in epochs that are not validated.

        Raises
        ------
        ValueError
            If the logs don't hold it.
        """
        found = (logs or {}).get(self.name)
        if found is not None:
            return float(found)
        if self.name.startswith("val_") and params.get("validation_freq", 1) > 1:
            return None
        raise ValueError(
            f"monitor must be one of {', '.join(logs or {})}. Received: monitor={self.name!r}"
        )


class EarlyStopping(Callback):
    """Stops when a monitored value has not improved for some epochs.

    Parameters
    ----------
    monitor
        Name of the value in the logs.
    min_delta
        A change by less than this is no improvement.
    patience
        Number of epochs without improvement after which training stops.
    verbose
        1 prints when it stops.
    mode
        "min", "max", or "auto", which decides by the name.
    baseline
        A value that has to be improved on at all.
    restore_best_weights
        Whether the best epoch's weights are put back at the end.
    start_from_epoch
        Epochs before this one are not looked at.

    Examples
    --------
    >>> import dropfast as df
    >>> stop = df.callbacks.EarlyStopping("val_accuracy", patience=5, restore_best_weights=True)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: Mode = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.monitor = Monitor(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start anew."""
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best = self.monitor.worst
        self.best_weights: list[Array] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compare with the best epoch."""
        if epoch < self.start_from_epoch:
            return
        value = self.monitor.read(logs, self.params)
        if value is None:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.monitor.better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.monitor.better(value, self.baseline):
                self.wait = 0
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True

    def on_train_end(self, logs: Logs = None) -> None:
        """Put the best weights back."""
        if self.stopped_epoch > 0 and self.verbose:
            write(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Ends training quietly where a loss that is not finite would raise.

    The weights of the last good epoch are kept either way.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> model = df.Sequential([df.layers.Dense(1)], seed=0)
    >>> model.compile(df.optimizers.SGD(1e30), "mse")
    >>> quiet = df.callbacks.TerminateOnNaN()
    >>> with np.errstate(all="ignore"):
    ...     history = model.fit(np.ones((64, 2)), np.ones(64), verbose=0, callbacks=[quiet])
    training ended: epoch 1: ...
    """

    def terminated(self, message: str) -> None:
        """Called with the message of the error."""
        write(f"training ended: {message}")

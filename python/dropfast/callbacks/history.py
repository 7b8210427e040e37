"""Layer 6: History, what fit returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dropfast.callbacks.base import Callback


class History(Callback):
    """Losses and metrics of every epoch of a `fit`.

    Attributes
    ----------
    history
        Name -> list of values, one an epoch; names of the validation start with ``val_``.
    epoch
        Numbers of the epochs, from 0.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> model = df.Sequential([df.layers.Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=3, verbose=0)
    >>> history.epoch, list(history.history)
    ([0, 1, 2], ['loss'])
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Start empty."""
        self.history, self.epoch = {}, []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the epoch's logs."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def plot(self, metrics: list[str] | None = None, axes: Any = None) -> Any:
        """Draw the curves; needs the extra ``plot``. See `dropfast.plot.history`."""
        from dropfast import plot

        return plot.history(self, metrics, axes)

    def __repr__(self) -> str:
        return f"History(epochs={len(self.epoch)}, metrics={list(self.history)})"

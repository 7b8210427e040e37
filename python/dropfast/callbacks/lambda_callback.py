"""Layer 6: LambdaCallback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dropfast.callbacks.base import Callback, Logs

Hook = Callable[..., Any]


class LambdaCallback(Callback):
    """A callback made of functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end
        Functions of (epoch, logs).
    on_train_begin, on_train_end
        Functions of (logs).

    Notes
    -----
    For functions of single batches derive from `Callback`: that they slow training down should be
    seen in the code.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> seen = []
    >>> model = df.Sequential([df.layers.Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> keep = df.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    >>> _ = model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[keep])
    >>> seen
    [0, 1]
    """

    def __init__(
        self,
        on_epoch_begin: Hook | None = None,
        on_epoch_end: Hook | None = None,
        on_train_begin: Hook | None = None,
        on_train_end: Hook | None = None,
    ) -> None:
        super().__init__()
        self._hooks = {
            "epoch_begin": on_epoch_begin,
            "epoch_end": on_epoch_end,
            "train_begin": on_train_begin,
            "train_end": on_train_end,
        }

    def _call(self, hook: str, *arguments: Any) -> None:
        function = self._hooks[hook]
        if function is not None:
            function(*arguments)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Call the function."""
        self._call("epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Call the function."""
        self._call("epoch_end", epoch, logs)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Call the function."""
        self._call("train_begin", logs)

    def on_train_end(self, logs: Logs = None) -> None:
        """Call the function."""
        self._call("train_end", logs)

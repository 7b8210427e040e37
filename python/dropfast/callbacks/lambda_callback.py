"""Layer 6: LambdaCallback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dropfast.callbacks.base import Callback

Hook = Callable[..., Any]


class LambdaCallback(Callback):
    """A callback made of functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end
        Functions of (epoch, logs).
    on_train_begin, on_train_end
        Functions of (logs).
    on_train_batch_begin, on_train_batch_end
        Functions of (batch, logs); training comes back to Python after every batch then.
    **kwargs
        Any other hook of `Callback` by its name.

    Raises
    ------
    TypeError
        If one of them is no hook or no function.

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
        on_train_batch_begin: Hook | None = None,
        on_train_batch_end: Hook | None = None,
        **kwargs: Hook | None,
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in given.items():
            if not (name.startswith("on_") and hasattr(Callback, name)):
                raise TypeError(f"{name} must be a hook of Callback. Received: {name}={function!r}")
            if function is None:
                continue
            if not callable(function):
                raise TypeError(f"{name} must be a function. Received: {name}={function!r}")
            setattr(self, name, function)

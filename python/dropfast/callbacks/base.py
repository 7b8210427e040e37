"""Layer 6: Callback, what users hook into training with, and the list that calls them in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropfast.models.sequential import Sequential

Logs = Mapping[str, float] | None


class Callback:
    """Base of the callbacks: override what you need; names are Keras'.

    Overriding ``on_train_batch_begin`` or ``on_train_batch_end`` makes training come back to
    Python after every batch instead of about ten times a second.

    Attributes
    ----------
    model
        The model in training.
    params
        "epochs", "steps" and "rows" (an epoch's), "verbose".

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> class StopWhenGood(df.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         if logs["loss"] < 0.1:
    ...             self.model.stop_training = True
    >>> model = df.Sequential([df.layers.Dense(1, kernel_initializer="zeros")], seed=0)
    >>> model.compile(df.optimizers.SGD(0.1), "mse")
    >>> x = np.ones((32, 1))
    >>> history = model.fit(x, x, epochs=100, verbose=0, callbacks=[StopWhenGood()])
    >>> len(history.epoch)
    4
    """

    model: Sequential
    params: Mapping[str, Any]

    def __init__(self) -> None:
        self.params = {}

    def set_model(self, model: Sequential) -> None:
        """Called before training."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Called before training."""
        self.params = params

    def on_train_begin(self, logs: Logs = None) -> None:
        """Training starts."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Training is over."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """An epoch starts; they count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """An epoch and its validation are over."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A batch starts; they count from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """A batch is over; logs hold the epoch's means so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """An older name of `on_train_batch_begin`, which calls it."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """An older name of `on_train_batch_end`, which calls it."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """An evaluation starts."""

    def on_test_end(self, logs: Logs = None) -> None:
        """An evaluation is over."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A batch of an evaluation starts."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """A batch of an evaluation is over; logs hold the means so far."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """A prediction starts."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A batch of a prediction starts."""

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A batch of a prediction is over; logs hold its "outputs"."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """A prediction is over."""


def as_list(callbacks: Any) -> list[Any]:
    """Callbacks that are given as None, one object, a `CallbackList` or (nested) iterables.

    Examples
    --------
    >>> import dropfast as df
    >>> stop = df.callbacks.EarlyStopping()
    >>> df.callbacks.base.as_list([[stop], None]) == df.callbacks.base.as_list(stop) == [stop]
    True
    """
    if callbacks is None:
        return []
    if isinstance(callbacks, CallbackList):
        return list(callbacks.callbacks)
    one = isinstance(callbacks, Callback | str | bytes | bytearray)
    if one or not isinstance(callbacks, Iterable):
        return [callbacks]
    return [found for entry in callbacks for found in as_list(entry)]


def told(callbacks: Any, model: Sequential, params: Mapping[str, Any]) -> CallbackList:
    """Callbacks as a list; one that a fit hands over knows its model and what it trains."""
    if isinstance(callbacks, CallbackList):
        return callbacks
    return CallbackList(callbacks, model, params)


class CallbackList:
    """Calls a hook of several callbacks in turn.

    Raises
    ------
    TypeError
        If one of them is no Callback.

    Examples
    --------
    >>> import dropfast as df
    >>> tell = df.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> hooks = df.callbacks.CallbackList([tell], df.Sequential(seed=0), {})
    >>> hooks.call("epoch_end", 0, {"loss": 1.0})
    0 {'loss': 1.0}
    """

    def __init__(self, callbacks: Any, model: Sequential, params: Mapping[str, Any]):
        self.callbacks = as_list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"callbacks must hold dropfast.callbacks.Callback objects. "
                    f"Received: {callback!r}"
                )
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)
        self.wants_batches = self.wants(
            "train_batch_begin", "train_batch_end", "batch_begin", "batch_end"
        )

    def wants(self, *hooks: str) -> bool:
        """Whether a callback has one of these hooks of its own, in its class or on itself."""
        return any(
            f"on_{hook}" in vars(callback)
            or getattr(type(callback), f"on_{hook}") is not getattr(Callback, f"on_{hook}")
            for callback in self.callbacks
            for hook in hooks
        )

    def call(self, hook: str, *arguments: Any) -> None:
        """Call ``on_<hook>`` of each."""
        for callback in self.callbacks:
            getattr(callback, f"on_{hook}")(*arguments)

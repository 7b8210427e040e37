"""Layer 6: SwapEMAWeights."""

from __future__ import annotations

from dropfast.callbacks.base import Callback, Logs
from dropfast.checks import check_flag


class SwapEMAWeights(Callback):
    """Evaluates and predicts with the averages that an optimizer with ``use_ema=True`` keeps.

    Parameters
    ----------
    swap_on_epoch
        Whether averages and weights change places between epochs too, so that callbacks behind
        this one, such as `ModelCheckpoint`, see the averages.

    Raises
    ------
    ValueError
        When training or an evaluation begins, if the optimizer keeps no averages.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> model = df.Sequential([df.layers.Dense(1)], seed=0)
    >>> model.compile(df.optimizers.SGD(0.01, use_ema=True), "mse")
    >>> x = np.ones((8, 1))
    >>> swap = df.callbacks.SwapEMAWeights()
    >>> history = model.fit(x, x, verbose=0, validation_data=(x, x), callbacks=[swap])
    >>> list(history.history)
    ['loss', 'val_loss']
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = check_flag("swap_on_epoch", swap_on_epoch)

    def _show(self, averages: bool) -> None:
        """Let the model hold the averages, or what was trained."""
        optimizer = self.model.optimizer
        if not optimizer.use_ema:
            raise ValueError(
                f"use_ema of the optimizer must be True for SwapEMAWeights. Received: {optimizer!r}"
            )
        optimizer.show_averages(averages)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Training needs what was trained."""
        self._show(averages=False)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """The same for each epoch."""
        self._show(averages=False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Show the averages, if that is wanted between epochs."""
        self._show(self.swap_on_epoch)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Evaluate the averages."""
        self._show(averages=True)

    def on_test_end(self, logs: Logs = None) -> None:
        """Put the trained weights back."""
        self._show(averages=False)

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Predict by the averages."""
        self._show(averages=True)

    def on_predict_end(self, logs: Logs = None) -> None:
        """Put the trained weights back."""
        self._show(averages=False)

"""Layer 6: ModelCheckpoint."""

from __future__ import annotations

import os

from dropfast.callbacks.base import Callback, Logs
from dropfast.callbacks.stopping import Mode, Monitor
from dropfast.output import write


class ModelCheckpoint(Callback):
    """Saves the model after epochs, with the optimizer's state, so that training can go on.

    Parameters
    ----------
    filepath
        File to write; may hold "{epoch}" (from 1) and names of the logs, as in
        "model-{epoch:02d}-{val_loss:.3f}.safetensors".
    monitor
        Name of the value that decides which epoch is the best.
    verbose
        1 prints what is saved.
    save_best_only
        Whether only epochs that improve on all before are saved.
    mode
        "min", "max", or "auto", which decides by the name.
    initial_value_threshold
        Value that the first saved epoch must improve on.

    Examples
    --------
    >>> import os, tempfile, numpy as np, dropfast as df
    >>> path = os.path.join(tempfile.mkdtemp(), "model-{epoch}.safetensors")
    >>> model = df.Sequential([df.layers.Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((8, 1))
    >>> save = df.callbacks.ModelCheckpoint(path)
    >>> _ = model.fit(x, x, epochs=2, verbose=0, callbacks=[save])
    >>> sorted(os.listdir(os.path.dirname(path)))
    ['model-1.safetensors', 'model-2.safetensors']
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: Mode = "auto",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.monitor, self.save_best_only = Monitor(monitor, mode), save_best_only
        self.best = (
            self.monitor.worst if initial_value_threshold is None else initial_value_threshold
        )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save, if this epoch is to be saved."""
        if self.save_best_only:
            value = self.monitor.read(logs, self.params)
            if value is None or not self.monitor.better(value, self.best):
                return
            self.best = value
        try:
            path = self.filepath.format(epoch=epoch + 1, **(logs or {}))
        except (KeyError, IndexError) as error:
            raise ValueError(
                f"filepath must use only epoch, {', '.join(logs or {})}. "
                f"Received: filepath={self.filepath!r}"
            ) from error
        self.model.save(path)
        if self.verbose:
            write(f"Epoch {epoch + 1}: saved {path}")

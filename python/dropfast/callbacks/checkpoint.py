"""Layer 6: ModelCheckpoint."""

from __future__ import annotations

import os
from typing import Any, Literal

from dropfast.callbacks.base import Callback, Logs
from dropfast.callbacks.stopping import Mode, Monitor
from dropfast.checks import check_flag, check_integer, check_number, check_path
from dropfast.formats import check_format
from dropfast.output import write

SaveFreq = Literal["epoch"] | int


class Pace:
    """Tells after which batches to save.

    Parameters
    ----------
    save_freq
        "epoch" for none, or each how many batches, over all epochs.

    Raises
    ------
    ValueError, TypeError
        If it is neither.
    """

    def __init__(self, save_freq: Any) -> None:
        by_batch = not isinstance(save_freq, str)
        if not by_batch and save_freq != "epoch":
            raise ValueError(
                f"save_freq must be 'epoch' or a number of batches. Received: {save_freq!r}"
            )
        self.batches = check_integer("save_freq", save_freq, 1) if by_batch else 0
        self._count = 0

    def due(self) -> bool:
        """Count a batch."""
        self._count += 1
        return self.batches > 0 and self._count % self.batches == 0


class ModelCheckpoint(Callback):
    """Saves the model after epochs, with the optimizer's state, so that training can go on.

    Parameters
    ----------
    filepath
        File to write; may hold "{epoch}" (from 1) and names of the logs, as in
        "model-{epoch:02d}-{val_loss:.3f}.safetensors"; also "{batch}" where `save_freq` counts
        them. Its folder is made where it doesn't exist.
    monitor
        Name of the value that decides which epoch is the best.
    verbose
        1 prints what is saved.
    save_best_only
        Whether only epochs that improve on all before are saved.
    save_weights_only
        Whether `save_weights` writes the file instead of `save`.
    mode
        "min", "max", or "auto", which decides by the name.
    save_freq
        "epoch", or after each how many batches to save.
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
        save_weights_only: bool = False,
        mode: Mode = "auto",
        save_freq: SaveFreq = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.filepath = check_path("filepath", filepath)
        # A name that promises another format is told now, not after an epoch.
        check_format(self.filepath)
        self.verbose = check_integer("verbose", verbose)
        self.monitor = Monitor(monitor, mode)
        self.save_best_only = check_flag("save_best_only", save_best_only)
        self.save_weights_only = check_flag("save_weights_only", save_weights_only)
        self.save_freq, self._pace, self._epoch = save_freq, Pace(save_freq), 0
        if self._pace.batches:
            # Only then training comes back to Python after every batch.
            setattr(self, "on_train_batch_end", self._after_batch)  # noqa: B010
        if initial_value_threshold is not None:
            check_number("initial_value_threshold", initial_value_threshold)
        self.best = (
            self.monitor.worst if initial_value_threshold is None else initial_value_threshold
        )
        if save_best_only and self._pace.batches and monitor.startswith("val_"):
            raise ValueError(
                "monitor must be known after a batch where save_freq counts batches. "
                f"Received: monitor={monitor!r}, save_freq={save_freq!r}"
            )

    def on_train_begin(self, logs: Logs = None) -> None:
        """Make the folder, so that a bad one is told before the first step."""
        folder = os.path.dirname(self.filepath)
        if folder and "{" not in folder:
            os.makedirs(folder, exist_ok=True)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def _after_batch(self, batch: int, logs: Logs = None) -> None:
        if self._pace.due():
            self._save(self._epoch, logs, {"batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save, if this epoch is to be saved."""
        if not self._pace.batches:
            self._save(epoch, logs, {})

    def _save(self, epoch: int, logs: Logs, place: dict[str, int]) -> None:
        if self.save_best_only:
            value = self.monitor.read(logs, self.params)
            if value is None or not self.monitor.better(value, self.best):
                return
            self.best = value
        known = {**place, **(logs or {})}
        try:
            path = self.filepath.format(epoch=epoch + 1, **known)
        except (KeyError, IndexError) as error:
            raise ValueError(
                f"filepath must use only epoch, {', '.join(known)}. "
                f"Received: filepath={self.filepath!r}"
            ) from error
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            write(f"Epoch {epoch + 1}: saved {path}")

"""Layer 6: BackupAndRestore."""

from __future__ import annotations

import contextlib
import os

from dropfast.callbacks.base import Callback, Logs
from dropfast.callbacks.checkpoint import Pace, SaveFreq
from dropfast.checks import check_flag, check_path


class BackupAndRestore(Callback):
    """Keeps the state of a fit in a folder, for the same script to go on where it was interrupted.

    Weights, optimizer, seed, counts and the place in training are one file, written as one unit: a
    fit that goes on ends with the bits of one that was never interrupted. What other callbacks
    remember is not kept.

    Parameters
    ----------
    backup_dir
        Folder of the file; made where it doesn't exist, and for this fit alone.
    save_freq
        "epoch", or after each how many batches to save.
    double_checkpoint
        Whether the state before the latest is kept too, in case the latest can't be read.
    delete_checkpoint
        Whether the files are removed when the fit is over.

    Examples
    --------
    >>> import os, tempfile, numpy as np, dropfast as df
    >>> folder = os.path.join(tempfile.mkdtemp(), "backup")
    >>> def run(callbacks):
    ...     model = df.Sequential([df.layers.Dropout(0.2), df.layers.Dense(1)], seed=0)
    ...     model.compile("adam", "mse")
    ...     x = np.ones((8, 2))
    ...     keep = df.callbacks.BackupAndRestore(folder)
    ...     return model.fit(x, x[:, :1], epochs=4, verbose=0, callbacks=[keep, *callbacks])
    >>> def power_cut(epoch, logs):
    ...     if epoch == 1:
    ...         raise KeyboardInterrupt
    >>> try:
    ...     run([df.callbacks.LambdaCallback(on_epoch_end=power_cut)])
    ... except KeyboardInterrupt:
    ...     print(run([]).epoch)
    [2, 3]
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: SaveFreq = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        self.backup_dir = check_path("backup_dir", backup_dir)
        if not self.backup_dir:
            raise ValueError("backup_dir must not be empty. Received: backup_dir=''")
        self.save_freq, self._pace, self._epoch = save_freq, Pace(save_freq), 0
        self.double_checkpoint = check_flag("double_checkpoint", double_checkpoint)
        self.delete_checkpoint = check_flag("delete_checkpoint", delete_checkpoint)
        self._due = not self._pace.batches
        if self._pace.batches:
            # Only then training comes back to Python after every batch.
            setattr(self, "on_train_batch_end", self._after_batch)  # noqa: B010

    @property
    def _files(self) -> list[str]:
        """The latest state and the one before."""
        names = ("latest.safetensors", "previous.safetensors")
        return [os.path.join(self.backup_dir, name) for name in names]

    def on_train_begin(self, logs: Logs = None) -> None:
        """Go on where an interrupted fit was, if there is one."""
        from dropfast.models.resuming import load_state

        os.makedirs(self.backup_dir, exist_ok=True)
        there = [path for path in self._files if os.path.exists(path)]
        for path in there:
            try:
                self.model.go_on_at(*load_state(self.model, path))
            except ValueError:
                if path == there[-1]:
                    raise
            else:
                return

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def _after_batch(self, batch: int, logs: Logs = None) -> None:
        self._due = self._pace.due()
        # What comes after the last batch is the next epoch.
        if self._due and batch + 1 != self.params.get("steps"):
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save, if this is an epoch's turn or its last batch's."""
        if self._due:
            self._save(epoch + 1, 0)

    def _save(self, epoch: int, batch: int) -> None:
        from dropfast.models.resuming import save_state

        latest, previous = self._files
        if self.double_checkpoint and os.path.exists(latest):
            os.replace(latest, previous)
        save_state(self.model, latest, epoch, batch)

    def on_train_end(self, logs: Logs = None) -> None:
        """Remove the files."""
        if self.delete_checkpoint:
            for path in self._files:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path)
            # Whatever else lies there stays.
            with contextlib.suppress(OSError):
                os.rmdir(self.backup_dir)

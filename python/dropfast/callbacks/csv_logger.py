"""Layer 6: CSVLogger."""

from __future__ import annotations

import csv
import os

from dropfast.callbacks.base import Callback, Logs
from dropfast.checks import check_flag, check_name, check_path


class CSVLogger(Callback):
    """Writes each epoch's logs as a line of a CSV file.

    Parameters
    ----------
    filename
        File to write.
    separator
        Between values.
    append
        Whether lines are added to a file that exists; else it is replaced.

    Examples
    --------
    >>> import os, tempfile, numpy as np, dropfast as df
    >>> path = os.path.join(tempfile.mkdtemp(), "log.csv")
    >>> model = df.Sequential([df.layers.Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> log = df.callbacks.CSVLogger(path)
    >>> _ = model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=[log])
    >>> with open(path) as file:
    ...     file.readline().strip()
    'epoch,loss'
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.filename, self.append = check_path("filename", filename), check_flag("append", append)
        self.separator = check_name(separator, "separator")
        if len(separator) != 1:
            raise ValueError(f"separator must be one character. Received: separator={separator!r}")
        self._names: list[str] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begin the file, or see which names an old one has."""
        self._names = []
        if self.append and os.path.exists(self.filename):
            with open(self.filename, newline="", encoding="utf-8") as file:
                self._names = next(csv.reader(file, delimiter=self.separator), [])[1:]
        else:
            with open(self.filename, "w", encoding="utf-8"):
                pass

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a line; the first one is preceded by the names."""
        values = dict(logs or {})
        # Opened for each line: nothing stays open when training ends in an error.
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=self.separator, lineterminator="\n")
            if not self._names:
                self._names = list(values)
                if self.params.get("validation") and not any(n[:4] == "val_" for n in values):
                    # The first epoch may be one that isn't validated.
                    self._names += [f"val_{name}" for name in values]
                writer.writerow(["epoch", *self._names])
            writer.writerow([epoch, *(values.get(name, "NA") for name in self._names)])

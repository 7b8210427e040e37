"""Layer 6: PyDataset, batches by number."""

from __future__ import annotations

from typing import Any


class PyDataset:
    """Base of data sets that have their batches by number; Keras called it `Sequence`.

    A subclass defines ``__len__``, the number of batches, and ``__getitem__``, which returns a
    batch (x, y) or (x, y, sample_weight). Batches come in their order, one at a time.

    Parameters
    ----------
    workers, use_multiprocessing, max_queue_size
        For compatibility, without effect.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> class Lines(df.utils.PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, number):
    ...         x = np.full((4, 1), float(number))
    ...         return x, 2 * x
    >>> model = df.Sequential([df.layers.Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(Lines(), epochs=2, verbose=0)
    >>> model.predict(Lines()).shape
    (12, 1)
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        return int(self.num_batches)

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")

    @property
    def num_batches(self) -> int:
        """Number of batches; a subclass defines it or ``__len__``."""
        if type(self).__len__ is PyDataset.__len__:
            raise NotImplementedError(f"{type(self).__name__} must define __len__()")
        return len(self)

    def on_epoch_begin(self) -> None:
        """An epoch starts."""

    def on_epoch_end(self) -> None:
        """An epoch is over."""


Sequence = PyDataset

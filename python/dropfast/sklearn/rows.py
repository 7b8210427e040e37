"""Layer 7: the rows that an estimator learns from, and those that it holds out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from dropfast.arrays import Array


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows in the model's terms.

    Attributes
    ----------
    x
        Features, dense or sparse.
    targets
        As the loss takes them.
    y
        As the user gave them, for scores.
    weights
        One a row, or None.
    given
        Features as the user gave them, or None where they were not given by themselves.
    """

    x: Any
    targets: Array
    y: Array
    weights: Array | None
    given: Any = None

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def take(self, rows: NDArray[Any]) -> Rows:
        """Some of them."""
        weights = None if self.weights is None else self.weights[rows]
        return Rows(self.x[rows], self.targets[rows], self.y[rows], weights)

    def counting(self) -> Rows:
        """Those whose weight is not 0.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.weights is None or self.weights.all():
            return self
        if not self.weights.any():
            raise ValueError("sample_weight must not be zero for all samples. Received: zeros")
        return self.take(np.flatnonzero(self.weights))


def hold_out(
    rows: Rows, fraction: float, random_state: Any, labels: Array | None
) -> tuple[Rows, Rows]:
    """Set a share of the rows aside, with the classes' shares kept where each has rows enough.

    Raises
    ------
    ValueError
        If fewer than two rows would be set aside.
    """
    count = len(rows)
    train, aside = train_test_split(
        np.arange(count),
        test_size=fraction,
        random_state=random_state,
        stratify=labels if labels is not None and _can_stratify(labels, fraction) else None,
    )
    if len(aside) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            f"dataset. Received: validation_fraction={fraction} of {count} samples"
        )
    return rows.take(train), rows.take(aside)


def _can_stratify(labels: Array, fraction: float) -> bool:
    """Whether each class has a row on both sides."""
    counts = np.unique(labels, return_counts=True)[1]
    aside = int(np.ceil(fraction * len(labels)))
    return bool(counts.min() >= 2 and len(counts) <= min(aside, len(labels) - aside))

"""Layer 6: running mean and spread of arrays that come one at a time (Welford 1962)."""

from __future__ import annotations

import numpy as np

from dropfast.arrays import Array


class Moments:
    """Mean and sum of squared deviations so far, float64; the native network's own operations.

    Examples
    --------
    >>> import numpy as np
    >>> moments = Moments()
    >>> for value in (1.0, 3.0):
    ...     moments.add(np.array([value]))
    >>> moments.mean.tolist(), moments.m2.tolist()
    ([2.0], [2.0])
    """

    def __init__(self) -> None:
        self.mean: Array = np.zeros(())
        self.m2: Array = np.zeros(())
        self.count = 0

    def add(self, values: Array) -> None:
        """Take one more array of the same shape."""
        self.count += 1
        wide = values.astype(np.float64)
        deviation = wide - self.mean
        self.mean = self.mean + deviation * (1.0 / self.count)
        self.m2 = self.m2 + deviation * (wide - self.mean)

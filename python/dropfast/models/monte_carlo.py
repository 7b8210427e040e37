"""Layer 6: statistics over many passes with dropout on, in memory that doesn't grow with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dropfast.arrays import Array
from dropfast.random import MONTE_CARLO

if TYPE_CHECKING:
    from dropfast.models.stack import Stack

F64 = NDArray[np.float64]
# Samples kept at a time for exact quantiles.
_KEPT_BYTES = 1 << 27


class MonteCarlo:
    """What Monte Carlo dropout says about each row.

    Unpacks into mean and standard deviation.

    Attributes
    ----------
    mean, std
        Mean and standard deviation over the samples (divided by their number), float64 of the
        outputs' shape.
    quantiles
        Shape (number of quantiles, n, units), or None.
    samples
        Raw samples (samples, n, units), or None.

    Notes
    -----
    For classifiers, with p the mean probabilities: `entropy`, of p, is all uncertainty;
    `mutual_information`, what is left after the mean entropy of the samples is taken off, is the
    model's own (Gal 2016, section 3.3).
    """

    def __init__(
        self,
        mean: F64,
        std: F64,
        expected_entropy: F64 | None = None,
        quantiles: F64 | None = None,
        samples: Array | None = None,
    ) -> None:
        self.mean, self.std = mean, std
        self.quantiles, self.samples = quantiles, samples
        self._expected_entropy = expected_entropy

    def __iter__(self) -> Iterator[F64]:
        return iter((self.mean, self.std))

    @property
    def entropy(self) -> F64:
        """Entropy of the mean probabilities of each row, in nats, shape (n,)."""
        return entropy(self.mean)

    @property
    def mutual_information(self) -> F64:
        """Entropy less the samples' mean entropy, in nats, shape (n,).

        Raises
        ------
        ValueError
            If `predict_mc` was not told to compute it.
        """
        if self._expected_entropy is None:
            raise ValueError(
                "information must be True in predict_mc for mutual_information. Received: False"
            )
        return np.maximum(self.entropy - self._expected_entropy, 0.0)

    def __repr__(self) -> str:
        return f"MonteCarlo(mean=array{self.mean.shape}, std=array{self.std.shape})"


def entropy(probabilities: Array) -> F64:
    """-sum of p log p over the last axis, in nats; 0 log 0 is 0.

    Raises
    ------
    ValueError
        If a value is no probability.

    Examples
    --------
    >>> import numpy as np
    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(4).tolist()
    [0.6931, 0.0]
    """
    p = np.asarray(probabilities, np.float64)
    # Float32 softmax may exceed 1 by a rounding.
    if not ((p >= 0) & (p <= 1.0 + 1e-5)).all():
        raise ValueError("outputs must be probabilities in [0, 1] for an entropy. Received: others")
    total: F64 = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1)
    return total + 0.0


def sample(
    model: Stack,
    rows: Array,
    samples: int,
    quantiles: Sequence[float] | None,
    information: bool,
    return_samples: bool,
    rates: Array | None,
) -> MonteCarlo:
    """Run the passes; see `Predicting.predict_mc`."""
    if isinstance(samples, bool) or not hasattr(samples, "__index__") or samples < 1:
        raise ValueError(f"samples must be a positive integer. Received: samples={samples!r}")
    for q in quantiles or ():
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"quantiles must be in [0, 1]. Received: {q!r}")
    engine, keys = model.engine(), model.plan.keys(model.seed, MONTE_CARLO)
    mean, m2 = engine.monte_carlo(rows, keys, samples, rates)
    std = np.sqrt(m2 / samples)

    def draw(s: int) -> Array:
        return engine.sample(rows, [key.at(s) for key in keys], rates)

    expected = None
    if information:
        expected = sum((entropy(draw(s)) for s in range(samples)), np.zeros(len(rows))) / samples
    raw = np.stack([draw(s) for s in range(samples)]) if return_samples else None
    found = None
    if quantiles is not None:
        found = _quantiles(raw, draw, samples, mean.shape, quantiles)
    return MonteCarlo(mean, std, expected, found, raw)


def _quantiles(
    raw: Array | None,
    draw: Callable[[int], Array],
    samples: int,
    shape: tuple[int, ...],
    q: Sequence[float],
) -> F64:
    """Exact quantiles; where all samples don't fit, the passes are run again for each part."""
    if raw is not None:
        return np.quantile(raw.astype(np.float64), q, axis=0)
    step = max(_KEPT_BYTES // (8 * samples * int(np.prod(shape[1:]))), 1)
    parts = []
    for start in range(0, shape[0], step):
        kept = np.stack([draw(s)[start : start + step] for s in range(samples)])
        parts.append(np.quantile(kept.astype(np.float64), q, axis=0))
    return np.concatenate(parts, axis=1)

"""Layer 6: statistics over many passes with dropout on, in memory that doesn't grow with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dropfast.arrays import Array, as_numeric
from dropfast.checks import check_flag, check_integer
from dropfast.random import MONTE_CARLO
from dropfast.training.moments import Moments

if TYPE_CHECKING:
    from dropfast.models.stack import Stack

F64 = NDArray[np.float64]
# Samples kept at a time for exact quantiles, and of these the ones that are float64 at a time.
_KEPT_BYTES = 1 << 27
_WIDENED_BYTES = 1 << 24


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
    """Run the passes; see `Predicting.predict_mc`.

    Mean and spread alone are one native call. Whatever else is asked for is taken from the same
    passes, one after the other.
    """
    check_integer("samples", samples, least=1)
    check_flag("information", information)
    check_flag("return_samples", return_samples)
    if quantiles is not None:
        listed = np.atleast_2d(as_numeric("quantiles", quantiles))[0]
        if isinstance(quantiles, str | bytes) or np.ndim(quantiles) != 1:
            raise ValueError(f"quantiles must be a list of numbers. Received: {quantiles!r}")
        quantiles = listed.tolist()
    for q in quantiles or ():
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"quantiles must be in [0, 1]. Received: {q!r}")
    engine, keys = model.engine(), model.plan.keys(model.seed, MONTE_CARLO)
    if quantiles is None and not information and not return_samples:
        mean, m2 = engine.monte_carlo(rows, keys, samples, rates)
        return MonteCarlo(mean, np.sqrt(m2 / samples))

    def draw(s: int) -> Array:
        return engine.sample(rows, [key.at(s) for key in keys], rates)

    moments, total, raw, part = Moments(), np.zeros(len(rows)), None, None
    for s in range(samples):
        outputs = draw(s)
        moments.add(outputs)
        if information:
            total += entropy(outputs)
        if return_samples:
            raw = np.empty((samples, *outputs.shape), outputs.dtype) if raw is None else raw
            raw[s] = outputs
        elif quantiles is not None:
            part = _room(samples, outputs) if part is None else part
            part[s] = outputs[: part.shape[1]]
    kept = raw if raw is not None else part
    found = None
    if quantiles is not None and kept is not None:
        found = _quantiles(kept, len(rows), draw, quantiles)
    std = np.sqrt(moments.m2 / samples)
    return MonteCarlo(moments.mean, std, total / samples if information else None, found, raw)


def _room(samples: int, outputs: Array) -> Array:
    """Place for all samples of as many rows as `_KEPT_BYTES` hold."""
    rows = max(_KEPT_BYTES // (samples * outputs[:1].nbytes), 1)
    return np.empty((samples, min(rows, len(outputs)), *outputs.shape[1:]), outputs.dtype)


def _quantiles(
    kept: Array, rows: int, draw: Callable[[int], Array], quantiles: Sequence[float]
) -> F64:
    """Quantiles of all rows, the first of which are kept.

    Exact: passes are run again for the rows that didn't fit, since a key gives the same masks each
    time. Estimates that need one pass only (P square, t-digest) are wrong in the tails, which is
    where quantiles are asked for.
    """
    samples, step = kept.shape[:2]
    parts = [_quantiles_of(kept, quantiles)]
    for start in range(step, rows, step):
        for s in range(samples):
            some = draw(s)[start : start + step]
            kept[s, : len(some)] = some
        parts.append(_quantiles_of(kept[:, : min(step, rows - start)], quantiles))
    return np.concatenate(parts, axis=1)


def _quantiles_of(kept: Array, quantiles: Sequence[float]) -> F64:
    """Quantiles along the first axis in float64, widened a few rows at a time."""
    step = max(_WIDENED_BYTES // (8 * max(kept[:, :1].size, 1)), 1)
    blocks = (kept[:, i : i + step].astype(np.float64) for i in range(0, kept.shape[1], step))
    return np.concatenate([np.quantile(block, quantiles, axis=0) for block in blocks], axis=1)

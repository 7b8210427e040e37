"""Layer 6: statistics over many passes with dropout on, in memory that doesn't grow with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dropfast.arrays import Array, as_numeric
from dropfast.checks import check_flag, check_integer
from dropfast.layers.base import check_rows_of
from dropfast.random import MONTE_CARLO, Key
from dropfast.training.engine import Rows
from dropfast.training.moments import Moments
from dropfast.training.plan import Plan, features

if TYPE_CHECKING:
    from dropfast.models.stack import Stack
    from dropfast.training.columns import Columns

F64 = NDArray[np.float64]
# Samples kept at a time for exact quantiles, and of these the ones that are float64 at a time.
_KEPT_BYTES = 1 << 27
_WIDENED_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class Part:
    """What joining a result with others takes beside its mean.

    Attributes
    ----------
    first_row, first_sample, count
        Which rows and samples it has.
    source
        Seed, stream and step of its key, and whether rows shared masks: parts of one prediction
        agree in it.
    m2
        Sum of squared deviations from the mean.
    entropies
        Sum of the samples' entropies, or None.
    levels
        Which quantiles it has, or None.
    raw
        The samples themselves, or None. Sums of floats depend on their order, so samples after the
        first are added one by one when parts are joined: such a part must keep them.
    """

    first_row: int
    first_sample: int
    count: int
    source: tuple[Any, ...]
    m2: F64
    entropies: F64 | None = None
    levels: Sequence[float] | None = None
    raw: Array | None = None


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

    See Also
    --------
    MonteCarlo.merge : One result of parts that were computed elsewhere.

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
        part: Part | None = None,
    ) -> None:
        self.mean, self.std = mean, std
        self.quantiles, self.samples = quantiles, samples
        self._expected_entropy, self._part = expected_entropy, part

    @staticmethod
    def merge(parts: Any) -> Any:
        """Join the results of blocks of rows, of samples, or of both, to that of one call.

        The bits are those of one call of `predict_mc`, however the blocks were cut.

        Parameters
        ----------
        parts
            Results of `predict_mc`, in any order, that cover all samples of all rows of a range
            once; of several outputs lists or dicts of them, as they came. To join quantiles over
            samples they must hold their samples: ``return_samples=True``.

        Returns
        -------
        MonteCarlo
            Or what the parts are: lists or dicts of them.

        Raises
        ------
        ValueError
            If parts overlap, leave a gap, or come from different predictions.

        Examples
        --------
        >>> import numpy as np, dropfast as df
        >>> model = df.Sequential([df.layers.Dropout(0.5), df.layers.Dense(1)], seed=0)
        >>> x = np.arange(24, dtype=np.float32).reshape(6, 4)
        >>> a = model.predict_mc(x[:4], samples=10)
        >>> b = model.predict_mc(x[4:], samples=10, first_row=4)
        >>> whole = model.predict_mc(x, samples=10)
        >>> bool((df.models.MonteCarlo.merge([a, b]).std == whole.std).all())
        True
        """
        from dropfast.models.joining import merge

        return merge(parts)

    def _outputs(self, columns: Columns, cut: Callable[[Array, Columns], list[Array]]) -> list[Any]:
        """The result of each of several outputs, which lie side by side."""

        def of_each(array: Array | None) -> list[Any]:
            return [None] * len(columns) if array is None else cut(array, columns)

        fields = [self.mean, self.std, self.quantiles, self.samples]
        part = self._part
        held = [None, None] if part is None else [part.m2, part.raw]
        return [
            MonteCarlo(m, s, None, q, r, part and replace(part, entropies=None, m2=m2, raw=raw))
            for m, s, q, r, m2, raw in zip(*map(of_each, [*fields, *held]), strict=True)
        ]

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


@dataclass(frozen=True)
class Wanted:
    """Which samples of which rows, and what of them; see `Predicting.predict_mc`."""

    samples: int
    quantiles: Sequence[float] | None = None
    information: bool = False
    return_samples: bool = False
    first_row: int = 0
    first_sample: int = 0
    key: Key | None = None
    consistent: bool = False

    def checked(self, plan: Plan, rows: int) -> Wanted:
        """The same with a list of quantiles, once all is found to be in its range."""
        check_integer("samples", self.samples, least=1)
        check_integer("first_row", self.first_row)
        check_integer("first_sample", self.first_sample)
        for name in ("information", "return_samples", "consistent"):
            check_flag(name, getattr(self, name))
        if self.key is not None and not isinstance(self.key, Key):
            raise TypeError(f"key must be a Key or None. Received: key={self.key!r}")
        self._check_stream(plan, rows)
        if self.quantiles is None:
            return self
        listed = np.atleast_2d(as_numeric("quantiles", self.quantiles))[0]
        if isinstance(self.quantiles, str | bytes) or np.ndim(self.quantiles) != 1:
            raise ValueError(f"quantiles must be a list of numbers. Received: {self.quantiles!r}")
        for q in listed.tolist():
            if not 0.0 <= q <= 1.0:
                raise ValueError(f"quantiles must be in [0, 1]. Received: {q!r}")
        return replace(self, quantiles=listed.tolist())

    def _check_stream(self, plan: Plan, rows: int) -> None:
        """Refuse what lies outside the stream, and layers that don't know where they are in it."""
        widest = max(features(s) for p in plan.places for s in (*p.input_shapes, p.output_shape))
        if (self.first_row + rows) * widest >= 1 << 63:
            raise ValueError(
                f"first_row must leave room for the positions of {rows} rows of {widest} elements "
                f"below 2**63. Received: first_row={self.first_row}"
            )
        first = 0 if self.key is None else self.key.step
        if first + self.first_sample + self.samples > 1 << 64:
            raise ValueError(
                f"first_sample must leave room for {self.samples} steps of the key below 2**64. "
                f"Received: first_sample={self.first_sample}"
            )
        for place in plan.stochastic:
            for what in ("first_row", "consistent"):
                if getattr(self, what):
                    check_rows_of(place.layer, getattr(self, what), what)

    def keys(self, plan: Plan, seed: int) -> list[Key]:
        """Where each stochastic place draws sample 0."""
        base = self.key
        if base is None:
            return plan.keys(seed, MONTE_CARLO)
        return [
            Key(base.seed, (base.stream + place.index) % (1 << 64), base.step)
            for place in plan.stochastic
        ]

    def source(self, seed: int) -> tuple[Any, ...]:
        """What parts of one prediction have in common."""
        base = Key(seed, MONTE_CARLO) if self.key is None else self.key
        return base.seed, base.stream, base.step, self.consistent


def sample(model: Stack, rows: Array, wanted: Wanted, rates: Array | None) -> MonteCarlo:
    """Run the passes; see `Predicting.predict_mc`.

    Mean and spread alone are one native call. Whatever else is asked for is taken from the same
    passes, one after the other.
    """
    wanted = wanted.checked(model.plan, len(rows))
    samples, quantiles = wanted.samples, wanted.quantiles
    engine, keys = model.engine(), wanted.keys(model.plan, model.seed)
    which = Rows(wanted.first_row, wanted.consistent)
    # A later part of the samples keeps them, see `Part`.
    keeps, first = wanted.return_samples or wanted.first_sample > 0, wanted.first_sample
    place = (wanted.first_row, wanted.first_sample, samples, wanted.source(model.seed))
    alone = quantiles is None and not wanted.information and not keeps
    if alone and (wanted.key is None or wanted.key.step == 0):
        mean, m2 = engine.monte_carlo(rows, keys, samples, rates, which)
        return MonteCarlo(mean, np.sqrt(m2 / samples), part=Part(*place, m2))

    def draw(s: int) -> Array:
        steps = [key.at(key.step + first + s) for key in keys]
        return engine.sample(rows, steps, rates, which)

    moments, total, raw, part = Moments(), np.zeros(len(rows)), None, None
    for s in range(samples):
        outputs = draw(s)
        moments.add(outputs)
        if wanted.information:
            total += entropy(outputs)
        if keeps:
            raw = np.empty((samples, *outputs.shape), outputs.dtype) if raw is None else raw
            raw[s] = outputs
        elif quantiles is not None:
            part = _room(samples, outputs) if part is None else part
            part[s] = outputs[: part.shape[1]]
    kept = raw if raw is not None else part
    found = None
    if quantiles is not None and kept is not None:
        found = _quantiles(kept, len(rows), draw, quantiles)
    entropies = total if wanted.information else None
    return MonteCarlo(
        moments.mean,
        np.sqrt(moments.m2 / samples),
        None if entropies is None else entropies / samples,
        found,
        raw if wanted.return_samples else None,
        Part(*place, moments.m2, entropies, quantiles, raw),
    )


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
    parts = [quantiles_of(kept, quantiles)]
    for start in range(step, rows, step):
        for s in range(samples):
            some = draw(s)[start : start + step]
            kept[s, : len(some)] = some
        parts.append(quantiles_of(kept[:, : min(step, rows - start)], quantiles))
    return np.concatenate(parts, axis=1)


def quantiles_of(kept: Array, quantiles: Sequence[float]) -> F64:
    """Quantiles along the first axis in float64, widened a few rows at a time."""
    step = max(_WIDENED_BYTES // (8 * max(kept[:, :1].size, 1)), 1)
    blocks = (kept[:, i : i + step].astype(np.float64) for i in range(0, kept.shape[1], step))
    return np.concatenate([np.quantile(block, quantiles, axis=0) for block in blocks], axis=1)

"""Layer 7: what is timed: suites of workloads, each with the check that comes before the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dropfast.bench import extra
from dropfast.bench.networks import (
    EPOCHS,
    SEED_NETWORK,
    TINY_NETWORK,
    WIDE_NETWORK,
    Case,
    check_training,
    data,
    flops_forward,
    forward,
    initial,
    masked_mean,
)

Work = Callable[[], object]


class CannotError(Exception):
    """A contender that has no such operation."""


@dataclass(frozen=True)
class Workload:
    """One row of a table.

    Attributes
    ----------
    suite, name, unit
        Where it stands and what its values are.
    scale
        Value of one second a call, in `unit`.
    make
        Contender -> what is timed, after its result was checked.
    flops
        Multiply-adds times two that can't be left out, where the loop of multiply-adds bounds it.
    quick
        Whether `--quick` runs it.
    returns
        Whether a call returns the value itself, instead of the clock.
    """

    suite: str
    name: str
    unit: str
    scale: float
    make: Callable[[Any], Work]
    flops: float | None = None
    quick: bool = False
    returns: bool = False


def _able(peer: Any, what: str) -> Any:
    if not hasattr(peer, what):
        raise CannotError(f"it has no {what}")
    return getattr(peer, what)


def _dropout(exponent: int, rate: float, quick: bool = False) -> Workload:
    def make(peer: Any) -> Work:
        call = _able(peer, "dropout")
        if peer.name == "NumPy, binomial" and exponent > 18:
            raise CannotError("it tells nothing new at this size")
        x = np.random.default_rng(0).random(2**exponent, dtype=np.float32) + 1
        function: Work = call(x, rate)
        if not getattr(peer, "limit", False):
            _check_dropout(x, np.asarray(function()), rate)
        return function

    name = f"dropout forward, 2^{exponent} float32, rate {rate:g}"
    return Workload("kernels", name, "ns/element", 1e9 / 2**exponent, make, quick=quick)


def _check_dropout(x: Any, y: Any, rate: float) -> None:
    """Kept values are scaled, others 0, and as many are dropped as should be."""
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / np.float32(1 - rate), rtol=1e-6)
    deviation = (rate * (1 - rate) / x.size) ** 0.5
    if abs(1 - kept.mean() - rate) > 6 * deviation:
        raise AssertionError(f"{1 - kept.mean():.4f} of the elements are dropped, not {rate}")


def _product(rows: int, inner: int, columns: int, quick: bool = False) -> Workload:
    def make(peer: Any) -> Work:
        rng = np.random.default_rng(0)
        a = rng.standard_normal((rows, inner), dtype=np.float32)
        b = rng.standard_normal((inner, columns), dtype=np.float32)
        function: Work = _able(peer, "product")(a, b)
        bound = 4e-7 * inner * np.abs(a).max() * np.abs(b).max()
        exact = a.astype(np.float64) @ b
        np.testing.assert_allclose(np.asarray(function()), exact, rtol=0, atol=bound)
        return function

    flops = 2.0 * rows * inner * columns
    name = f"product {rows} x {inner} x {columns}, float32"
    return Workload("kernels", name, "ms", 1e3, make, flops, quick)


def _epoch(case: Case, quick: bool = False) -> Workload:
    def make(peer: Any) -> Work:
        network = _able(peer, "network")
        if any(case.rates) and not getattr(peer, "has_dropout", True):
            raise CannotError("it has no dropout")
        groups = {}
        if case.rows_per_mask > 1:
            if not hasattr(peer, "loop"):
                raise CannotError("it has no row groups")
            groups = {"rows_per_mask": case.rows_per_mask}
        check_training(peer, case)
        x, y = (array[: case.rows] for array in data(case.sizes[0], case.sizes[-1]))
        made = network(initial(case.sizes), case.rates, case.optimizer, case.batch, **groups)
        if hasattr(made, "load"):
            x, y = made.load(x, y)
        return lambda: made.epoch(x, y)

    unit, scale = "s/epoch of 60,000 rows", 60_000 / case.rows
    return Workload("training", case.name, unit, scale, make, case.flops, quick)


def _predict(sizes: tuple[int, ...], rows: int, quick: bool = False) -> Workload:
    def make(peer: Any) -> Work:
        if sizes[-1] < getattr(peer, "least_classes", 2):
            raise CannotError("its networks have more classes")
        x, weights = data(sizes[0], sizes[-1])[0][:rows], initial(sizes)
        rates = (0.2,) * (len(sizes) - 1)
        network = _able(peer, "network")(weights, rates, ("sgd", 0.01), 32)
        right = forward(network.weights(), x)[-1]
        np.testing.assert_allclose(network.predict(x), right, atol=1e-5)
        return lambda: network.predict(x)

    name = f"predict {rows:,} row{'s' * (rows > 1)}, {'-'.join(map(str, sizes))}"
    return Workload("inference", name, "µs", 1e6, make, rows * flops_forward(sizes), quick)


def _monte_carlo(rows: int, samples: int, quick: bool = False) -> Workload:
    rates = (0.2,) * 4

    def make(peer: Any) -> Work:
        x, weights = data(784, 10)[0][:rows], initial(SEED_NETWORK)
        network = _able(peer, "network")(weights, rates, ("sgd", 0.01), 32)
        _able(network, "predict_mc")
        mean = network.predict_mc(x, samples=samples)
        few = min(rows, 200)
        expected = masked_mean(weights, x[:few], rates, samples).mean(axis=0)
        if np.abs(mean[:few].mean(axis=0) - expected).max() > 0.01:
            raise AssertionError("class averages differ from NumPy's by more than 0.01")
        return lambda: network.predict_mc(x, samples=samples)

    flops = float(rows * samples * flops_forward(SEED_NETWORK))
    name = f"Monte Carlo, {samples} samples of {rows:,} rows, seed network"
    return Workload("inference", name, "ms", 1e3, make, flops, quick)


def _extra(row: extra.Row) -> Workload:
    """A workload that only some contenders have, checked where it is made."""
    suite, name, unit, scale, what, returns, quick = row

    def make(peer: Any) -> Work:
        made = what(peer)
        if made is None:
            raise CannotError("it has no such thing, or lacks a library or data for it")
        return made

    return Workload(suite, name, unit, scale, make, None, quick, returns)


_TABLE = Case((24, 256, 256, 2), 0.0, 0.2, optimizer=("adam", 0.001), batch=128, rows=10_000)
_QUICK_WIDE = replace(Case(WIDE_NETWORK, 0.2, 0.5, batch=128), rows=2_560)

WORKLOADS: tuple[Workload, ...] = (
    *(_dropout(e, 0.5, e in (12, 20)) for e in (8, 10, 12, 14, 16, 18, 20, 22)),
    *(_dropout(e, 0.1) for e in (12, 18, 22)),
    _product(32, 784, 200),
    _product(128, 1024, 1024, quick=True),
    _product(1024, 1024, 1024),
    _epoch(EPOCHS[0], quick=True),
    _epoch(EPOCHS[1]),
    _epoch(EPOCHS[2], quick=True),
    _epoch(_TABLE),
    _epoch(replace(_QUICK_WIDE, input_rate=0.0, hidden_rate=0.0)),
    _epoch(_QUICK_WIDE),
    _epoch(replace(_QUICK_WIDE, rows_per_mask=32)),
    _predict(TINY_NETWORK, 1),
    _predict(SEED_NETWORK, 1, quick=True),
    _predict(SEED_NETWORK, 10_000),
    _monte_carlo(1_000, 100, quick=True),
    *(_extra(row) for row in extra.ROWS),
)
SUITES = tuple(dict.fromkeys(workload.suite for workload in WORKLOADS))

"""Layer 6: what a model trains and predicts with, and the native one of the two kinds.

Both kinds take rows as `convert` returns them and give the same results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dropfast import _core
from dropfast.arrays import Array, Shape, block_rows
from dropfast.graph import SymbolicTensor
from dropfast.losses import Loss
from dropfast.optimizers import Optimizer
from dropfast.random import Key
from dropfast.training.plan import Plan, features


@dataclass(frozen=True, eq=False)
class Run:
    """A run of batches: what is constant while the native side works."""

    order: NDArray[np.int64]
    start: int
    batches: int
    batch_size: int
    learning_rates: NDArray[np.float64]
    keys: Sequence[Key]
    rates: NDArray[np.float64] | None
    first_step: int
    total: float
    sample_weight: Array | None
    predictions: Array | None
    milliseconds: int


@dataclass(frozen=True)
class Rows:
    """Which rows, of all that are predicted, a batch holds.

    Attributes
    ----------
    first
        The number of its first one.
    consistent
        Whether all draw what row 0 draws.
    """

    first: int = 0
    consistent: bool = False


ALL_ROWS = Rows()


class Engine(Protocol):
    """Runs a stack of layers."""

    plan: Plan
    # Penalties on the outputs of layers at inference, all rows so far.
    activity: float

    def direct(self, x: Array) -> Array | None:
        """`x` as the engine takes it if that needs no copy, else None."""

    def convert(self, x: Array) -> Array:
        """`x` as the engine takes it."""

    def forward(
        self,
        x: Array,
        keys: Sequence[Key] | None = None,
        rates: Sequence[float] | NDArray[np.float64] | None = None,
    ) -> Array:
        """Outputs of one batch; with keys as in training."""

    def sample(
        self,
        x: Array,
        keys: Sequence[Key],
        rates: Sequence[float] | NDArray[np.float64] | None = None,
        rows: Rows = ALL_ROWS,
    ) -> Array:
        """Outputs of one batch with dropout on; everything else as in inference."""

    def monte_carlo(
        self,
        x: Array,
        keys: Sequence[Key],
        samples: int,
        rates: Array | None = None,
        rows: Rows = ALL_ROWS,
    ) -> tuple[Array, Array]:
        """Mean and sum of squared deviations over samples, float64."""

    def train(
        self, x: Array, y: Array, run: Run, loss: Loss, optimizer: Optimizer
    ) -> tuple[int, float, int]:
        """Batches done, `run.total` plus the losses of their rows, number of rows classified right.

        The optimizer's counter moves with each step.
        """


class Native:
    """The whole stack as one native network."""

    activity = 0.0

    def __init__(
        self,
        plan: Plan,
        input_shape: Shape,
        params: Sequence[Array],
        dtype: np.dtype[Any],
        turn: _core.Turn | None = None,
    ) -> None:
        self.plan, self.dtype = plan, dtype
        self.params, self.turn = list(params), turn
        self.size = features(plan.places[plan.preparation].input_shape)
        self.units = features(plan.places[-1].output_shape)
        alone = isinstance(plan.graph.inputs, SymbolicTensor)
        alone = alone and isinstance(plan.graph.outputs, SymbolicTensor)
        self._takes_vectors = len(input_shape) == 2 and not plan.preparation and alone
        self.network = _core.Network(plan.program, self.size, dtype.name)

    def direct(self, x: Array) -> Array | None:
        """A view [n, features], where the dtype fits; bytes are widened while rows are gathered."""
        if self.plan.preparation or not x.flags.c_contiguous or not x.flags.aligned:
            return None
        if x.dtype != self.dtype and x.dtype != np.uint8:
            return None
        return x.reshape(len(x), self.size)

    def convert(self, x: Array) -> Array:
        """Rows [n, features] in the model's dtype, prepared."""
        if not self.plan.preparation:
            return np.require(x, self.dtype, ["C", "A"]).reshape(len(x), self.size)
        found = np.empty((len(x), self.size), self.dtype)
        step = block_rows(x, self.dtype)
        for start in range(0, len(x), step):
            rows = self.plan.prepare(np.asarray(x[start : start + step], self.dtype))
            found[start : start + step] = rows.reshape(-1, self.size)
        return found

    def at_once(self, x: Array) -> Array | None:
        """Outputs of rows that are just as the network takes them, else None: in a microsecond."""
        return self.network.predict(self.params, x, self.turn) if self._takes_vectors else None

    def forward(
        self,
        x: Array,
        keys: Sequence[Key] | None = None,
        rates: Sequence[float] | NDArray[np.float64] | None = None,
    ) -> Array:
        """Outputs [n, units] of one batch; with keys as in training."""
        out = np.empty((len(x), self.units), self.dtype)
        self.network.forward(self.params, x, out, keys=keys, rates=rates)
        return out

    def sample(
        self,
        x: Array,
        keys: Sequence[Key],
        rates: Sequence[float] | NDArray[np.float64] | None = None,
        rows: Rows = ALL_ROWS,
    ) -> Array:
        """As `forward`: only dropout tells training from inference here."""
        out = np.empty((len(x), self.units), self.dtype)
        self.network.forward(
            self.params,
            x,
            out,
            keys=keys,
            rates=rates,
            first_row=rows.first,
            consistent=rows.consistent,
        )
        return out

    def monte_carlo(
        self,
        x: Array,
        keys: Sequence[Key],
        samples: int,
        rates: Array | None = None,
        rows: Rows = ALL_ROWS,
    ) -> tuple[Array, Array]:
        """Mean and sum of squared deviations over samples."""
        mean, m2 = np.zeros((2, len(x), self.units))
        self.network.predict_mc(
            self.params,
            x,
            mean,
            m2,
            keys=keys,
            samples=samples,
            rates=rates,
            first_row=rows.first,
            consistent=rows.consistent,
        )
        return mean, m2

    def train(
        self, x: Array, y: Array, run: Run, loss: Loss, optimizer: Optimizer
    ) -> tuple[int, float, int]:
        """A run of batches in one native call."""
        spec: Mapping[str, Any] = loss.spec() or {}
        return self.network.train(
            self.params,
            optimizer.state[: optimizer.slots()],
            x,
            y,
            order=run.order,
            start=run.start,
            batches=run.batches,
            batch_size=run.batch_size,
            loss=spec,
            optimizer=optimizer.spec(),
            learning_rates=run.learning_rates,
            keys=run.keys,
            rates=run.rates,
            first_step=run.first_step,
            counter=optimizer._counter,
            total=run.total,
            sample_weight=run.sample_weight,
            predictions=run.predictions,
            milliseconds=run.milliseconds,
        )

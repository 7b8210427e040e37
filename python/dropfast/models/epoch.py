"""Layer 6: one epoch of training: runs of batches, means so far, callbacks between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dropfast import losses, metrics
from dropfast.arrays import Array
from dropfast.callbacks.base import CallbackList
from dropfast.models.data import Feed
from dropfast.training.engine import Run
from dropfast.training.exact import exact
from dropfast.training.plan import features

if TYPE_CHECKING:
    from dropfast.models.compiling import Compiled

# Bars, callbacks and Ctrl-C live as often as this.
MILLISECONDS = 100
# Rows of a memory map that are read at a time.
_GATHERED_BYTES = 1 << 26
_MOST_BATCHES = 1 << 14


# Rows to pick from: inputs, targets, weights; and the order to pick them in.
Part = tuple[Array, Array, Array | None, NDArray[np.int64]]


@dataclass
class Tally:
    """Loss and metrics of an epoch so far."""

    model: Compiled
    total: float = 0.0
    rows: int = 0
    correct: int = 0
    # The native side counts right rows itself: then outputs needn't come back.
    counted: bool = field(init=False)

    def __post_init__(self) -> None:
        loss = self.model.loss
        counted: dict[type[losses.Loss], type[metrics.Metric]] = {
            losses.SparseCategoricalCrossentropy: metrics.SparseCategoricalAccuracy,
            losses.CategoricalCrossentropy: metrics.CategoricalAccuracy,
        }
        counts = counted.get(type(loss))
        self.counted = (
            counts is not None
            and not self.model._weighted_names
            and exact(loss)
            and all(type(m) is counts and exact(m) for m in self.model.metrics)
        )
        for metric in self.model.metrics:
            metric.reset_state()

    @property
    def wants_outputs(self) -> bool:
        """Whether metrics need the outputs."""
        return bool(self.model.metrics) and not self.counted

    def add(self, total: float, rows: int, correct: int) -> None:
        """Rows that were trained on, and the sum of all losses so far."""
        self.total = total
        self.rows, self.correct = self.rows + rows, self.correct + correct

    def logs(self) -> dict[str, float]:
        """Means so far."""
        logs = {"loss": self.total / max(self.rows, 1)}
        for metric in self.model.metrics:
            share = self.correct / max(self.rows, 1)
            logs[metric.name] = share if self.counted else metric.result()
        return logs


def train(
    model: Compiled,
    feed: Feed,
    y: Array,
    weights: Array | None,
    order: NDArray[np.int64],
    batch_size: int,
    epoch: int,
    tally: Tally,
    hooks: CallbackList,
    advance: Callable[[int, dict[str, float]], None],
    first_batch: int = 0,
    most_batches: int | None = None,
) -> None:
    """Train on rows in an order.

    Parameters
    ----------
    model
        Compiled and built.
    feed, y, weights
        Its data.
    order
        Row numbers.
    batch_size
        Rows a step.
    epoch
        Number of the epoch, for schedules.
    tally
        Where losses and metrics add up.
    hooks
        Callbacks, told about batches if one wants that.
    advance
        Called with the rows of each run and the means so far.
    first_batch
        Number of the first batch in the epoch, for callbacks.
    most_batches
        After how many batches to stop.
    """
    batches = -(-len(order) // batch_size)
    batches = batches if most_batches is None else min(batches, most_batches)
    done = 0
    while done < batches and not model.stop_training:
        count = 1 if hooks.wants_batches else min(batches - done, _MOST_BATCHES)
        if feed.whole is None:
            count = min(count, max(_GATHERED_BYTES // (feed.row_bytes * batch_size), 1))
        rows_of_part = order[done * batch_size : (done + count) * batch_size]
        part, ran = None, 0
        while ran < count and not model.stop_training:
            if hooks.wants_batches:
                hooks.call("train_batch_begin", first_batch + done, {})
            if feed.engine is not model.trainer():
                # A callback changed a layer: rows are taken as its engine takes them now.
                feed, part = Feed(model.trainer(), feed.x), None
            part = part or _part(feed, y, weights, rows_of_part)
            steps, rows = _run(model, part, ran, count - ran, batch_size, epoch, tally)
            ran, done = ran + steps, done + steps
            if hooks.wants_batches:
                hooks.call("train_batch_end", first_batch + done - 1, tally.logs())
            advance(rows, tally.logs())


def _part(feed: Feed, y: Array, weights: Array | None, order: NDArray[np.int64]) -> Part:
    """Rows to pick from, and which: the whole data, or what was gathered of a memory map."""
    if feed.whole is not None:
        return feed.whole, y, weights, order
    picked = None if weights is None else weights[order]
    return feed.rows(order), y[order], picked, np.arange(len(order))


def _run(
    model: Compiled,
    part: Part,
    start: int,
    batches: int,
    batch_size: int,
    epoch: int,
    tally: Tally,
) -> tuple[int, int]:
    """One call of the engine; returns the steps and rows done."""
    with model._turn.stepping:
        return _run_alone(model, part, start, batches, batch_size, epoch, tally)


def _run_alone(
    model: Compiled,
    part: Part,
    start: int,
    batches: int,
    batch_size: int,
    epoch: int,
    tally: Tally,
) -> tuple[int, int]:
    x, y, weights, order = part
    optimizer, plan = model.optimizer, model.plan
    # A run that was interrupted may have left that to do.
    optimizer.settle()
    step = optimizer.iterations
    # Averages of weights are taken after each step.
    batches = 1 if optimizer.use_ema else batches
    picked = order[start * batch_size : (start + batches) * batch_size]
    outputs = None
    if tally.wants_outputs:
        outputs = np.empty((len(picked), features(plan.columns_out.shape)), model.dtype)
    run = Run(
        order=picked,
        start=0,
        batches=batches,
        batch_size=batch_size,
        learning_rates=optimizer.learning_rates(step, batches),
        keys=plan.keys(model.seed),
        rates=plan.rates(step, batches, epoch),
        first_step=step,
        total=tally.total,
        sample_weight=weights,
        predictions=outputs,
        milliseconds=MILLISECONDS,
    )
    steps, total, correct = model.trainer().train(x, y, run, model.loss, optimizer)
    optimizer.settle()
    rows = min(steps * batch_size, len(picked))
    tally.add(total, rows, correct)
    if outputs is not None:
        # A batch at a time: how many batches a call does depends on the clock.
        for first in range(0, rows, batch_size):
            trained = picked[first : min(first + batch_size, rows)]
            model.feed_metrics(
                y[trained],
                outputs[first : first + len(trained)],
                None if weights is None else weights[trained],
            )
    return steps, rows

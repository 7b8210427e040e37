"""Layer 6: training layer by layer in blocks of rows, by one process or by several.

Each block is computed as a batch of its own would be, its rows drawing by their numbers in the
batch; what sums over rows (losses, gradients of weights, batch statistics) is added up in the tree
of `training.blocks`. Processes exchange sums of subtrees and update their weights alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropfast.arrays import Array
from dropfast.layers import BatchNormalization
from dropfast.layers.base import Passage, check_rows_of
from dropfast.layers.weight import Weight
from dropfast.losses import Loss
from dropfast.optimizers import Optimizer
from dropfast.training import blocks
from dropfast.training.plan import Plan
from dropfast.training.stepwise import Data, Stepwise, _picked, _right
from dropfast.training.walk import Place, activity


class Blocked(Stepwise):
    """Every layer by itself, in blocks.

    Parameters
    ----------
    plan, weights, dtype, seed
        As `Stepwise`.
    share
        How many blocks, and which of them are computed here.
    """

    def __init__(
        self,
        plan: Plan,
        weights: Sequence[Weight],
        dtype: np.dtype[Any],
        seed: int,
        share: blocks.Share,
    ) -> None:
        super().__init__(plan, weights, dtype, seed)
        self.share = share
        for place in plan.stochastic:
            check_rows_of(place.layer, share.blocks, "gradient_blocks")

    def direct(self, x: Array) -> Array | None:
        """The array itself where blocks can be picked from it: of memory maps only own rows."""
        return x if isinstance(x, np.memmap) else super().direct(x)

    def forward(self, x: Array, *more: Any, **named: Any) -> Array:
        """As `Stepwise.forward`, of rows as `direct` leaves them."""
        return super().forward(self.convert(x), *more, **named)

    def sample(self, x: Array, *more: Any, **named: Any) -> Array:
        """As `Stepwise.sample`, likewise."""
        return super().sample(self.convert(x), *more, **named)

    def _step(
        self,
        data: Data,
        rows: NDArray[np.int64],
        passages: Sequence[Passage],
        loss: Loss,
        optimizer: Optimizer,
        learning_rate: float,
        step: int,
    ) -> tuple[float, Array, int]:
        """One batch; returns its mean loss, its own rows' outputs, and how many are right."""
        given, count = loss, len(rows)
        loss, heads = self._fused(loss)
        for number, _ in heads:
            passages[number].linear = True
        ends = blocks.borders(count, self.share.blocks)
        own = [block for block in self.share.own() if ends[block] < ends[block + 1]]
        picked = [_picked(data, rows[ends[b] : ends[b + 1]], count) for b in own]
        each = [blocks.passages_of(passages, ends[block]) for block in own]
        batch = _Batch(self, own, each, passages, count)
        outputs = batch.forward([self.convert(x) for x, _, _ in picked])
        losses, right, grads = [], [], []
        for (_, y, share), out, through in zip(picked, outputs, each, strict=True):
            penalty = activity(self.plan.places, through) / count
            losses.append(float((loss.call(y, out) * share).sum()) + penalty)
            grads.append(loss.gradient(y, out, share.astype(self.dtype)))
            self._finish(out, heads)
            right.append(_right(given, y, out))
        trainable = self._trainable()
        found = batch.backward(grads, trainable)
        parts = {
            block: [np.array([value, correct]), *gradients]
            for block, value, correct, gradients in zip(own, losses, right, found, strict=True)
        }
        like = [np.zeros(2), *(weight.value for weight in trainable)]
        sums = self.share.sum(parts, count, like)
        value = float(sums[0][0]) + self._penalty(trainable)
        if np.isfinite(value):
            by_weight = {id(w.value): g for w, g in zip(trainable, sums[1:], strict=True)}
            moved = list(passages[0].updates.values())
            self._update(trainable, by_weight, moved, optimizer, learning_rate, step)
        empty = np.empty((0, *self._units()), self.dtype)
        return value, np.concatenate(outputs) if outputs else empty, int(sums[0][1])

    def _units(self) -> tuple[int, ...]:
        return tuple(size or 1 for size in self.plan.columns_out.shape[1:])

    def _whole(self, outputs: Array, rows: int) -> Array:
        """The outputs of all rows of a batch, of which each process has some."""
        like = np.empty(self._units(), self.dtype)
        return self.share.gather(outputs, rows, like)


class _Batch:
    """One batch on its way through the layers, block beside block."""

    def __init__(
        self,
        engine: Blocked,
        own: Sequence[int],
        passages: Sequence[list[Passage]],
        whole: Sequence[Passage],
        rows: int,
    ) -> None:
        self.engine, self.plan, self.share = engine, engine.plan, engine.share
        self.own, self.passages, self.whole, self.rows = own, passages, whole, rows

    def of_place(self, number: int) -> list[Passage]:
        """The passages of the blocks through a place."""
        return [passages[number] for passages in self.passages]

    def mean_of(self, place: Place) -> Any:
        """A function that has the mean over all rows of the batch, each feature's, from blocks."""
        size = place.output_shape[-1]
        positions = self.rows
        for axis in place.output_shape[1:-1]:
            positions *= axis or 1
        like = [np.zeros(size or 0)]

        def mean(parts: Sequence[Array]) -> Array:
            sums = {
                block: [part.sum(axis=tuple(range(part.ndim - 1)))]
                for block, part in zip(self.own, parts, strict=True)
            }
            found: Array = self.share.sum(sums, self.rows, like)[0] / positions
            return found

        return mean

    def forward(self, inputs: Sequence[Array]) -> list[Array]:
        """Outputs of each block."""
        plan = self.plan
        values = [plan.columns_in.split(x) for x in inputs]
        for number, place in enumerate(plan.places):
            passages, xs = self.of_place(number), []
            for known in values:
                x: Any = [known[source] for source in place.sources]
                xs.append(x if place.layer.merges else x[0])
            if self._by_batch(place):
                layer: Any = place.layer
                found = layer.forward_blocks(xs, passages, self.mean_of(place), self.whole[number])
            else:
                found = [place.layer.forward(*pair) for pair in zip(xs, passages, strict=True)]
            for known, value, passage in zip(values, found, passages, strict=True):
                known.append(value)
                if place.layer.activity_regularizer is not None:
                    passage.activity = value
        return [
            plan.columns_out.join([known[number] for number in plan.outputs]) for known in values
        ]

    @staticmethod
    def _by_batch(place: Place) -> bool:
        """Whether a place takes statistics of the whole batch in training."""
        layer = place.layer
        return isinstance(layer, BatchNormalization) and place.acts[0] and layer.trainable

    def backward(self, grads: Sequence[Array], trainable: Sequence[Weight]) -> list[blocks.Parts]:
        """Gradients of the weights, of each block."""
        plan = self.plan
        waiting: list[dict[int, Array]] = []
        for grad in grads:
            given: dict[int, Array] = {}
            for number, part in zip(plan.outputs, plan.columns_out.split(grad), strict=True):
                given[number] = given[number] + part if number in given else part
            waiting.append(given)
        learns = [False] * plan.inputs
        for place in plan.places:
            before = any(learns[source] for source in place.sources)
            learns.append(before or bool(place.layer._weights))
        # Known without looking at rows: a process that has none takes part in all sums.
        read = set(plan.outputs)
        for number in reversed(range(len(plan.places))):
            key = plan.inputs + number
            if key in read and learns[key]:
                read |= set(plan.places[number].sources)
                self._back(number, waiting)
        return [self._by_weight(passages, trainable) for passages in self.passages]

    def _back(self, number: int, waiting: Sequence[dict[int, Array]]) -> None:
        """The way back through a place."""
        place, key = self.plan.places[number], self.plan.inputs + number
        given = [np.ascontiguousarray(gradients.pop(key)) for gradients in waiting]
        passages, penalty = self.of_place(number), place.layer.activity_regularizer
        if penalty is not None:
            given = [
                gradient + penalty.gradient(passage.activity) / gradient.dtype.type(self.rows)
                for gradient, passage in zip(given, passages, strict=True)
                if passage.activity is not None
            ]
        if self._by_batch(place):
            layer: Any = place.layer
            found = layer.gradient_blocks(given, passages, self.mean_of(place))
        else:
            found = [place.layer.gradient(*pair) for pair in zip(given, passages, strict=True)]
        for gradients, back in zip(waiting, found, strict=True):
            parts = back if place.layer.merges else [back]
            for source, part in zip(place.sources, parts, strict=True):
                known = gradients.get(source)
                gradients[source] = part if known is None else known + part

    def _by_weight(self, passages: Sequence[Passage], trainable: Sequence[Weight]) -> blocks.Parts:
        """A block's gradients, in the order of the weights that are trained."""
        found: dict[int, Array] = {}
        for place, passage in zip(reversed(self.plan.places), reversed(passages), strict=True):
            for weight in place.layer._weights:
                if weight.name in passage.gradients:
                    added = passage.gradients[weight.name]
                    known = found.get(id(weight.value))
                    found[id(weight.value)] = added if known is None else known + added
        for weight in trainable:
            if id(weight.value) not in found:
                raise ValueError(
                    f"gradient of weight {weight.name!r} must be put into passage.gradients by "
                    "its layer. Received: none"
                )
        dtype = self.engine.dtype
        return [np.asarray(found[id(weight.value)], dtype) for weight in trainable]

"""Layer 6: training layer by layer, for what the native network doesn't know.

Each step: forward through every place with a passage of its own, loss, back through the passages in
reverse (see `training.walk`), penalties, clipping, update, constraints. Layers at several places
add up their gradients.
For layers that the native network knows too the results are the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropfast import _core
from dropfast.arrays import Array, assign
from dropfast.layers import Activation, Dense
from dropfast.layers.base import Passage
from dropfast.layers.weight import Weight
from dropfast.losses import CategoricalCrossentropy, Loss, SparseCategoricalCrossentropy
from dropfast.optimizers import Optimizer
from dropfast.random import CALLS, Key
from dropfast.training.engine import ALL_ROWS, Rows, Run
from dropfast.training.exact import exact
from dropfast.training.moments import Moments
from dropfast.training.plan import Plan
from dropfast.training.several import _Several
from dropfast.training.walk import Place, activity, backward, forward

# Inputs, targets, and weights of rows.
Data = tuple[Array, Array, Array | None]


class Stepwise:
    """Every layer by itself."""

    def __init__(
        self, plan: Plan, weights: Sequence[Weight], dtype: np.dtype[Any], seed: int
    ) -> None:
        self.plan, self.weights, self.dtype, self.seed = plan, list(weights), dtype, seed
        self.rows_per_mask = plan.rows_per_mask
        # Penalties on the outputs of layers at inference so far.
        self.activity = 0.0

    def direct(self, x: Array) -> Array | None:
        """The array itself where its dtype fits."""
        return x if x.dtype == self.dtype and x.flags.aligned else None

    def convert(self, x: Array) -> Array:
        """Rows in the model's dtype, in the shape they came."""
        return np.require(x, self.dtype, ["C", "A"])

    def forward(
        self,
        x: Array,
        keys: Sequence[Key] | None = None,
        rates: Sequence[float] | NDArray[np.float64] | None = None,
    ) -> Array:
        """Outputs of one batch; with keys as in training."""
        if keys is not None:
            passages = self._passages(keys, rates)
            found = self._forward(x, passages)
            passages[0].finish()
            return found
        places, outputs = self.plan.inference
        passages = self._idle_passages(places)
        found = self._forward(x, passages, places, outputs)
        self.activity += activity(places, passages)
        return found

    def sample(
        self,
        x: Array,
        keys: Sequence[Key],
        rates: Sequence[float] | NDArray[np.float64] | None = None,
        rows: Rows = ALL_ROWS,
    ) -> Array:
        """Outputs with dropout on; normalisation keeps its running statistics."""
        passages = self._passages(keys, rates, all_train=False)
        for passage in passages:
            passage.first_row, passage.consistent = rows.first, rows.consistent
        return self._forward(x, passages)

    def monte_carlo(
        self,
        x: Array,
        keys: Sequence[Key],
        samples: int,
        rates: Array | None = None,
        rows: Rows = ALL_ROWS,
    ) -> tuple[Array, Array]:
        """Mean and sum of squared deviations over samples."""
        moments = Moments()
        for sample in range(samples):
            moments.add(self.sample(x, [key.at(key.step + sample) for key in keys], rates, rows))
        return moments.mean, moments.m2

    def train(
        self, x: Array, y: Array, run: Run, loss: Loss, optimizer: Optimizer
    ) -> tuple[int, float, int]:
        """Batches until they or the time are over."""
        done, total, correct = 0, run.total, 0
        end = time.perf_counter() + run.milliseconds / 1000.0
        while done < run.batches and (done == 0 or time.perf_counter() < end):
            first = (run.start + done) * run.batch_size
            rows = run.order[first : first + run.batch_size]
            step = run.first_step + done
            passages = self._passages(
                [key.at(step) for key in run.keys], None if run.rates is None else run.rates[done]
            )
            # What layers count on the way belongs to the step, as weights do.
            counted = [(w.value, w.value.copy()) for w in self.weights if not w.trainable]
            optimizer.iterations = step
            try:
                value, outputs, right = self._step(
                    (x, y, run.sample_weight),
                    rows,
                    passages,
                    loss,
                    optimizer,
                    float(run.learning_rates[done]),
                    step,
                )
            except BaseException:
                if optimizer.iterations == step:
                    assign(counted)
                raise
            if not np.isfinite(value):
                raise FloatingPointError(
                    f"the loss became {value} at batch {done} of this run, step {step}"
                )
            done, total = done + 1, total + value * len(rows)
            correct += right
            if run.predictions is not None:
                whole = self._whole(outputs, len(rows))
                run.predictions[first : first + len(rows)] = whole.reshape(len(rows), -1)
        return done, total, correct

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
        """One batch; returns its mean loss, its outputs and how many of them are right."""
        given = loss
        loss, heads = self._fused(loss)
        for number, _ in heads:
            passages[number].linear = True
        x, y, share = _picked(data, rows, len(rows))
        outputs = self._forward(x, passages)
        trainable = self._trainable()
        value = float((loss.call(y, outputs) * share).sum()) + self._penalty(trainable)
        value += activity(self.plan.places, passages) / len(x)
        gradient = loss.gradient(y, outputs, share.astype(self.dtype))
        gradients = self._backward(gradient, passages)
        if np.isfinite(value):
            moved = list(passages[0].updates.values())
            self._update(trainable, gradients, moved, optimizer, learning_rate, step)
        self._finish(outputs, heads)
        return value, outputs, _right(given, y, outputs)

    @staticmethod
    def _penalty(trainable: Sequence[Weight]) -> float:
        return sum(w.regularizer(w.value) for w in trainable if w.regularizer)

    @staticmethod
    def _finish(outputs: Array, heads: Sequence[tuple[int, slice]]) -> None:
        """The softmax that the loss computed."""
        for _, columns in heads:
            part = np.ascontiguousarray(outputs[:, columns])
            outputs[:, columns] = _core.activation("softmax", part)

    def _whole(self, outputs: Array, rows: int) -> Array:
        """The outputs of all rows of a batch."""
        return outputs

    def _fused(self, loss: Loss) -> tuple[Loss, list[tuple[int, slice]]]:
        """Softmax below a cross-entropy belongs to the loss, which takes logits.

        Returns the loss that does, and the places that leave out their softmax, with their columns
        of the outputs.
        """
        plan = self.plan
        parts = loss.parts if isinstance(loss, _Several) else None
        own = [loss] if parts is None else [part.loss for part in parts]
        found: list[Loss | None] = []
        heads = []
        for i, (number, each) in enumerate(zip(plan.outputs, own, strict=True)):
            logits = None if each is None else self._on_logits(number, each)
            found.append(logits)
            if logits is not None:
                columns = slice(plan.columns_out.starts[i], plan.columns_out.ends[i])
                heads.append((number - plan.inputs, columns))
        if isinstance(loss, _Several):
            return loss.with_logits(found), heads
        return found[0] or loss, heads

    def _on_logits(self, number: int, loss: Loss) -> Loss | None:
        """The loss on logits, if a softmax that nobody else reads makes the output."""
        plan = self.plan
        read = any(number in place.sources for place in plan.places)
        if read or number < plan.inputs or list(plan.outputs).count(number) > 1:
            return None
        last = plan.places[number - plan.inputs].layer
        if not isinstance(last, Dense | Activation) or last.activation.name != "softmax":
            return None
        if last.activity_regularizer is not None:
            return None
        if not (exact(last) and exact(last.activation) and exact(loss)):
            return None
        for kind in (SparseCategoricalCrossentropy, CategoricalCrossentropy):
            if type(loss) is kind and not loss.from_logits:
                return kind(from_logits=True, label_smoothing=loss.label_smoothing)
        return None

    def _passages(
        self,
        keys: Sequence[Key],
        rates: Sequence[float] | NDArray[np.float64] | None,
        all_train: bool = True,
    ) -> list[Passage]:
        """A passage for each place, as in training, or with stochastic layers alone as in it."""
        passages, drawn = [], 0
        updates: dict[int, tuple[Array, Array]] = {}
        for place in self.plan.places:
            acts = place.acts[0] if all_train or place.layer.stochastic else place.acts[1]
            passage = Passage(training=acts, rows_per_mask=self.rows_per_mask, updates=updates)
            if place.stochastic:
                passage.rate = place.layer.rate_at(0, 0) if rates is None else float(rates[drawn])
                passage.key = keys[drawn]
                drawn += 1
            passages.append(passage)
        return passages

    def _spare_key(self, place: Place) -> Key | None:
        """Where a layer draws that does so in inference too; a new place each time."""
        if exact(place.layer) and not place.acts[1]:
            return None
        place.layer._calls += 1
        return Key(self.seed, CALLS | place.index, place.layer._calls - 1)

    def _idle_passages(self, places: Sequence[Place]) -> list[Passage]:
        """A passage for each place at inference."""
        passages = []
        for place in places:
            passage = Passage(training=place.acts[1], rows_per_mask=self.rows_per_mask)
            if place.layer.stochastic:
                passage.rate = place.layer.rate_at(0, 0)
                passage.key = self._spare_key(place)
            passages.append(passage)
        return passages

    def _forward(
        self,
        x: Array,
        passages: Sequence[Passage],
        places: Sequence[Place] | None = None,
        outputs: Sequence[int] | None = None,
    ) -> Array:
        places = self.plan.places if places is None else places
        outputs = self.plan.outputs if outputs is None else outputs
        values = forward(places, self.plan.columns_in.split(x), passages)
        return self.plan.columns_out.join([values[number] for number in outputs])

    def _backward(self, gradient: Array, passages: Sequence[Passage]) -> dict[int, Array]:
        """Gradients of all weights, by the identity of their arrays."""
        plan = self.plan
        given: dict[int, Array] = {}
        for number, part in zip(plan.outputs, plan.columns_out.split(gradient), strict=True):
            known = given.get(number)
            given[number] = part if known is None else known + part
        backward(plan.places, plan.inputs, given, passages, to_inputs=False)
        found: dict[int, Array] = {}
        for place, passage in zip(reversed(plan.places), reversed(passages), strict=True):
            for weight in place.layer._weights:
                if weight.name in passage.gradients:
                    added = passage.gradients[weight.name]
                    known = found.get(id(weight.value))
                    found[id(weight.value)] = added if known is None else known + added
        return found

    def _trainable(self) -> list[Weight]:
        if not self.plan.trainable:
            return []
        frozen = {
            id(weight)
            for place in self.plan.places
            if not place.trainable
            for weight in place.layer._weights
        }
        return [weight for weight in self.weights if weight.trainable and id(weight) not in frozen]

    def _update(
        self,
        trainable: Sequence[Weight],
        found: dict[int, Array],
        moved: list[tuple[Array, Array]],
        optimizer: Optimizer,
        learning_rate: float,
        step: int,
    ) -> None:
        """Apply the step as one unit, which no signal handler sees half done."""
        gradients = []
        for weight in trainable:
            gradient = found.get(id(weight.value))
            if gradient is None:
                raise ValueError(
                    f"gradient of weight {weight.name!r} must be put into passage.gradients by its "
                    "layer. Received: none"
                )
            gradient = np.asarray(gradient, self.dtype)
            if weight.regularizer is not None:
                gradient = gradient + weight.regularizer.gradient(weight.value)
            gradients.append(np.ascontiguousarray(gradient))
        counter = (optimizer._counter, np.array([step + 1], np.uint64))
        ready, summed = optimizer.accumulate(gradients, step)
        changes = [counter, *moved, *summed]
        if ready is None:
            return assign(changes)
        step = step // (optimizer.gradient_accumulation_steps or 1)
        for i, gradient in enumerate(optimizer.clip(ready)):
            weight = trainable[i]
            state = [slot[i] for slot in optimizer.state[: optimizer.slots()]]
            value, new_state = weight.value.copy(), [slot.copy() for slot in state]
            optimizer.update(value, gradient, new_state, learning_rate, step + 1)
            if weight.constraint is not None:
                value[...] = weight.constraint(value)
            changes += [(weight.value, value), *zip(state, new_state, strict=True)]
        return assign(changes)


def _picked(data: Data, rows: NDArray[np.int64], count: int) -> tuple[Array, Array, Array]:
    """Rows of the data, and each one's share in the mean over `count` rows."""
    x, y, weights = data
    found = np.ones(len(rows)) if weights is None else weights[rows]
    return x[rows], y[rows], np.asarray(found, np.float64) / count


def _right(loss: Loss, targets: Array, outputs: Array) -> int:
    if loss.target == "labels":
        return int((outputs.argmax(axis=-1) == targets).sum())
    if isinstance(loss, CategoricalCrossentropy):
        return int((outputs.argmax(axis=-1) == targets.argmax(axis=-1)).sum())
    return 0

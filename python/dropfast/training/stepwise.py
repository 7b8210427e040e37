"""Layer 6: training layer by layer, for what the native network doesn't know.

Each step: forward through every place with a passage of its own, loss, back through the passages in
reverse, penalties, clipping, update, constraints. Layers at several places add up their gradients.
For layers that the native network knows too the results are the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropfast import _core
from dropfast.arrays import Array
from dropfast.layers import Activation, Dense
from dropfast.layers.base import Passage
from dropfast.layers.weight import Weight
from dropfast.losses import CategoricalCrossentropy, Loss, SparseCategoricalCrossentropy
from dropfast.optimizers import Optimizer
from dropfast.random import CALLS, Key
from dropfast.training.engine import Run
from dropfast.training.exact import exact
from dropfast.training.moments import Moments
from dropfast.training.plan import Place, Plan


class Stepwise:
    """Every layer by itself."""

    def __init__(
        self, plan: Plan, weights: Sequence[Weight], dtype: np.dtype[Any], seed: int
    ) -> None:
        self.plan, self.weights, self.dtype, self.seed = plan, list(weights), dtype, seed
        self.rows_per_mask = plan.rows_per_mask

    def direct(self, x: Array) -> Array | None:
        """The array itself where its dtype fits."""
        return x if x.dtype == self.dtype else None

    def convert(self, x: Array) -> Array:
        """Rows in the model's dtype, in the shape they came."""
        return np.ascontiguousarray(x, self.dtype)

    def forward(
        self,
        x: Array,
        keys: Sequence[Key] | None = None,
        rates: Sequence[float] | NDArray[np.float64] | None = None,
    ) -> Array:
        """Outputs of one batch; with keys as in training."""
        return self._forward(x, self._passages(keys, rates))

    def sample(
        self,
        x: Array,
        keys: Sequence[Key],
        rates: Sequence[float] | NDArray[np.float64] | None = None,
    ) -> Array:
        """Outputs with dropout on; normalisation keeps its running statistics."""
        return self._forward(x, self._passages(keys, rates, all_train=False))

    def monte_carlo(
        self, x: Array, keys: Sequence[Key], samples: int, rates: Array | None = None
    ) -> tuple[Array, Array]:
        """Mean and sum of squared deviations over samples."""
        moments = Moments()
        for sample in range(samples):
            moments.add(self.sample(x, [key.at(sample) for key in keys], rates))
        return moments.mean, moments.m2

    def train(
        self, x: Array, y: Array, run: Run, loss: Loss, optimizer: Optimizer
    ) -> tuple[int, float, int]:
        """Batches until they or the time are over."""
        done, total, correct = 0, 0.0, 0
        end = time.perf_counter() + run.milliseconds / 1000.0
        while done < run.batches and (done == 0 or time.perf_counter() < end):
            first = (run.start + done) * run.batch_size
            rows = run.order[first : first + run.batch_size]
            targets = y[rows]
            weights = np.ones(len(rows)) if run.sample_weight is None else run.sample_weight[rows]
            step = run.first_step + done
            passages = self._passages(
                [key.at(step) for key in run.keys], None if run.rates is None else run.rates[done]
            )
            value, outputs = self._step(
                x[rows],
                targets,
                weights,
                passages,
                loss,
                optimizer,
                float(run.learning_rates[done]),
                step,
            )
            if not np.isfinite(value):
                raise FloatingPointError(
                    f"the loss became {value} at batch {done} of this run, step {step}"
                )
            done, total = done + 1, total + value * len(rows)
            correct += _right(loss, targets, outputs)
            if run.predictions is not None:
                run.predictions[first : first + len(rows)] = outputs
        return done, total, correct

    def _step(
        self,
        x: Array,
        y: Array,
        weights: Array,
        passages: Sequence[Passage],
        loss: Loss,
        optimizer: Optimizer,
        learning_rate: float,
        step: int,
    ) -> tuple[float, Array]:
        """One batch; returns its mean loss and its outputs."""
        head = self._fused(loss)
        passages[-1].linear = head is not None
        outputs = self._forward(x, passages)
        loss = head or loss
        share = np.asarray(weights, np.float64) / len(x)
        trainable = self._trainable()
        value = float((loss.call(y, outputs) * share).sum()) + sum(
            weight.regularizer(weight.value) for weight in trainable if weight.regularizer
        )
        gradient = loss.gradient(y, outputs, share.astype(self.dtype))
        gradients = self._backward(gradient, passages)
        if np.isfinite(value):
            self._update(trainable, gradients, optimizer, learning_rate, step)
        if head is not None:
            outputs = _core.activation("softmax", outputs)
        return value, outputs

    def _fused(self, loss: Loss) -> Loss | None:
        """Softmax below a cross-entropy belongs to the loss, which takes logits."""
        last = self.plan.places[-1].layer
        if not isinstance(last, Dense | Activation) or last.activation.name != "softmax":
            return None
        if not (exact(last) and exact(last.activation) and exact(loss)):
            return None
        for kind in (SparseCategoricalCrossentropy, CategoricalCrossentropy):
            if type(loss) is kind and not loss.from_logits:
                return kind(from_logits=True, label_smoothing=loss.label_smoothing)
        return None

    def _passages(
        self,
        keys: Sequence[Key] | None,
        rates: Sequence[float] | NDArray[np.float64] | None,
        all_train: bool = True,
    ) -> list[Passage]:
        passages, drawn = [], 0
        for place in self.plan.places:
            passage = Passage(rows_per_mask=self.rows_per_mask)
            if keys is not None:
                passage.training = all_train or place.layer.stochastic
            if place.layer.stochastic:
                passage.rate = place.layer.rate_at(0, 0) if rates is None else float(rates[drawn])
                passage.key = self._spare_key(place) if keys is None else keys[drawn]
                drawn += 1
            passages.append(passage)
        return passages

    def _spare_key(self, place: Place) -> Key | None:
        """Where a layer of one's own draws that does so in inference too; a new place each time."""
        if exact(place.layer):
            return None
        place.layer._calls += 1
        return Key(self.seed, CALLS | place.index, place.layer._calls - 1)

    def _forward(self, x: Array, passages: Sequence[Passage]) -> Array:
        for place, passage in zip(self.plan.places, passages, strict=True):
            x = place.layer.forward(x, passage)
        return np.ascontiguousarray(x)

    def _backward(self, gradient: Array, passages: Sequence[Passage]) -> dict[int, Array]:
        """Gradients of all weights, by the identity of their arrays."""
        found: dict[int, Array] = {}
        for place, passage in zip(reversed(self.plan.places), reversed(passages), strict=True):
            gradient = place.layer.gradient(np.ascontiguousarray(gradient), passage)
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
            if not place.layer.trainable
            for weight in place.layer._weights
        }
        return [weight for weight in self.weights if weight.trainable and id(weight) not in frozen]

    def _update(
        self,
        trainable: Sequence[Weight],
        found: dict[int, Array],
        optimizer: Optimizer,
        learning_rate: float,
        step: int,
    ) -> None:
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
        for i, gradient in enumerate(optimizer.clip(gradients)):
            weight = trainable[i]
            state = [slot[i] for slot in optimizer.state]
            optimizer.update(weight.value, gradient, state, learning_rate, step + 1)
            if weight.constraint is not None:
                weight.value[...] = weight.constraint(weight.value)


def _right(loss: Loss, targets: Array, outputs: Array) -> int:
    if loss.target == "labels":
        return int((outputs.argmax(axis=-1) == targets).sum())
    if isinstance(loss, CategoricalCrossentropy):
        return int((outputs.argmax(axis=-1) == targets.argmax(axis=-1)).sum())
    return 0

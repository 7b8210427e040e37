"""Layer 7: training by "sgd" and "adam": epochs, the rule that ends them, scores of held-out rows.

With dropout, the loss of an epoch says little about the next one's: it depends on the masks. So the
rule that ends training reads the loss without dropout, of at most `_MONITORED` rows, as its mean
over the last `_WINDOW` epochs: weights jump about, too.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring

from dropfast.arrays import Array
from dropfast.callbacks.base import CallbackList
from dropfast.sklearn import parameters, steps
from dropfast.sklearn.rows import Rows

# Rows whose loss without dropout is watched: enough for its third digit, cheap beside an epoch.
_MONITORED = 8192
_WINDOW = 10
# With dropout, an epoch of few steps changes so little that ten of them mean nothing.
_LEAST_STEPS = 100

_DIVERGED = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


class Training:
    """A run of epochs.

    Parameters
    ----------
    estimator
        Has a compiled model, and is told what is known after each epoch.
    rows
        What it learns from.
    held_out
        What it is scored on, or None.
    incremental
        Whether this is one epoch of many calls.
    """

    def __init__(
        self, estimator: Any, rows: Rows, held_out: Rows | None, incremental: bool
    ) -> None:
        self.estimator, self.model = estimator, estimator.model_
        self.rows, self.held_out, self.incremental = rows, held_out, incremental
        self.size = batch_rows(estimator, len(rows))
        self.scale, self.shown = estimator._loss_factors()
        self.constant = None
        if self.scale != 1.0:
            self.constant = np.full(len(rows), self.scale, self.model.dtype)
        noisy = bool(self.model.plan.stochastic) and not estimator.early_stopping
        self.monitored = _some(rows) if noisy and not incremental else None
        self.best: list[Array] | None = None
        self.least = np.inf
        self.loss = self.model.loss
        self.kernels = estimator.coefs_
        # A call that fails goes back to the lists that were there.
        for name in ("loss_curve_", "clean_loss_curve_"):
            setattr(estimator, name, [*getattr(estimator, name)])
        for name in ("validation_scores_", "validation_loss_curve_"):
            known = getattr(estimator, name)
            setattr(estimator, name, None if known is None else [*known])

    def run(self) -> None:
        """All epochs; the estimator's attributes follow."""
        estimator = self.estimator
        hooks = CallbackList(_list(estimator.callbacks), self.model, {"epochs": estimator.max_iter})
        self.model.stop_training = False
        order = np.arange(len(self.rows), dtype=np.int64)
        # Each epoch shuffles the order of the last one: so does one call after another.
        known = getattr(estimator, "_order", None) if self.incremental else None
        if known is not None and len(known) == len(order):
            order = known
        estimator.n_iter_ = 0
        most = 1 if self.incremental else estimator.max_iter
        hooks.call("train_begin")
        try:
            while estimator.n_iter_ < most:
                if estimator.shuffle:
                    drawn = np.arange(len(order))
                    estimator._random_state.shuffle(drawn)
                    order = order[drawn]
                if not self._epoch(order, hooks):
                    break
                if estimator.n_iter_ == most and not self.incremental:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({most}) reached and the "
                        "optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=2,
                    )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        estimator._order = order if self.incremental else None
        if self.best is not None:
            _copy(self.model.weights, self.best)
        hooks.call("train_end", {})

    def _epoch(self, order: Array, hooks: CallbackList) -> bool:
        """One epoch; whether another may follow."""
        estimator, model, rows = self.estimator, self.model, self.rows
        hooks.call("epoch_begin", estimator.n_iter_, {})
        weights = self.constant
        if rows.weights is not None:
            weights = steps.per_batch(rows.weights, order, self.size) * self.scale
            weights = weights.astype(model.dtype)
        try:
            total = steps.train(
                model, rows.x, rows.targets, weights, order, self.size, len(estimator.loss_curve_)
            )
        except FloatingPointError as error:
            if self.best is None or not np.isfinite(estimator.best_validation_score_):
                raise ValueError(_DIVERGED) from error
            return False
        loss = total / len(rows)
        if self.shown != 1.0:
            penalty = self._penalty()
            loss = (loss - penalty) / self.shown + penalty
        estimator.n_iter_ += 1
        estimator.t_ += len(rows)
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        logs = {"loss": loss, **self._score()}
        parameters.settle_rate(estimator, model.optimizer, estimator.t_)
        hooks.call("epoch_end", estimator.n_iter_ - 1, logs)
        return self._goes_on() and not model.stop_training

    def _score(self) -> dict[str, float]:
        """Score and loss of the held-out rows, else losses; what is best is remembered."""
        estimator, model = self.estimator, self.model
        logs = {}
        if self.held_out is not None:
            answers = steps.outputs(model, self.held_out.x)
            value = self._loss(answers, self.held_out)
            score = self._score_of(answers, value)
            estimator.validation_loss_curve_.append(value)
            estimator.validation_scores_.append(score)
            if estimator.verbose:
                print(f"Validation score: {score:f}")
            logs = {"val_loss": value, "val_score": score}
        if estimator.early_stopping:
            score = logs["val_score"]
            self._count(score < estimator.best_validation_score_ + estimator.tol)
            if score > estimator.best_validation_score_:
                estimator.best_validation_score_ = score
                self.best = self.model.get_weights()
            return logs
        if self.held_out is not None:
            best = max(estimator.best_validation_score_, logs["val_score"])
            estimator.best_validation_score_ = best
        if self.monitored is not None:
            self._watch(self.monitored)
        else:
            self._count(estimator.loss_ > estimator.best_loss_ - estimator.tol)
        estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
        return logs

    def _watch(self, rows: Rows) -> None:
        """Whether the loss without dropout still falls."""
        estimator = self.estimator
        loss = self._loss(steps.outputs(self.model, rows.x), rows)
        estimator.clean_loss_curve_.append(loss)
        window = int(min(estimator.n_iter_no_change, _WINDOW))
        last = estimator.clean_loss_curve_[-window:]
        if len(last) == window:
            mean = float(np.mean(last))
            self._count(mean > self.least - estimator.tol)
            self.least = min(self.least, mean)

    def _loss(self, answers: Array, rows: Rows) -> float:
        """Loss without dropout as `loss_` counts it."""
        values = self.loss.call(rows.targets, answers)
        mean = values.mean() if rows.weights is None else np.average(values, weights=rows.weights)
        return float(mean * (self.scale / self.shown)) + self._penalty()

    def _penalty(self) -> float:
        """The penalty of the weights: the model's, without a walk through its layers."""
        squares = sum(float(np.vdot(kernel, kernel)) for kernel in self.kernels)
        return float(self.estimator._penalty.l2) * squares

    def _score_of(self, answers: Array, loss: float) -> float:
        estimator, rows = self.estimator, self.held_out
        assert rows is not None
        if not np.isfinite(answers).all():
            return float("nan")
        if estimator.scoring is None:
            return float(estimator._score_of(answers, rows))
        if isinstance(estimator.scoring, str) and estimator.scoring == "loss":
            return -loss
        probe = copy.copy(estimator)
        if rows.given is None:
            # Rows that were held out of X are numbers by now.
            vars(probe).pop("feature_names_in_", None)
            probe._categories, probe.n_features_in_ = None, rows.x.shape[1]
        scorer = check_scoring(probe, estimator.scoring)
        x = rows.x if rows.given is None else rows.given
        more = {} if rows.weights is None else {"sample_weight": rows.weights}
        return float(scorer(probe, x, rows.y, **more))

    def _count(self, idle: bool) -> None:
        """One more epoch without gain, or with one."""
        estimator = self.estimator
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if idle else 0

    def _goes_on(self) -> bool:
        """Whether the loss has not settled; an adaptive learning rate falls first."""
        estimator, optimizer = self.estimator, self.model.optimizer
        patience = estimator.n_iter_no_change
        if self.monitored is not None:
            patience = max(patience, _LEAST_STEPS / -(-len(self.rows) // self.size))
        if estimator._no_improvement_count <= patience:
            return True
        falls = estimator.solver == "sgd" and estimator.learning_rate == "adaptive"
        if falls and optimizer.learning_rate > 1e-6:
            optimizer.learning_rate = optimizer.learning_rate / 5.0
            estimator._no_improvement_count = 0
            if estimator.verbose:
                print(f"Setting learning rate to {optimizer.learning_rate:f}")
            return True
        if estimator.verbose:
            what = "Validation score" if estimator.early_stopping else "Training loss"
            print(
                f"{what} did not improve more than tol={estimator.tol:f} for "
                f"{estimator.n_iter_no_change} consecutive epochs. Stopping."
            )
        return False


def batch_rows(estimator: Any, count: int) -> int:
    """Rows of a batch."""
    if isinstance(estimator.batch_size, str):
        return min(200, count)
    return int(min(estimator.batch_size, count))


def warn_if_large(estimator: Any, count: int) -> None:
    """As scikit-learn does where a batch is larger than the data."""
    if not isinstance(estimator.batch_size, str) and estimator.batch_size > count:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped. "
            f"Received: batch_size={estimator.batch_size} for {count} samples",
            stacklevel=2,
        )


def _some(rows: Rows) -> Rows:
    """At most `_MONITORED` rows, evenly spaced."""
    if len(rows) <= _MONITORED:
        return rows
    return rows.take(np.linspace(0, len(rows) - 1, _MONITORED).astype(np.int64))


def _copy(arrays: list[Array], values: list[Array]) -> None:
    for array, value in zip(arrays, values, strict=True):
        np.copyto(array, value)


def _list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if hasattr(callbacks, "__iter__") else [callbacks]

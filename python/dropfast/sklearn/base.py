"""Layer 7: what classifiers and regressors share: data in, a network made and trained, outputs."""

from __future__ import annotations

import copy
from abc import ABCMeta, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_array, check_random_state, check_X_y
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from dropfast import layers, optimizers, regularizers
from dropfast.arrays import Array
from dropfast.models import Sequential
from dropfast.sklearn import frames, lbfgs, parameters, steps, stochastic
from dropfast.sklearn.guard import threads, unchanged_on_error
from dropfast.sklearn.rows import Rows, hold_out

# What a run of epochs finds out.
_LEARNED = (
    "loss_curve_",
    "clean_loss_curve_",
    "best_loss_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
    "calibration_scores_",
)


def _is_stochastic(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


class BaseMLP(BaseEstimator, metaclass=ABCMeta):
    """Base of the estimators; see `dropfast.sklearn.DropoutMLPClassifier`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = parameters.CONSTRAINTS

    def _keep(self, given: dict[str, Any]) -> None:
        """Store the arguments of `__init__` as they are."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    @abstractmethod
    def _targets(self, y: Array) -> Array:
        """Targets as the loss takes them."""

    @abstractmethod
    def _head(self) -> tuple[int, str, Any]:
        """Units and activation of the last layer, and the loss, for the targets seen last."""

    @abstractmethod
    def _loss_factors(self) -> tuple[float, float]:
        """By what losses are multiplied in training, and the share of it not shown."""

    @abstractmethod
    def _score_of(self, answers: Array, rows: Rows) -> float:
        """Score of the network's answers for rows."""

    @abstractmethod
    def _conformity(self, answers: Array, y: Array) -> Array:
        """How far the network's answers are from y, a row; larger is worse."""

    def _numeric(self) -> bool:
        """Whether targets are numbers."""
        return False

    def _prepare(self, y: Array, first: bool, incremental: bool) -> Array:
        """Checked y; a first fit learns from it what there is to know."""
        return y

    def _class_weights(self, y: Array, weights: Array | None) -> Array | None:
        """Weights of rows times those of their classes, or None where neither is given."""
        return weights

    def _strata(self, rows: Rows) -> Array | None:
        """What a held-out share keeps the proportions of."""
        return None

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Any:
        """Train; from the beginning, unless `warm_start` is set.

        Parameters
        ----------
        X
            Features (n_samples, n_features), dense or sparse, finite; scale them to about unit
            variance. Columns of a frame that are categories or text become one-hot. The network
            computes in float32 where X is float32, else in float64.
        y
            Targets (n_samples,) or (n_samples, n_outputs).
        sample_weight
            One weight a sample. A batch's loss is divided by the sum of its weights.
        X_val, y_val, sample_weight_val
            Samples to score after each epoch, instead of a share of X with `early_stopping`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is not accepted, or weights overflow. The estimator is as it
            was.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` epochs were too few for the loss to settle.
        """
        with unchanged_on_error(self):
            self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None,
        validation: tuple[Any, Any, Any] = (None, None, None),
        incremental: bool = False,
    ) -> None:
        first = not hasattr(self, "model_") or not (self.warm_start or incremental)
        parameters.hidden_activations(self)
        if self.solver == "lbfgs" and any(rate != 0.0 for rate in parameters.rates(self)):
            raise ValueError(
                "dropout and input_dropout must be 0 for solver='lbfgs', which needs a loss that "
                f"repeats. Received: dropout={self.dropout!r}, input_dropout={self.input_dropout!r}"
            )
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        rows = self._rows(X, y, sample_weight, first, incremental).counting()
        held_out = self._validation(*validation)
        if first or not incremental or not hasattr(self, "_random_state"):
            self._random_state = check_random_state(self.random_state)
        if first:
            self._begin(rows)
        if self.early_stopping and held_out is None and self.solver != "lbfgs":
            rows, held_out = hold_out(
                rows, self.validation_fraction, self._random_state, self._strata(rows)
            )
        with threads(self.n_threads):
            self._train(rows, held_out, incremental)
            if hasattr(self, "calibration_scores_"):
                del self.calibration_scores_
            if held_out is not None and self.solver != "lbfgs":
                self._calibrate(held_out)

    def _rows(
        self, X: Any, y: Any, sample_weight: ArrayLike | None, first: bool, incremental: bool
    ) -> Rows:
        """Checked data."""
        X, y = self._table(first, X, y)
        if first:
            self._dtype = X.dtype.name
        y = self._prepare(y, first, incremental)
        return self._weighted(X, y, sample_weight, "sample_weight")

    def _validation(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> Rows | None:
        """Checked validation data."""
        if X is None and y is None and sample_weight is None:
            return None
        if X is None or y is None:
            raise ValueError(
                "X_val and y_val must be given together. "
                f"Received: X_val={type(X).__name__}, y_val={type(y).__name__}"
            )
        given = X
        X, y = self._table(False, X, y)
        y = self._prepare(y, False, True)
        return self._weighted(X, y, sample_weight, "sample_weight_val", given)

    def _table(self, first: bool, *data: Any) -> Any:
        """X, and y if it is given, checked by scikit-learn; categorical columns one-hot."""
        if first:
            self._categories = frames.categories_of(data[0])
        settings: dict[str, Any] = {"dtype": (np.float64, np.float32)}
        settings["accept_sparse"] = ["csr", "csc"]
        if len(data) == 2:
            settings |= {"multi_output": True, "y_numeric": self._numeric()}
        if self._categories is None:
            return validate_data(self, *data, reset=first, **settings)
        frames.require(data[0])
        # What the estimator knows of its features is the frame's columns, not what they become.
        validate_data(self, data[0], reset=first, skip_check_array=True)
        x = frames.encoded(data[0], self._categories)
        check = check_array if len(data) == 1 else check_X_y
        return check(x, *data[1:], estimator=self, **settings)

    def _weighted(
        self, X: Any, y: Array, sample_weight: ArrayLike | None, name: str, given: Any = None
    ) -> Rows:
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=self._dtype)
            if (weights < 0.0).any():
                raise ValueError(f"{name} must be at least 0. Received: {weights.min()}")
        weights = self._class_weights(y, weights)
        weights = None if weights is None else weights.astype(self._dtype)
        X = X.tocsr().astype(self._dtype) if issparse(X) else steps.dense(X, self._dtype)
        return Rows(X, self._targets(y), y, weights, given)

    def _begin(self, rows: Rows) -> None:
        """A new network; nothing is known of it yet."""
        random = self._random_state
        # A copy: masks take nothing from the sequence that weights and shuffling draw from.
        seed = int(copy.deepcopy(random).randint(np.iinfo(np.int32).max))
        outputs, activation, _ = self._head()
        dtype = np.dtype(rows.x.dtype)
        self._penalty = regularizers.L2(0.0)
        stack = parameters.layers(self, outputs, activation, self._penalty)
        model = Sequential(stack, seed=seed, dtype=dtype)
        model.build((None, rows.x.shape[1]))
        names = [kind.name for kind in parameters.hidden_activations(self)]
        values = []
        dense = [layer for layer in stack if isinstance(layer, layers.Dense)]
        for layer, name in zip(dense, [*names, *(names[-1:] or [""])], strict=True):
            # Glorot and Bengio 2010, section 4.2.1; the factor for the sigmoid is scikit-learn's.
            factor = 2.0 if name == "sigmoid" else 6.0
            bound = np.sqrt(factor / sum(layer.kernel.shape))
            values.append(random.uniform(-bound, bound, layer.kernel.shape).astype(dtype))
            values.append(random.uniform(-bound, bound, layer.units).astype(dtype))
        model.set_weights(values)
        self.model_ = model
        self.n_outputs_, self.n_layers_ = outputs, len(dense) + 1
        self.out_activation_ = self._out_activation()
        self.n_iter_ = self.t_ = 0
        for name in _LEARNED:
            if name in vars(self):
                delattr(self, name)

    def _out_activation(self) -> str:
        return {"linear": "identity", "sigmoid": "logistic"}.get(self._head()[1], self._head()[1])

    def _train(self, rows: Rows, held_out: Rows | None, incremental: bool) -> None:
        """Train by the solver, with the penalty and the optimizer that fit the rows."""
        model, count = self.model_, len(rows)
        stochastic_solver = self.solver != "lbfgs"
        size = count
        if stochastic_solver:
            stochastic.warn_if_large(self, count)
            size = stochastic.batch_rows(self, count)
        mean = 1.0 if rows.weights is None else float(np.mean(rows.weights, dtype=np.float64))
        self._penalty.l2 = float(self.alpha) / (2.0 * size * mean)
        optimizer = parameters.optimizer(self)
        if incremental and model.compiled and type(model.optimizer) is type(optimizer):
            optimizer = model.optimizer
        model.compile(optimizer, self._head()[2], rows_per_mask=self.rows_per_mask)
        if not stochastic_solver:
            self._by_lbfgs(rows)
            return
        if not hasattr(self, "loss_curve_"):
            self._no_improvement_count = 0
            self.loss_curve_: list[float] = []
            self.clean_loss_curve_: list[float] = []
            scored = held_out is not None
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_: list[float] | None = [] if scored else None
            self.validation_loss_curve_: list[float] | None = [] if scored else None
            self.best_validation_score_ = -np.inf if scored else None
        stochastic.Training(self, rows, held_out, incremental).run()

    def _by_lbfgs(self, rows: Rows) -> None:
        scale, shown = self._loss_factors()
        weights = np.full(len(rows), scale)
        if rows.weights is not None:
            weights = steps.per_batch(rows.weights, np.arange(len(rows)), len(rows)) * scale
        self.loss_, self.n_iter_ = lbfgs.minimize(
            self, self.model_, rows.x, rows.targets, weights.astype(self.model_.dtype)
        )
        penalty = self.model_.penalty()
        self.loss_ = (self.loss_ - penalty) / shown + penalty
        self.model_.compile(optimizers.Adam(), self._head()[2], rows_per_mask=self.rows_per_mask)

    @property
    def coefs_(self) -> list[Array]:
        """Weights (inputs, units) of each layer: the network's own arrays."""
        return [layer.kernel for layer in self._dense()]

    @coefs_.setter
    def coefs_(self, values: Any) -> None:
        for layer, value in zip(self._dense(), values, strict=True):
            layer.kernel[...] = value

    @property
    def intercepts_(self) -> list[Array]:
        """Weights (units,) that are added in each layer: the network's own arrays."""
        return [layer.bias for layer in self._dense() if layer.bias is not None]

    @intercepts_.setter
    def intercepts_(self, values: Any) -> None:
        for layer, value in zip(self._dense(), values, strict=True):
            assert layer.bias is not None
            layer.bias[...] = value

    def _dense(self) -> list[layers.Dense]:
        if "model_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted yet")
        return [layer for layer in self.model_.layers if isinstance(layer, layers.Dense)]

    @property
    def _optimizer(self) -> optimizers.Optimizer:
        if "model_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted yet")
        return self.model_.optimizer

    def calibrate(self, X: Any, y: Any) -> Any:
        """Learn from rows that `fit` did not see how far predictions are off.

        `fit` does it by itself with the rows it holds out for `early_stopping`, or with `X_val`.
        Those have chosen the best epoch, so the errors on rows of their own are a little larger.

        Parameters
        ----------
        X, y
            Some hundred rows of the kind that will be predicted.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data is not accepted; the calibration is as it was.
        """
        check_is_fitted(self)
        rows = self._validation(X, y, None)
        if rows is None:
            raise ValueError("X and y must be given. Received: X=None, y=None")
        self._calibrate(rows)
        return self

    def _calibrate(self, rows: Rows) -> None:
        answers = steps.outputs(self.model_, rows.x)
        self.calibration_scores_ = np.sort(self._conformity(answers, rows.y), axis=0)

    def predict_mc(self, X: Any, samples: int = 100) -> tuple[Array, Array]:
        """Predict with dropout left on, many times: mean and spread tell how sure the model is.

        Parameters
        ----------
        X
            Features (n_samples, n_features).
        samples
            Number of passes, each with masks of its own; the same ones in every call.

        Returns
        -------
        mean, std : ndarray
            Of the passes' outputs: probabilities of a classifier, predictions of a regressor.
        """
        features = steps.dense(self._features(X), self.model_.dtype)
        return self._moments(features, samples)

    def _moments(self, features: Array, samples: int) -> tuple[Array, Array]:
        mean, std = self.model_.predict_mc(features, samples=samples)
        return mean, std

    def _features(self, X: Any) -> Any:
        """Features for a prediction."""
        check_is_fitted(self)
        return self._table(False, X)

    def _answers(self, X: Any) -> Array:
        """Outputs of the network without dropout."""
        found = self._features(X)
        found = found.tocsr() if issparse(found) else found
        with threads(self.n_threads):
            return steps.outputs(self.model_, found)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

"""Layer 7: what classifier and regressor share: hyperparameters, and training by fit."""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from dropfast import callbacks
from dropfast.arrays import Array
from dropfast.models import Sequential
from dropfast.sklearn import settings


class DropoutMLP(BaseEstimator, metaclass=ABCMeta):
    """Base of the estimators; see `dropfast.sklearn.DropoutMLPClassifier`."""

    # Loss, activation of the outputs, and metric that early stopping looks at.
    _loss: ClassVar[str]
    _output_activation: ClassVar[str]
    _metric: ClassVar[str]

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        dropout: Any = 0.5,
        input_dropout: float = 0.0,
        max_norm: float | None = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.max_norm = max_norm
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    @abstractmethod
    def _targets(self, y: Array, classes: ArrayLike | None) -> tuple[Array, int]:
        """Targets as the loss takes them, and the number of outputs.

        Classes that are not given are those of y.
        """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Train from the beginning.

        Parameters
        ----------
        X
            Features (n_samples, n_features), finite; scale them to about unit variance.
        y
            Targets (n_samples,); for the regressor also (n_samples, n_outputs).
        sample_weight
            One weight a sample.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a hyperparameter or the data is outside what is accepted.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` epochs were too few for the loss to settle.
        """
        settings.check(self)
        X, targets, outputs, weights = self._data(X, y, sample_weight)
        random = check_random_state(self.random_state)
        seed = int(random.randint(np.iinfo(np.int32).max))
        held_out = None
        if self.early_stopping:
            X, targets, weights, held_out = self._hold_out(X, targets, weights, seed)
        self._make(outputs, len(X), seed)
        stop = callbacks.EarlyStopping(
            f"val_{self._metric}" if self.early_stopping else "loss",
            min_delta=self.tol,
            patience=self.n_iter_no_change,
            restore_best_weights=bool(self.early_stopping),
        )
        self._train(X, targets, weights, self.max_iter, held_out, [stop])
        if stop.stopped_epoch == 0 and self.max_iter > 1:
            warnings.warn(
                f"training ended after max_iter={self.max_iter} epochs, before the loss settled",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        classes: ArrayLike | None = None,
    ) -> None:
        """One more epoch."""
        settings.check(self)
        if self.early_stopping:
            raise ValueError("early_stopping must be False for partial_fit. Received: True")
        first = not hasattr(self, "model_")
        X, targets, outputs, weights = self._data(X, y, sample_weight, first, classes)
        if first:
            random = check_random_state(self.random_state)
            self._make(outputs, len(X), int(random.randint(np.iinfo(np.int32).max)))
        self._train(X, targets, weights, self.n_iter_ + 1, None, [])

    def predict_mc(self, X: ArrayLike, samples: int = 100) -> tuple[Array, Array]:
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
        X = self._features(X)
        mean, std = self.model_.predict_mc(X, samples=samples)
        return self._shaped(mean), self._shaped(std)

    def _shaped(self, outputs: Array) -> Array:
        """Outputs as users see them."""
        return outputs

    def _features(self, X: ArrayLike) -> Array:
        """Features for a prediction."""
        check_is_fitted(self)
        found: Array = validate_data(self, X, dtype=np.float32, reset=False)
        return found

    def _data(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        reset: bool = True,
        classes: ArrayLike | None = None,
    ) -> tuple[Array, Array, int, Array | None]:
        """Checked features, targets, number of outputs, weights."""
        checked: tuple[Array, Array] = validate_data(
            self, X, y, dtype=np.float32, multi_output=True, reset=reset, y_numeric=self._numeric()
        )
        targets, outputs = self._targets(checked[1], classes)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, checked[0])
            if (weights < 0.0).any():
                raise ValueError(f"sample_weight must be at least 0. Received: {weights.min()}")
        return checked[0], targets, outputs, weights

    def _numeric(self) -> bool:
        """Whether targets are numbers."""
        return False

    def _hold_out(
        self, X: Array, targets: Array, weights: Array | None, seed: int
    ) -> tuple[Array, Array, Array | None, tuple[Array, ...]]:
        """Set a share of the samples aside for early stopping."""
        rows = np.arange(len(X))
        kept, aside = train_test_split(
            rows,
            test_size=self.validation_fraction,
            random_state=seed,
            stratify=None if self._numeric() else targets,
        )
        parts = (X, targets) if weights is None else (X, targets, weights)
        train = [part[kept] for part in parts]
        return (
            train[0],
            train[1],
            None if weights is None else train[2],
            tuple(part[aside] for part in parts),
        )

    def _make(self, outputs: int, rows: int, seed: int) -> None:
        """A new network and its optimizer; nothing is known of it yet."""
        size = settings.batch_rows(self, rows)
        model = Sequential(settings.layers(self, outputs, self._output_activation, size), seed=seed)
        model.compile(settings.optimizer(self), self._loss, metrics=[self._metric])
        self.model_ = model
        self.n_outputs_, self.n_layers_ = outputs, len(settings.hidden_units(self)) + 2
        self.out_activation_ = self._output_activation
        self.n_iter_ = 0
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None

    def _train(
        self,
        X: Array,
        targets: Array,
        weights: Array | None,
        epochs: int,
        held_out: tuple[Array, ...] | None,
        hooks: list[callbacks.Callback],
    ) -> None:
        """Epochs up to number `epochs`, and what is known after them."""
        history = self.model_.fit(
            X,
            targets,
            batch_size=settings.batch_rows(self, len(X)),
            epochs=epochs,
            verbose=2 if self.verbose else 0,
            callbacks=hooks,
            validation_data=held_out,
            shuffle=bool(self.shuffle),
            sample_weight=weights,
            initial_epoch=self.n_iter_,
        ).history
        self.loss_curve_ += history["loss"]
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_)
        self.n_iter_ = len(self.loss_curve_)
        if self.validation_scores_ is not None:
            self.validation_scores_ += history[f"val_{self._metric}"]
            self.best_validation_score_ = max(self.validation_scores_)

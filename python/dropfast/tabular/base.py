"""Layer 7: networks for tables: an encoder, and an ensemble of networks trained on its columns.

The recipe follows RealMLP (Holzmüller, Grinsztajn and Steinwart 2024) with what the native engine
has: robust scaling and smooth clipping, standardised and clamped targets, label smoothing, decayed
weights, a learning rate and a dropout rate that fall to zero, the best epoch kept.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from dropfast import activations, layers, optimizers, schedules
from dropfast.arrays import Array
from dropfast.callbacks import EarlyStopping
from dropfast.models import Sequential
from dropfast.sklearn.guard import threads, unchanged_on_error
from dropfast.tabular.encoder import TableEncoder

_SHARE = [Interval(Real, 0, 1, closed="left")]
_COUNT = [Interval(Integral, 1, None, closed="left")]


class TabularMLP(BaseEstimator, metaclass=ABCMeta):
    """Base of the estimators; see `dropfast.tabular.TabularMLPClassifier`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", *_COUNT],
        "activation": [StrOptions(set(activations.NAMES) - {"softmax"})],
        "dropout": _SHARE,
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), *_COUNT],
        "max_iter": _COUNT,
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_models": _COUNT,
        "periodic": [Interval(Integral, 0, None, closed="left")],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "max_categories": _COUNT,
        "random_state": ["random_state"],
        "n_threads": [*_COUNT, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256),
        activation: str = "silu",
        *,
        dropout: float = 0.15,
        learning_rate_init: float = 0.003,
        weight_decay: float = 0.01,
        batch_size: int | str = "auto",
        max_iter: int = 100,
        validation_fraction: float = 0.15,
        n_models: int = 1,
        periodic: int = 0,
        categorical_features: Any = "from_dtype",
        max_categories: int = 100,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.n_models = n_models
        self.periodic = periodic
        self.categorical_features = categorical_features
        self.max_categories = max_categories
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @abstractmethod
    def _prepare(self, y: Any) -> Array:
        """Checked y as the loss takes it; what is needed to go back is stored."""

    @abstractmethod
    def _head(self) -> tuple[int, str, Any]:
        """Units and activation of the last layer, and the loss."""

    @abstractmethod
    def _strata(self, targets: Array) -> Array | None:
        """Classes whose shares held-out rows keep."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Any:
        """Train on a table.

        Parameters
        ----------
        X
            DataFrame or array (n_samples, n_features). Columns that are no numbers become
            categories; missing values are taken as they are.
        y
            Targets (n_samples,).
        sample_weight
            One weight a sample.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data is not accepted; the estimator is as it was.
        """
        with unchanged_on_error(self), threads(self.n_threads):
            self._fit(X, y, sample_weight)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> None:
        random = check_random_state(self.random_state)
        seeds = [int(seed) for seed in random.randint(np.iinfo(np.int32).max, size=self.n_models)]
        encoder = TableEncoder(
            self.categorical_features, self.max_categories, self.periodic, seeds[0]
        )
        x = encoder.fit(X).transform(X)
        targets = self._prepare(y)
        if len(targets) != len(x):
            raise ValueError(
                f"y must have as many rows as X, {len(x)}. Received: {len(targets)} rows"
            )
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, x, dtype=np.float32)
            if (weights < 0.0).any() or not weights.any():
                raise ValueError(
                    "sample_weight must be at least 0, and not 0 for all samples. "
                    f"Received: {weights.min()} to {weights.max()}"
                )
            weights = weights / weights.mean(dtype=np.float64).astype(np.float32)
        self.encoder_ = encoder
        self.n_features_in_ = len(encoder._plans)
        if encoder.names is not None and all(isinstance(name, str) for name in encoder.names):
            self.feature_names_in_ = np.array(encoder.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        fitted = [self._member(x, targets, weights, seed) for seed in seeds]
        self.models_ = [model for model, _ in fitted]
        self.validation_loss_curves_ = [curve for _, curve in fitted]
        self.best_iters_ = [int(np.argmin(curve)) + 1 for curve in self.validation_loss_curves_]

    def _member(
        self, x: Array, targets: Array, weights: Array | None, seed: int
    ) -> tuple[Sequential, list[float]]:
        """One network, trained on its own share of the rows."""
        train, aside = self._split(targets, seed)
        size = self._batch_rows(len(train))
        steps = -(-len(train) // size) * self.max_iter
        units, activation, loss = self._head()
        given = self.hidden_layer_sizes
        hidden = [int(size) for size in (given if hasattr(given, "__iter__") else [given])]
        rate: Any = self.dropout
        if rate:
            rate = schedules.Cosine(float(rate), 0.0, over=self.max_iter)
        stack: list[Any] = []
        for width in hidden:
            stack.append(layers.Dense(width, self.activation, kernel_initializer="he_normal"))
            if rate:
                stack.append(layers.Dropout(rate))
        stack.append(layers.Dense(units, activation))
        model = Sequential(stack, seed=seed)
        decay = optimizers.schedules.CosineDecay(float(self.learning_rate_init), steps)
        optimizer = optimizers.AdamW(decay, float(self.weight_decay), beta_2=0.95)
        model.compile(optimizer, loss)
        held_out: tuple[Array, ...] = (x[aside], targets[aside])
        if weights is not None:
            held_out = (*held_out, weights[aside])
        best = EarlyStopping("val_loss", patience=self.max_iter, restore_best_weights=True)
        try:
            history = model.fit(
                x[train],
                targets[train],
                batch_size=size,
                epochs=self.max_iter,
                verbose=2 if self.verbose else 0,
                validation_data=held_out,
                sample_weight=None if weights is None else weights[train],
                callbacks=[best],
            ).history
        except FloatingPointError as error:
            raise ValueError(
                "training diverged: lower learning_rate_init. "
                f"Received: learning_rate_init={self.learning_rate_init}"
            ) from error
        curve: list[float] = history["val_loss"]
        if int(np.argmin(curve)) + 1 < len(curve) and best.best_weights is not None:
            model.set_weights(best.best_weights)
        return model, curve

    def _split(self, targets: Array, seed: int) -> tuple[Array, Array]:
        count = len(targets)
        if count < 4:
            return np.arange(count), np.arange(count)
        strata = self._strata(targets)
        if strata is not None:
            counts = np.unique(strata, return_counts=True)[1]
            aside = int(np.ceil(self.validation_fraction * count))
            if counts.min() < 2 or len(counts) > min(aside, count - aside):
                strata = None
        train, aside_rows = train_test_split(
            np.arange(count),
            test_size=self.validation_fraction,
            random_state=seed,
            stratify=strata,
        )
        return train, aside_rows

    def _batch_rows(self, count: int) -> int:
        if not isinstance(self.batch_size, str):
            return int(min(self.batch_size, count))
        # Some twenty steps an epoch, in batches of 32 to 256 rows.
        return min(count, 1 << int(np.clip(np.log2(max(count, 1) / 20), 5, 8)))

    def _answers(self, X: Any) -> Array:
        """Mean of the networks' outputs, float64."""
        check_is_fitted(self)
        x = self.encoder_.transform(X)
        with threads(self.n_threads):
            answers = [model.predict(x).astype(np.float64) for model in self.models_]
        return np.asarray(np.mean(answers, axis=0))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

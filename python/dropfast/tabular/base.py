"""Layer 7: networks for tables: an encoder, and an ensemble of networks trained on its columns.

The recipe follows RealMLP (Holzmüller, Grinsztajn and Steinwart 2024): robust scaling and smooth
clipping, standardised and clamped targets, label smoothing, decayed weights, a learning rate and a
dropout rate that fall to zero, the best epoch kept.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d
from threadpoolctl import threadpool_limits

from dropfast import activations
from dropfast.arrays import Array
from dropfast.sklearn import conformal
from dropfast.sklearn.guard import threads, unchanged_on_error
from dropfast.tabular import fitting
from dropfast.tabular.encoder import TableEncoder
from dropfast.tabular.shapes import SCHEDULES

_SHARE = [Interval(Real, 0, 1, closed="left")]
_COUNT = [Interval(Integral, 1, None, closed="left")]
_NOT_NEGATIVE = [Interval(Real, 0, None, closed="left")]
_SHAPE = [StrOptions(set(SCHEDULES))]


class TableEstimator(BaseEstimator, metaclass=ABCMeta):
    """Base of the estimators; see `dropfast.tabular.TabularMLPClassifier`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", *_COUNT],
        "activation": [StrOptions(set(activations.NAMES) - {"softmax"})],
        "n_members": _COUNT,
        "embedding": [StrOptions({"periodic", "piecewise_linear"}), None],
        "scaling_layer": ["boolean"],
        "parametric_activation": ["boolean"],
        "dropout": _SHARE,
        "dropout_schedule": _SHAPE,
        "label_smoothing": _SHARE,
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "learning_rate_schedule": _SHAPE,
        "learning_rate_factors": [dict, None],
        "weight_decay": _NOT_NEGATIVE,
        "weight_decay_schedule": _SHAPE,
        "batch_size": [StrOptions({"auto"}), *_COUNT],
        "max_iter": _COUNT,
        "n_iter_no_change": [*_COUNT, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "calibration_fraction": _SHARE,
        "bagging": ["boolean"],
        "n_models": _COUNT,
        "periodic": [Interval(Integral, 0, None, closed="left")],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "max_categories": _COUNT,
        "random_state": ["random_state"],
        "n_threads": [*_COUNT, None],
        "verbose": ["verbose"],
    }

    def _keep(self, given: dict[str, Any]) -> None:
        """Store the arguments of `__init__` as they are."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    @abstractmethod
    def _prepare(self, y: Any) -> Array:
        """Checked y as the loss takes it; what is needed to go back is stored."""

    @abstractmethod
    def _checked(self, y: Any) -> Array:
        """Y of rows to calibrate with, of the kind that `fit` saw."""

    @abstractmethod
    def _head(self) -> tuple[int, str, Any]:
        """Units and activation of the last layer, and the loss."""

    @abstractmethod
    def _strata(self, targets: Array) -> Array | None:
        """Classes whose shares held-out rows keep."""

    @abstractmethod
    def _conformity(self, answers: Array, targets: Array) -> Array:
        """How far answers are from targets, a row; larger is worse."""

    def _smoothing(self) -> float:
        """Share of a target that is spread over all classes."""
        return 0.0

    def _of_parts(self) -> bool:
        """Whether the network has what the native engine has not."""
        return bool(
            self.embedding is not None
            or self.scaling_layer
            or self.parametric_activation
            or self.learning_rate_factors
            or (self.weight_decay and self.weight_decay_schedule != "constant")
        )

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
        with unchanged_on_error(self), threads(self.n_threads), threadpool_limits(self.n_threads):
            self._check_parameters()
            if not self.calibration_fraction:
                self._fit(X, y, sample_weight)
                return self
            train, aside = self._calibration_rows(X, y)
            weights = None if sample_weight is None else _safe_indexing(sample_weight, train)
            self._fit(_safe_indexing(X, train), _safe_indexing(y, train), weights)
            self.calibrate(_safe_indexing(X, aside), _safe_indexing(y, aside))
        return self

    def _calibration_rows(self, X: Any, y: Any) -> tuple[Array, Array]:
        """Rows to fit on, and rows for calibration alone, all of whose classes are fitted on."""
        check_consistent_length(X, y)
        labels = column_or_1d(y, warn=True)
        shuffled = check_random_state(self.random_state).permutation(len(labels))
        count = int(np.ceil(self.calibration_fraction * len(labels)))
        if count >= len(labels):
            raise ValueError(
                "calibration_fraction must leave a sample to train on. "
                f"Received: calibration_fraction={self.calibration_fraction} of {len(labels)}"
            )
        aside, train = shuffled[:count], shuffled[count:]
        if is_classifier(self):
            seen = np.isin(labels[aside], labels[train])
            aside, train = aside[seen], np.concatenate([train, aside[~seen]])
        return train, aside

    def _check_parameters(self) -> None:
        """What single constraints don't say."""
        for name, value in (self.learning_rate_factors or {}).items():
            if name not in fitting.FACTORS:
                raise ValueError(
                    f"learning_rate_factors must have keys of {sorted(fitting.FACTORS)}. "
                    f"Received: {name!r}"
                )
            if isinstance(value, bool) or not isinstance(value, Real) or not float(value) >= 0.0:
                raise ValueError(
                    "learning_rate_factors must hold numbers of at least 0. "
                    f"Received: {name}={value!r}"
                )
        given = self.hidden_layer_sizes
        for units in given if hasattr(given, "__iter__") else [given]:
            if isinstance(units, bool) or not isinstance(units, Integral) or units < 1:
                raise ValueError(
                    "hidden_layer_sizes must hold positive integers. "
                    f"Received: hidden_layer_sizes={given!r}"
                )

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
        splits = [
            fitting.Split(x, targets, weights, train, aside, encoder.numeric)
            for train, aside in self._splits(targets, seeds)
        ]
        fitted = [self._member(*pair) for pair in zip(splits, seeds, strict=True)]
        self.models_ = [model for model, _ in fitted]
        self.validation_loss_curves_ = [curve for _, curve in fitted]
        self.best_iters_ = [int(np.argmin(curve)) + 1 for curve in self.validation_loss_curves_]
        if hasattr(self, "calibration_scores_"):
            del self.calibration_scores_
        if len(targets) >= 4:
            self._calibrate(
                [
                    (model.predict(x[split.aside]), targets[split.aside])
                    for model, split in zip(self.models_, splits, strict=True)
                ]
            )

    def _calibrate(self, pairs: list[tuple[Array, Array]]) -> None:
        """Learn from answers and targets of rows held out how far answers are off."""
        found = [self._conformity(np.asarray(a, np.float64), y) for a, y in pairs]
        self.calibration_scores_ = np.sort(np.concatenate(found))

    def calibrate(self, X: Any, y: Any) -> Any:
        """Learn from rows that `fit` did not see how far predictions are off.

        `fit` does it by itself: with `calibration_fraction` of the samples, or, where that is 0,
        with the rows that each network held out. Those have chosen the best epoch, too: where they
        are few, intervals are too short.

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
        answers, targets = self._answers(X), self._checked(y)
        if len(answers) != len(targets):
            raise ValueError(
                f"y must have as many rows as X, {len(answers)}. Received: {len(targets)} rows"
            )
        self._calibrate([(answers, targets)])
        return self

    def _limit(self, coverage: float) -> float:
        check_is_fitted(self)
        return float(conformal.threshold(conformal.scores_of(self), coverage))

    def _member(self, split: fitting.Split, seed: int) -> tuple[Any, list[float]]:
        """One network, trained on its own share of the rows."""
        size = self._batch_rows(len(split.train))
        made = fitting.of_parts if self._of_parts() else fitting.native
        try:
            return made(self, split, size, seed, self._head())
        except FloatingPointError as error:
            raise ValueError(
                "training diverged: lower learning_rate_init. "
                f"Received: learning_rate_init={self.learning_rate_init}"
            ) from error

    def _splits(self, targets: Array, seeds: list[int]) -> list[tuple[Array, Array]]:
        """Rows to train on and rows held out, of each network."""
        count, numbers = len(targets), np.arange(len(targets))
        if count < 4:
            return [(numbers, numbers)] * len(seeds)
        strata = self._strata(targets)
        rarest = count if strata is None else np.unique(strata, return_counts=True)[1].min()
        if self.bagging:
            if not 2 <= len(seeds) <= count:
                raise ValueError(
                    "n_models must be from 2 to the number of samples for bagging=True. "
                    f"Received: n_models={len(seeds)} for {count} samples"
                )
            stratified = strata is not None and rarest >= len(seeds)
            kind = StratifiedKFold if stratified else KFold
            folds = kind(len(seeds), shuffle=True, random_state=seeds[0])
            return list(folds.split(numbers, strata if stratified else None))
        aside = int(np.ceil(self.validation_fraction * count))
        if strata is not None:
            classes = len(np.unique(strata))
            if rarest < 2 or classes > min(aside, count - aside):
                strata = None
        return [
            tuple(
                train_test_split(
                    numbers, test_size=self.validation_fraction, random_state=seed, stratify=strata
                )
            )
            for seed in seeds
        ]

    def _batch_rows(self, count: int) -> int:
        if not isinstance(self.batch_size, str):
            return int(min(self.batch_size, count))
        # Some twenty steps an epoch, in batches of 32 to 256 rows.
        return min(count, 1 << int(np.clip(np.log2(max(count, 1) / 20), 5, 8)))

    def _answers(self, X: Any) -> Array:
        """Mean of the networks' outputs, float64."""
        check_is_fitted(self)
        x = self.encoder_.transform(X)
        with threads(self.n_threads), threadpool_limits(self.n_threads):
            answers = [model.predict(x).astype(np.float64) for model in self.models_]
        return np.asarray(np.mean(answers, axis=0))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

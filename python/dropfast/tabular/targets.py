"""Layer 7: what classifiers and regressors for tables do with targets and answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from dropfast import losses
from dropfast.arrays import Array
from dropfast.tabular.base import TableEstimator


class TableClassifier(ClassifierMixin, TableEstimator):
    """Base of the classifiers; see `dropfast.tabular.TabularMLPClassifier`."""

    def _prepare(self, y: Any) -> Array:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        return labels.astype(np.int64)

    def _checked(self, y: Any) -> Array:
        y = column_or_1d(y, warn=True)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y must hold the classes of fit, {self.classes_.tolist()}. "
                f"Received: {unknown.tolist()}"
            )
        return np.asarray(np.searchsorted(self.classes_, y))

    def _head(self) -> tuple[int, str, Any]:
        loss = losses.SparseCategoricalCrossentropy(label_smoothing=self._smoothing())
        # A second unit where there is one class: softmax over one has nothing to learn.
        return max(len(self.classes_), 2), "softmax", loss

    def _smoothing(self) -> float:
        return float(self.label_smoothing)

    def _strata(self, targets: Array) -> Array | None:
        return targets

    def _conformity(self, answers: Array, targets: Array) -> Array:
        found: Array = 1.0 - answers[np.arange(len(targets)), targets]
        return found

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n_samples, n_classes)."""
        answers = self._answers(X)
        return np.ones((len(answers), 1)) if len(self.classes_) == 1 else answers

    def predict(self, X: Any) -> Array:
        """The most probable class of each sample."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_set(self, X: Any, coverage: float = 0.9) -> Array:
        """Classes among which the right one is with a probability of at least `coverage`.

        Parameters
        ----------
        X
            Table of n_samples rows.
        coverage
            In (0, 1).

        Returns
        -------
        ndarray
            Bool (n_samples, n_classes), columns as `classes_`; the most probable class is always
            in.

        Raises
        ------
        ValueError
            If the coverage is outside its range or there was no calibration (see `calibrate`).
        """
        limit, probabilities = self._limit(coverage), self.predict_proba(X)
        found: Array = 1.0 - probabilities <= limit
        found[np.arange(len(found)), probabilities.argmax(axis=1)] = True
        return found


class TableRegressor(RegressorMixin, TableEstimator):
    """Base of the regressors; see `dropfast.tabular.TabularMLPRegressor`."""

    def _prepare(self, y: Any) -> Array:
        y = column_or_1d(y, warn=True).astype(np.float64)
        if len(y) and not np.isfinite(y).all():
            raise ValueError("Input y contains NaN or infinity. Received: y that is not finite")
        self._center, spread = float(y.mean()), float(y.std())
        self._spread = spread if spread > 0.0 else 1.0
        self._low, self._high = float(y.min()), float(y.max())
        return self._checked(y).astype(np.float32)

    def _checked(self, y: Any) -> Array:
        y = column_or_1d(y, warn=True).astype(np.float64)
        if not np.isfinite(y).all():
            raise ValueError("Input y contains NaN or infinity. Received: y that is not finite")
        scaled: Array = ((y - self._center) / self._spread)[:, None]
        return scaled

    def _head(self) -> tuple[int, str, Any]:
        return 1, "linear", losses.MeanSquaredError()

    def _strata(self, targets: Array) -> Array | None:
        return None

    def _conformity(self, answers: Array, targets: Array) -> Array:
        y = targets[:, 0].astype(np.float64) * self._spread + self._center
        return np.asarray(np.abs(self._decoded(answers) - y))

    def _decoded(self, answers: Array) -> Array:
        found = answers[:, 0] * self._spread + self._center
        return np.asarray(np.clip(found, self._low, self._high))

    def predict(self, X: Any) -> Array:
        """Predictions (n_samples,)."""
        return self._decoded(self._answers(X))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Intervals that hold the target with a probability of at least `coverage`.

        Parameters
        ----------
        X
            Table of n_samples rows.
        coverage
            In (0, 1).

        Returns
        -------
        lower, upper : ndarray
            Each (n_samples,); as wide for all samples.

        Raises
        ------
        ValueError
            If the coverage is outside its range or there was no calibration (see `calibrate`).
        """
        check_is_fitted(self)
        half, middle = self._limit(coverage), self.predict(X)
        return middle - half, middle + half

"""Layer 7: TabularMLPClassifier and TabularMLPRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from dropfast import losses
from dropfast.arrays import Array
from dropfast.tabular.base import TabularMLP

# Share of the target that is spread over all classes; RealMLP's.
_SMOOTHING = 0.1


class TabularMLPClassifier(ClassifierMixin, TabularMLP):
    """Multilayer perceptron for tables with numbers, categories and missing values.

    Parameters
    ----------
    hidden_layer_sizes, activation
        Units of the hidden layers; their activation.
    dropout
        Probability to drop a hidden unit in the first epoch; it falls to 0 along a cosine.
    learning_rate_init
        Learning rate of the first step; it falls to 0 along a cosine.
    weight_decay
        Share by which weights shrink in each step, times the learning rate.
    batch_size
        Rows of a batch; "auto" is between 32 and 256, for about twenty steps an epoch.
    max_iter
        Number of epochs. The weights kept are those of the epoch with the least validation loss.
    validation_fraction
        Share of the samples that is held out for that; each network draws its own.
    n_models
        Number of networks whose answers are averaged.
    periodic
        Cosines, of frequencies drawn once, that are added for each numeric column; they can help
        where the target is jagged, and hurt small tables.
    categorical_features
        "from_dtype": columns of dtype category, string, object or bool; or their names or numbers.
    max_categories
        Largest number of columns that a categorical column becomes.
    random_state
        Seed of everything.
    n_threads
        Threads while it trains and predicts; None is `dropfast.get_num_threads()`.
    verbose
        Whether to print a line an epoch.

    Attributes
    ----------
    classes_
        The classes, sorted.
    models_, encoder_
        The networks; what turns tables into their inputs.
    validation_loss_curves_, best_iters_
        Validation losses of each network, and the epochs kept.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.tabular import TabularMLPClassifier
    >>> rng = np.random.default_rng(0)
    >>> table = np.empty((300, 2), dtype=object)
    >>> table[:, 0] = rng.choice(["red", "green", "blue"], 300)
    >>> table[:, 1] = rng.normal(size=300)
    >>> y = np.where((table[:, 0] == "red") == (table[:, 1] > 0), "yes", "no")
    >>> model = TabularMLPClassifier(32, max_iter=40, categorical_features=[0], random_state=0)
    >>> model.fit(table, y).score(table, y) > 0.9
    True
    """

    def _prepare(self, y: Any) -> Array:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        return labels.astype(np.int64)

    def _head(self) -> tuple[int, str, Any]:
        loss = losses.SparseCategoricalCrossentropy(label_smoothing=_SMOOTHING)
        # A second unit where there is one class: softmax over one has nothing to learn.
        return max(len(self.classes_), 2), "softmax", loss

    def _strata(self, targets: Array) -> Array | None:
        return targets

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n_samples, n_classes)."""
        answers = self._answers(X)
        return np.ones((len(answers), 1)) if len(self.classes_) == 1 else answers

    def predict(self, X: Any) -> Array:
        """The most probable class of each sample."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class TabularMLPRegressor(RegressorMixin, TabularMLP):
    """Multilayer perceptron for tables with numbers, categories and missing values.

    Targets are standardised, and predictions don't leave the range of the targets of `fit`.
    Parameters and attributes are those of `TabularMLPClassifier`, without classes.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.tabular import TabularMLPRegressor
    >>> x = np.random.default_rng(0).normal(size=(400, 3))
    >>> x[::10, 2] = np.nan  # missing values
    >>> y = x[:, 0] * np.abs(x[:, 1])
    >>> TabularMLPRegressor(64, max_iter=60, random_state=0).fit(x, y).score(x, y) > 0.5
    True
    """

    def _prepare(self, y: Any) -> Array:
        y = column_or_1d(y, warn=True).astype(np.float64)
        if len(y) and not np.isfinite(y).all():
            raise ValueError("Input y contains NaN or infinity. Received: y that is not finite")
        self._center, spread = float(y.mean()), float(y.std())
        self._spread = spread if spread > 0.0 else 1.0
        self._low, self._high = float(y.min()), float(y.max())
        scaled: Array = ((y - self._center) / self._spread).astype(np.float32)[:, None]
        return scaled

    def _head(self) -> tuple[int, str, Any]:
        return 1, "linear", losses.MeanSquaredError()

    def _strata(self, targets: Array) -> Array | None:
        return None

    def predict(self, X: Any) -> Array:
        """Predictions (n_samples,)."""
        answers = self._answers(X)[:, 0] * self._spread + self._center
        return np.asarray(np.clip(answers, self._low, self._high))

"""Layer 7: DropoutMLPRegressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from dropfast.arrays import Array
from dropfast.sklearn.base import DropoutMLP


class DropoutMLPRegressor(RegressorMixin, DropoutMLP):
    """Multilayer perceptron with dropout that minimises the mean squared error.

    Parameters
    ----------
    hidden_layer_sizes, activation, dropout, input_dropout, max_norm, solver, alpha, batch_size
        As `DropoutMLPClassifier`.
    learning_rate_init, max_iter, shuffle, random_state, tol, verbose, momentum, nesterovs_momentum
        As `DropoutMLPClassifier`.
    early_stopping, validation_fraction, n_iter_no_change
        As `DropoutMLPClassifier`.

    Attributes
    ----------
    model_
        The network, a `dropfast.Sequential`.
    n_features_in_, feature_names_in_
        What `fit` saw; names only where X has them.
    n_iter_, n_layers_, n_outputs_, out_activation_
        Epochs done; layers with inputs and outputs; columns of y; "linear".
    loss_curve_, loss_, best_loss_
        Training losses, with dropout on, of all epochs; the last; the least. The loss is the mean
        squared error, twice the loss of scikit-learn's MLPRegressor.
    validation_scores_, best_validation_score_
        R squared on what was set aside, with `early_stopping`.

    Examples
    --------
    >>> import dropfast as df
    >>> from dropfast.sklearn import DropoutMLPRegressor
    >>> x, y = df.datasets.noisy_sine(300, seed=0)
    >>> model = DropoutMLPRegressor(64, "tanh", dropout=0.05, solver="adam", random_state=0)
    >>> model.set_params(learning_rate_init=0.02, batch_size=30, n_iter_no_change=30)
    DropoutMLPRegressor(...)
    >>> model.fit(x, y.ravel()).score(x, y) > 0.5
    True
    >>> mean, std = model.predict_mc(x[:5], samples=20)
    >>> mean.shape, std.shape
    ((5,), (5,))
    """

    _loss = "mean_squared_error"
    _output_activation = "linear"
    _metric = "r2_score"

    def _numeric(self) -> bool:
        return True

    def _targets(self, y: Array, classes: ArrayLike | None) -> tuple[Array, int]:
        self._flat = y.ndim == 1
        targets = y.reshape(len(y), -1).astype(np.float32)
        if not np.isfinite(targets).all():
            raise ValueError("y must be finite in float32. Received: a larger value")
        return targets, targets.shape[1]

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> DropoutMLPRegressor:
        """Train for one epoch on these samples.

        Parameters
        ----------
        X, y, sample_weight
            As `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data is not accepted.
        """
        self._partial_fit(X, y, sample_weight)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predictions in the shape of y, float64; dropout is off."""
        features = self._features(X)
        return self._shaped(self.model_.predict(features).astype(np.float64))

    def _shaped(self, outputs: Array) -> Array:
        return outputs[:, 0] if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

"""Layer 7: DropoutMLPRegressor, and MLPRegressor with scikit-learn's defaults."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d

from dropfast import losses
from dropfast.arrays import Array
from dropfast.sklearn import conformal, scores, steps
from dropfast.sklearn.base import BaseMLP, _is_stochastic
from dropfast.sklearn.guard import unchanged_on_error
from dropfast.sklearn.losses import LogPoisson
from dropfast.sklearn.rows import Rows

_LOSSES = ("squared_error", "poisson", "absolute_error", "huber", "quantile", "gaussian_nll")


class DropoutMLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron with dropout for numbers.

    Parameters, attributes and methods of sklearn.neural_network.MLPRegressor have its names and
    defaults, and mean the same. Those that are not listed are `DropoutMLPClassifier`'s.

    Parameters
    ----------
    loss
        "squared_error", halved as in scikit-learn; "poisson", for counts, whose network answers
        with logarithms; "absolute_error"; "huber"; "quantile"; "gaussian_nll", which learns a
        variance for each sample beside the mean (see `predict_variance`).
    quantile
        Which quantile `loss="quantile"` predicts.
    delta
        Where `loss="huber"` turns from squares to absolute values.
    scoring
        None for R squared.

    Attributes
    ----------
    model_
        The network, a `dropfast.Sequential`.
    n_features_in_, feature_names_in_
        What `fit` saw; names only where X has them.
    out_activation_
        "identity"; "exp" for loss "poisson".

    Examples
    --------
    >>> import dropfast as df
    >>> from dropfast.sklearn import DropoutMLPRegressor
    >>> x, y = df.datasets.noisy_sine(300, seed=0)
    >>> model = DropoutMLPRegressor(64, "tanh", dropout=0.05, random_state=0, max_iter=1000)
    >>> model.set_params(learning_rate_init=0.02, batch_size=30, n_iter_no_change=30)
    DropoutMLPRegressor(...)
    >>> model.fit(x, y.ravel()).score(x, y) > 0.5
    True
    >>> mean, std = model.predict_mc(x[:5], samples=20)
    >>> mean.shape, std.shape
    ((5,), (5,))
    >>> lower, upper = model.calibrate(x, y.ravel()).predict_interval(x[:5], coverage=0.8)
    >>> bool((lower < upper).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(_LOSSES))],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        loss: str = "squared_error",
        quantile: float = 0.5,
        delta: float = 1.0,
        dropout: Any = 0.5,
        input_dropout: Any = 0.0,
        rows_per_mask: int = 1,
        max_norm: float | None = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: Any = None,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        callbacks: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

    def _numeric(self) -> bool:
        return True

    def _prepare(self, y: Array, first: bool, incremental: bool) -> Array:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        columns = 1 if y.ndim == 1 else y.shape[1]
        if first:
            self._flat, self._columns = y.ndim == 1, columns
        elif columns != self._columns:
            raise ValueError(
                f"y must have {self._columns} columns, as in the first call. Received: {columns}"
            )
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(
                "Some value(s) of y are out of the valid range of the loss 'poisson': it takes "
                f"y >= 0. Received: {y.min()}"
            )
        return y

    def _targets(self, y: Array) -> Array:
        with np.errstate(over="ignore"):
            targets = np.ascontiguousarray(y.reshape(len(y), -1), self._dtype)
        if not np.isfinite(targets).all():
            raise ValueError(f"y must be finite in {self._dtype}. Received: a larger value")
        return targets

    def _head(self) -> tuple[int, str, Any]:
        found = {
            "squared_error": losses.MeanSquaredError,
            "poisson": LogPoisson,
            "absolute_error": losses.MeanAbsoluteError,
            "huber": lambda: losses.Huber(float(self.delta)),
            "quantile": lambda: losses.Quantile([float(self.quantile)]),
            "gaussian_nll": losses.GaussianNLL,
        }[self.loss]()
        units = self._columns * (2 if self.loss == "gaussian_nll" else 1)
        return units, "linear", found

    def _out_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _loss_factors(self) -> tuple[float, float]:
        # scikit-learn trains on the sum over outputs, and shows the mean.
        columns = float(self._columns)
        if self.loss == "squared_error":
            return columns / 2.0, columns
        return columns, columns

    def _conformity(self, answers: Array, y: Array) -> Array:
        errors = np.abs(y.reshape(len(y), -1) - self._decoded(answers).reshape(len(y), -1))
        return np.asarray(errors / self._widths(answers), np.float64)

    def _widths(self, answers: Array) -> Array:
        """By what errors are measured: where a variance is learned, its root."""
        if self.loss != "gaussian_nll":
            return np.ones((1, 1))
        return np.sqrt(self._variances(answers))

    def _variances(self, answers: Array) -> Array:
        found: Array = np.exp(np.clip(answers[..., self._columns :], -20.0, 20.0))
        return found

    def _score_of(self, answers: Array, rows: Rows) -> float:
        return scores.r_squared(rows.y, self._decoded(answers), rows.weights)

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None
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
        with unchanged_on_error(self):
            self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Predictions in the shape of y; dropout is off."""
        return self._decoded(self._answers(X))

    def predict_variance(self, X: Any) -> Array:
        """Variances of the samples, that `loss="gaussian_nll"` has learned."""
        if self.loss != "gaussian_nll":
            raise ValueError(
                f"loss must be 'gaussian_nll' for predict_variance. Received: loss={self.loss!r}"
            )
        return self._shaped(self._variances(self._answers(X)))

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Array, Array]:
        """Intervals that hold the target with a probability of at least `coverage`.

        Their width is the same for all samples, but with `loss="gaussian_nll"` in proportion to
        the standard deviation that is predicted for each.

        Parameters
        ----------
        X
            Features (n_samples, n_features).
        coverage
            In (0, 1); of each output by itself.

        Returns
        -------
        lower, upper : ndarray
            In the shape of predictions.

        Raises
        ------
        ValueError
            If the coverage is outside its range or there was no calibration (see `calibrate`).
        """
        check_is_fitted(self)
        limits = conformal.threshold(conformal.scores_of(self), coverage)
        answers = self._answers(X)
        middle = self._decoded(answers)
        half = self._shaped(limits * self._widths(answers) * np.ones((len(answers), 1)))
        lower = middle - half
        if self.loss == "poisson":
            lower = np.maximum(lower, 0.0)
        return lower, middle + half

    def predict_uncertainty(self, X: Any, samples: int = 100) -> conformal.Uncertainty:
        """Predictions with what the network doesn't know and what can't be known, apart.

        Kendall and Gal 2017: the spread of passes with dropout on, and the variance that
        `loss="gaussian_nll"` learns, meaned over the passes.

        Parameters
        ----------
        X
            Features (n_samples, n_features).
        samples
            Number of passes.

        Returns
        -------
        Uncertainty
            `mean`, and standard deviations `epistemic` and `aleatoric`.
        """
        features = steps.dense(self._features(X), self.model_.dtype)
        if self.loss != "gaussian_nll":
            mean, std = self._moments(features, samples)
            return conformal.Uncertainty(mean, std, np.zeros_like(std))
        drawn = self.model_.predict_mc(features, samples=samples, return_samples=True).samples
        found = np.asarray(drawn, np.float64)
        means = found[..., : self._columns]
        return conformal.Uncertainty(
            self._shaped(means.mean(axis=0)),
            self._shaped(means.std(axis=0)),
            self._shaped(np.sqrt(self._variances(found).mean(axis=0))),
        )

    def _decoded(self, answers: Array) -> Array:
        if self.loss == "poisson":
            with np.errstate(over="ignore"):
                answers = np.exp(answers)
        return self._shaped(answers[:, : self._columns])

    def _shaped(self, outputs: Array) -> Array:
        return outputs[:, 0] if self._flat else outputs

    def _moments(self, features: Array, samples: int) -> tuple[Array, Array]:
        if self.loss != "poisson":
            mean, std = super()._moments(features, samples)
            return self._shaped(mean[:, : self._columns]), self._shaped(std[:, : self._columns])
        drawn = self.model_.predict_mc(features, samples=samples, return_samples=True).samples
        rates = np.exp(np.asarray(drawn, np.float64))
        return self._shaped(rates.mean(axis=0)), self._shaped(rates.std(axis=0))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class MLPRegressor(DropoutMLPRegressor):
    """`DropoutMLPRegressor` without dropout by default: a drop-in for scikit-learn's.

    The same `random_state` gives the same initial weights, batches and, but for rounding, the same
    network as sklearn.neural_network.MLPRegressor.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.sklearn import MLPRegressor
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = MLPRegressor(hidden_layer_sizes=32, max_iter=2000, random_state=0)
    >>> model.fit(x, x[:, 0] * x[:, 1]).score(x, x[:, 0] * x[:, 1]) > 0.9
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: Any = None,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        quantile: float = 0.5,
        delta: float = 1.0,
        dropout: Any = 0.0,
        input_dropout: Any = 0.0,
        rows_per_mask: int = 1,
        max_norm: float | None = None,
        callbacks: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

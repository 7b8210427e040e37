"""Layer 7: DropoutMLPClassifier, and MLPClassifier with scikit-learn's defaults."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_is_fitted, column_or_1d

from dropfast.arrays import Array
from dropfast.sklearn import conformal, scores
from dropfast.sklearn.base import BaseMLP, _is_stochastic
from dropfast.sklearn.guard import unchanged_on_error
from dropfast.sklearn.rows import Rows


class DropoutMLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron with dropout that minimises the cross-entropy.

    Parameters, attributes and methods of sklearn.neural_network.MLPClassifier have its names and
    defaults, and mean the same.

    Parameters
    ----------
    hidden_layer_sizes
        Units of the hidden layers; one integer is one layer.
    activation
        "identity", "logistic", "tanh", "relu", or another name or object of
        `dropfast.activations`; or a list with one for each hidden layer.
    dropout
        Probability to drop a hidden unit, in [0, 1): one number or schedule (`dropfast.schedules`),
        or one for each hidden layer.
    input_dropout
        Probability to drop a feature.
    rows_per_mask
        How many consecutive rows of a batch share a mask; 0 for all.
    max_norm
        Largest norm of the weights into a hidden unit; None for no limit. Srivastava et al. 2014
        found 3 to 4 to go well with dropout and high learning rates.
    solver
        "adam", "sgd", or "lbfgs", which takes no dropout.
    alpha
        Strength of the L2 penalty: alpha / 2 times the sum of squared weights, divided by the sum
        of a batch's sample weights (their mean over batches), is added to a batch's loss.
    batch_size
        Rows of a batch; "auto" is min(200, n_samples).
    learning_rate, power_t
        Of solver "sgd": "constant"; "invscaling", learning_rate_init / t_ ** power_t; "adaptive",
        divided by 5 whenever the loss settles, until it is below 1e-6.
    learning_rate_init
        The learning rate.
    max_iter
        Largest number of epochs; of iterations for "lbfgs".
    shuffle
        Whether samples are shuffled before each epoch.
    random_state
        Seed of initial weights, shuffling, masks and the validation split.
    tol, n_iter_no_change
        Training ends when the loss (the validation score with `early_stopping`) has not improved
        by `tol` for `n_iter_no_change` epochs; with dropout, for at least 100 steps, too, and the
        loss is that without dropout.
    verbose
        Whether to print lines about each epoch.
    warm_start
        Whether `fit` goes on with the weights that are there.
    momentum, nesterovs_momentum
        Of solver "sgd".
    early_stopping
        Whether to set samples aside, watch the score on them, and keep the best epoch's weights.
    validation_fraction
        Share of the samples that is set aside.
    scoring
        What validation samples are scored by: None for accuracy (R squared of a regressor), "loss",
        or a scorer or its name.
    beta_1, beta_2, epsilon
        Of solver "adam".
    max_fun
        Largest number of losses that "lbfgs" may compute.
    class_weight
        Label -> weight of its samples, or "balanced"; multiplies `sample_weight`.
    callbacks
        Of `dropfast.callbacks`, told about epochs; logs hold "loss", and "val_loss" and "val_score"
        where samples are held out.
    n_threads
        Threads while it trains and predicts; None is `dropfast.get_num_threads()`.

    Attributes
    ----------
    classes_
        The classes, sorted.
    model_
        The network, a `dropfast.Sequential`.
    coefs_, intercepts_
        Its weights, layer by layer.
    n_features_in_, feature_names_in_
        What `fit` saw; names only where X has them.
    n_iter_, t_
        Epochs of the last call; samples seen in all.
    n_layers_, n_outputs_, out_activation_
        Layers with inputs and outputs; units of the last; its activation.
    loss_curve_, loss_, best_loss_
        Training losses, with dropout on, of all epochs; the last; the least.
    clean_loss_curve_
        Training losses without dropout, which the stopping rule reads where there is dropout.
    validation_scores_, validation_loss_curve_, best_validation_score_
        Scores and losses of the samples held out, and the best score, whose epoch's weights are
        kept with `early_stopping`; None where no samples are held out.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.sklearn import DropoutMLPClassifier
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = np.where(x.sum(1) > 0, "up", "down")
    >>> model = DropoutMLPClassifier(
    ...     32, dropout=0.2, learning_rate_init=0.02, max_iter=500, random_state=0
    ... )
    >>> model.fit(x, y).predict([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    array(['up', 'down'], dtype='<U4')
    >>> mean, std = model.predict_mc(x[:1], samples=20)
    >>> mean.shape
    (1, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
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
        class_weight: Any = None,
        callbacks: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

    def _prepare(self, y: Array, first: bool, incremental: bool) -> Array:
        check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if first and not incremental:
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return y
        classes = unique_labels(y)
        if not incremental and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        unknown = np.setdiff1d(classes, self.classes_, assume_unique=True)
        if len(unknown):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}."
            )
        return y

    @property
    def _kind(self) -> str:
        """One of "binary", "multiclass" and "multilabel"."""
        found: str = self._label_binarizer.y_type_.split("-")[0]
        return found if found != "binary" or len(self.classes_) <= 2 else "multiclass"

    def _targets(self, y: Array) -> Array:
        if self._kind == "multiclass":
            return np.searchsorted(self.classes_, y).astype(np.int64)
        found = self._label_binarizer.transform(y)
        found = found.toarray() if hasattr(found, "toarray") else found
        return np.ascontiguousarray(found.reshape(len(found), -1), self._dtype)

    def _head(self) -> tuple[int, str, Any]:
        if self._kind == "multiclass":
            return len(self.classes_), "softmax", "sparse_categorical_crossentropy"
        units = len(self.classes_) if self._kind == "multilabel" else 1
        return units, "sigmoid", "binary_crossentropy"

    def _loss_factors(self) -> tuple[float, float]:
        # scikit-learn adds up the losses of labels; Keras' binary cross-entropy is their mean.
        return float(self._head()[0] if self._kind == "multilabel" else 1.0), 1.0

    def _class_weights(self, y: Array, weights: Array | None) -> Array | None:
        if self.class_weight is None:
            return weights
        if isinstance(self.class_weight, str) and y.ndim == 1:
            # Balanced by weight: a sample of weight 2 counts as two samples do.
            _, codes = np.unique(y, return_inverse=True)
            sums = np.bincount(codes, weights)
            by_class = (sums.sum() / (np.count_nonzero(sums) * np.where(sums, sums, 1.0)))[codes]
        else:
            by_class = compute_sample_weight(self.class_weight, y)
        return np.asarray(by_class if weights is None else weights * by_class)

    def _conformity(self, answers: Array, y: Array) -> Array:
        if self._kind == "multilabel":
            return np.empty(0)
        probabilities = self._both(answers)
        labels = np.searchsorted(self.classes_, y)
        return 1.0 - np.asarray(probabilities[np.arange(len(y)), labels], np.float64)

    def _strata(self, rows: Rows) -> Array | None:
        return None if self._kind == "multilabel" else rows.y

    def _score_of(self, answers: Array, rows: Rows) -> float:
        if self._kind == "multiclass":
            right = answers.argmax(axis=1) == rows.targets
        else:
            # Of one class, there is no other to answer with.
            right = (answers > 0.5) & (len(self.classes_) > 1) == (rows.targets > 0.5)
        return scores.accuracy(right, rows.weights)

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> DropoutMLPClassifier:
        """Train for one epoch on these samples.

        Parameters
        ----------
        X, y, sample_weight
            As `fit`.
        classes
            All classes there will be; needed in the first call.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data is not accepted, or the classes are missing or not those of the first call.
        """
        with unchanged_on_error(self):
            if _check_partial_fit_first_call(self, classes):
                multilabel = type_of_target(y).startswith("multilabel")
                self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
                self.classes_ = self._label_binarizer.classes_
            self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """The most probable class of each sample; every label above one half for several labels."""
        return self._decoded(self._answers(X))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n_samples, n_classes), without dropout."""
        return self._both(self._answers(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            found: Array = np.log(self.predict_proba(X))
        return found

    def predict_set(self, X: Any, coverage: float = 0.9) -> Array:
        """Classes among which the right one is with a probability of at least `coverage`.

        Parameters
        ----------
        X
            Features (n_samples, n_features).
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
            If the coverage is outside its range, there was no calibration (see `calibrate`), or
            samples have several labels.
        """
        check_is_fitted(self)
        if self._kind == "multilabel":
            raise ValueError(
                "y must have one label a sample for predict_set. Received: several labels"
            )
        limit = conformal.threshold(conformal.scores_of(self), coverage)
        probabilities = self.predict_proba(X)
        found: Array = 1.0 - probabilities.astype(np.float64) <= limit
        found[np.arange(len(found)), probabilities.argmax(axis=1)] = True
        return found

    def _decoded(self, answers: Array) -> Array:
        if self._kind == "multiclass":
            return np.asarray(self.classes_[answers.argmax(axis=1)])
        if self._kind == "binary":
            last = len(self.classes_) - 1
            return np.asarray(self.classes_[np.minimum(answers[:, 0] > 0.5, last).astype(int)])
        found: Array = self._label_binarizer.inverse_transform(answers)
        return found

    def _both(self, answers: Array) -> Array:
        """A column for each class, where there is one for the second alone."""
        if self._kind != "binary":
            return answers
        if len(self.classes_) == 1:
            return np.ones_like(answers)
        return np.hstack([1 - answers, answers])

    def _moments(self, features: Array, samples: int) -> tuple[Array, Array]:
        mean, std = super()._moments(features, samples)
        return self._both(mean), std if self._kind != "binary" else np.hstack([std, std])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPClassifier(DropoutMLPClassifier):
    """`DropoutMLPClassifier` without dropout by default: a drop-in for scikit-learn's.

    The same `random_state` gives the same initial weights, batches and, but for rounding, the same
    network as sklearn.neural_network.MLPClassifier.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.sklearn import MLPClassifier
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = MLPClassifier(32, learning_rate_init=0.02, random_state=0).fit(x, x[:, 0] > 0)
    >>> model.score(x, x[:, 0] > 0)
    1.0
    """

    def __init__(
        self,
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
        dropout: Any = 0.0,
        input_dropout: Any = 0.0,
        rows_per_mask: int = 1,
        max_norm: float | None = None,
        class_weight: Any = None,
        callbacks: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self._keep(locals())

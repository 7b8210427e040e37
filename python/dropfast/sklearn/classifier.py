"""Layer 7: DropoutMLPClassifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from dropfast.arrays import Array
from dropfast.sklearn.base import DropoutMLP


class DropoutMLPClassifier(ClassifierMixin, DropoutMLP):
    """Multilayer perceptron with dropout that minimises the cross-entropy.

    Names and defaults are those of sklearn.neural_network.MLPClassifier wherever it has the thing.

    Parameters
    ----------
    hidden_layer_sizes
        Units of the hidden layers; one integer is one layer.
    activation
        "identity", "logistic", "tanh", "relu", or another name of `dropfast.activations`.
    dropout
        Probability to drop a hidden unit, in [0, 1): one number, or one for each hidden layer.
    input_dropout
        Probability to drop a feature.
    max_norm
        Largest norm of the weights into a hidden unit; None for no limit. Srivastava et al. 2014
        found 3 to 4 to go well with dropout and high learning rates.
    solver
        "adam" or "sgd".
    alpha
        Strength of the L2 penalty: alpha / 2 times the sum of squared weights, divided by the rows
        of a batch, is added to a batch's loss.
    batch_size
        Rows of a batch; "auto" is min(200, n_samples).
    learning_rate_init
        The learning rate.
    max_iter
        Largest number of epochs.
    shuffle
        Whether samples are shuffled before each epoch.
    random_state
        Seed of initial weights, shuffling, masks and the validation split.
    tol, n_iter_no_change
        Training ends when the loss (the validation score with `early_stopping`) has not improved
        by `tol` for `n_iter_no_change` epochs.
    verbose
        Whether to print a line an epoch.
    momentum, nesterovs_momentum
        Of solver "sgd".
    early_stopping
        Whether to set samples aside, watch the score on them, and keep the best epoch's weights.
    validation_fraction
        Share of the samples that is set aside.

    Attributes
    ----------
    classes_
        The classes, sorted.
    model_
        The network, a `dropfast.Sequential`.
    n_features_in_, feature_names_in_
        What `fit` saw; names only where X has them.
    n_iter_, n_layers_, n_outputs_, out_activation_
        Epochs done; layers with inputs and outputs; classes; "softmax".
    loss_curve_, loss_, best_loss_
        Training losses, with dropout on, of all epochs; the last; the least.
    validation_scores_, best_validation_score_
        Accuracies on what was set aside, with `early_stopping`.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.sklearn import DropoutMLPClassifier
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = DropoutMLPClassifier(32, dropout=0.2, learning_rate_init=0.02, random_state=0)
    >>> y = np.where(x.sum(1) > 0, "up", "down")
    >>> model.fit(x, y).predict([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    array(['up', 'down'], dtype='<U4')
    >>> mean, std = model.predict_mc(x[:1], samples=20)
    >>> mean.shape
    (1, 2)
    """

    _loss = "sparse_categorical_crossentropy"
    _output_activation = "softmax"
    _metric = "accuracy"

    def _targets(self, y: Array, classes: ArrayLike | None) -> tuple[Array, int]:
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        known = np.unique(y if classes is None else np.asarray(classes))
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            raise ValueError(
                f"y must hold classes of {known.tolist()}. Received: {unknown.tolist()}"
            )
        self.classes_ = known
        return np.searchsorted(known, y), len(known)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
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
        first = not hasattr(self, "model_")
        if first and classes is None:
            raise ValueError("classes must be given in the first call. Received: classes=None")
        if not first:
            if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise ValueError(
                    f"classes must be {self.classes_.tolist()}, as in the first call. "
                    f"Received: classes={classes!r}"
                )
            classes = self.classes_
        self._partial_fit(X, y, sample_weight, classes)
        return self

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities of the classes, (n_samples, n_classes), float64; dropout is off."""
        features = self._features(X)
        found: Array = self.model_.predict(features).astype(np.float64)
        return found

    def predict(self, X: ArrayLike) -> Array:
        """The most probable class of each sample, (n_samples,)."""
        rows = self.predict_proba(X).argmax(axis=1)
        found: Array = self.classes_[rows]
        return found

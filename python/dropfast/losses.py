"""Layer 6: losses as objects; the formulas are native. Names and defaults are Keras 3's."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast import _core
from dropfast.arrays import Array
from dropfast.checks import check_flag, check_number
from dropfast.configurable import Configurable, resolve
from dropfast.matching import as_labels, as_predictions, as_row_weights, as_values
from dropfast.training.exact import check_own

_ALIASES = {
    "bce": "BinaryCrossentropy",
    "mape": "MeanAbsolutePercentageError",
    "msle": "MeanSquaredLogarithmicError",
    "kld": "KLDivergence",
    "kullback_leibler_divergence": "KLDivergence",
    "logcosh": "LogCosh",
    "pinball": "Quantile",
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
}


class Loss(Configurable):
    """Base of the losses, and of your own.

    Your own defines `call` and `gradient`; models with it train layer by layer instead of in one
    native call.

    Parameters
    ----------
    name
        A name.
    reduction
        "sum_over_batch_size", the mean over rows; "mean" is the same.
    dtype
        For compatibility, without effect.

    Attributes
    ----------
    target
        What y_true holds: "labels" (n integers) or "values" (n rows, one value a unit).

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> class Distance(df.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ((y_pred - y_true) ** 2).sum(axis=-1)
    ...     def gradient(self, y_true, y_pred, weights):
    ...         return 2 * (y_pred - y_true) * weights[:, None]
    >>> Distance()(np.zeros((2, 1)), np.array([[1.0], [2.0]]))
    2.5
    """

    kind = "loss"
    target: ClassVar[str] = "values"
    native_name: ClassVar[str] = ""
    # Whether values of y_true are probabilities, in [0, 1].
    takes_probabilities: ClassVar[bool] = False

    def __init__(
        self, name: str | None = None, reduction: str = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction not in ("sum_over_batch_size", "mean"):
            raise ValueError(
                "reduction must be 'sum_over_batch_size': losses are means over rows. "
                f"Received: reduction={reduction!r}"
            )
        self.name, self.reduction, self.dtype = name, reduction, dtype

    def spec(self) -> dict[str, Any] | None:
        """The loss as the native module takes it; None if that doesn't know it."""
        return None

    def target_units(self, units: int) -> int:
        """How many true values a row has where the model has so many outputs.

        A loss of your own that takes fewer, such as one of means and variances, defines this.
        """
        return units

    def prepare(self, y_true: Array) -> Array:
        """All true values of a data set as `call` takes them; doing it twice changes nothing."""
        return y_true

    def call(self, y_true: Array, y_pred: Array) -> NDArray[np.float64]:
        """Loss of each row, shape (n,)."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def gradient(self, y_true: Array, y_pred: Array, weights: Array) -> Array:
        """Gradient of sum(weights * losses) with respect to y_pred."""
        raise NotImplementedError(
            f"{type(self).__name__} must define gradient(y_true, y_pred, weights)"
        )

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Mean over rows of the weighted losses.

        Parameters
        ----------
        y_true
            Labels (n,) or values (n, units), as the loss takes them.
        y_pred
            Predictions (n, units).
        sample_weight
            One weight a row, or None.

        Returns
        -------
        float
            sum(weight * loss) / n.
        """
        rows = _rows(self, y_true, y_pred)
        weights = as_row_weights(sample_weight, len(rows))
        return float((rows if weights is None else rows * weights).mean())

    def as_target(self, y_true: ArrayLike, pred: Array) -> Array:
        """Targets in the form that `call` takes: int64 labels, or values like the predictions."""
        rows, units = len(pred), pred.shape[-1]
        if self.target == "labels":
            return as_labels(y_true, rows, units)
        values = as_values(y_true, rows, units)
        self.check_values("y_true", values)
        return values.astype(pred.dtype, copy=False)

    def check_values(self, name: str, values: Array) -> None:
        """Refuse targets that the loss isn't made for; the first bad row is named."""
        if not self.takes_probabilities or not values.size:
            return
        with np.errstate(invalid="ignore"):
            bad = ~((values >= 0) & (values <= 1)).reshape(len(values), -1).all(axis=-1)
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"{name} must hold probabilities in [0, 1] for {type(self).__name__}. "
                f"Received: {values[row].tolist()} in row {row}"
            )


class _Native(Loss):
    def __init__(self) -> None:
        """Nothing to set: a row has one mean."""

    def spec(self) -> dict[str, Any]:
        """The loss as the native module takes it."""
        return {"name": self.native_name, **self.get_config()}

    def call(self, y_true: Array, y_pred: Array) -> NDArray[np.float64]:
        """Loss of each row, shape (n,)."""
        return _core.loss(self.spec(), np.require(y_true, None, ["A"]), y_pred)

    def gradient(self, y_true: Array, y_pred: Array, weights: Array) -> Array:
        """Gradient of sum(weights * losses) with respect to y_pred."""
        targets = np.require(y_true, None, ["A"])
        return _core.loss_gradient(self.spec(), targets, y_pred, weights)


class _CrossEntropy(_Native):
    takes_probabilities = True

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        self.from_logits = check_flag("from_logits", from_logits)
        self.label_smoothing = float(check_number("label_smoothing", label_smoothing, 0.0, 1.0))


class _Categorical(_CrossEntropy):
    """Predictions are divided by their sum before they are taken for probabilities, as in Keras.

    Outputs that are none, such as sigmoid's, could else lower the loss by growing.
    """

    def call(self, y_true: Array, y_pred: Array) -> NDArray[np.float64]:
        """Loss of each row, shape (n,)."""
        return super().call(y_true, y_pred if self.from_logits else _shares(y_pred)[0])

    def gradient(self, y_true: Array, y_pred: Array, weights: Array) -> Array:
        """Gradient of sum(weights * losses) with respect to y_pred."""
        if self.from_logits:
            return super().gradient(y_true, y_pred, weights)
        shares, total = _shares(y_pred)
        slope = super().gradient(y_true, shares, weights)
        # Where the clip acts the slope is 0, whatever it is multiplied with.
        moved = np.multiply(slope, shares, out=np.zeros_like(slope), where=slope != 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            through: Array = (slope - moved.sum(axis=-1, keepdims=True)) / total
        return through


def _shares(y_pred: Array) -> tuple[Array, Array]:
    """Predictions divided by their sum, and the sum (n, 1)."""
    total = y_pred.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.ascontiguousarray(y_pred / total), total


class SparseCategoricalCrossentropy(_Categorical):
    """-log of the label's probability; y_true holds labels in [0, units).

    Parameters
    ----------
    from_logits
        Whether predictions are logits rather than probabilities.
    label_smoothing
        Share of the target that is spread over all classes.

    Examples
    --------
    >>> import dropfast as df
    >>> loss = df.losses.SparseCategoricalCrossentropy()
    >>> round(loss([0, 1], [[0.5, 0.5], [0.5, 0.5]]), 4)
    0.6931
    """

    target = "labels"
    native_name = "sparse_categorical_crossentropy"

    def __init__(self, from_logits: bool = False, *, label_smoothing: float = 0.0) -> None:
        super().__init__(from_logits, label_smoothing)


class CategoricalCrossentropy(_Categorical):
    """-sum of target * log(probability); y_true holds one row of probabilities a sample.

    Parameters are those of `SparseCategoricalCrossentropy`.

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.losses.CategoricalCrossentropy()([[1.0, 0.0]], [[0.25, 0.75]]), 4)
    1.3863
    """

    native_name = "categorical_crossentropy"


class BinaryCrossentropy(_CrossEntropy):
    """Mean over units of -t log(p) - (1 - t) log(1 - p); y_true holds values in [0, 1].

    Parameters are those of `SparseCategoricalCrossentropy`.

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.losses.BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]]), 4)
    0.6931
    """

    native_name = "binary_crossentropy"


class MeanSquaredError(_Native):
    """Mean over units of (y - t)^2.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.MeanSquaredError()([[0.0, 0.0]], [[1.0, 3.0]])
    5.0
    """

    native_name = "mean_squared_error"


class MeanAbsoluteError(_Native):
    """Mean over units of |y - t|.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.MeanAbsoluteError()([[0.0, 0.0]], [[1.0, 3.0]])
    2.0
    """

    native_name = "mean_absolute_error"


class Huber(_Native):
    """Squares within `delta`, absolute values beyond (Huber 1964).

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.Huber(delta=1.0)([[0.0, 0.0]], [[1.0, 3.0]])
    1.5
    """

    native_name = "huber"

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = float(check_number("delta", delta, positive=True))


def get(identifier: Any) -> Loss:
    """The loss that a name, class, config, object or function of this module stands for.

    Raises
    ------
    ValueError
        If there is none of that name, or a function is not this module's: it has no gradient.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.get("mse")
    MeanSquaredError()
    """
    from dropfast import further_losses

    if inspect.isroutine(identifier):
        if getattr(identifier, "__module__", None) not in (__name__, further_losses.__name__):
            raise ValueError(
                "loss must have a gradient: a function has none, so derive a class from "
                "dropfast.losses.Loss with call(y_true, y_pred) and gradient(y_true, y_pred, "
                f"weights). Received: loss={identifier!r}"
            )
        identifier = identifier.__name__
    found: Loss = resolve("loss", identifier, _ALIASES)
    check_own(found)
    return found


def _rows(loss: Loss, y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    pred = as_predictions(y_pred)
    if not len(pred):
        raise ValueError("y_pred must have at least one row. Received: 0 rows")
    return loss.call(loss.as_target(y_true, pred), pred)


def sparse_categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False
) -> NDArray[np.float64]:
    """Loss of each row; see `SparseCategoricalCrossentropy`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.sparse_categorical_crossentropy([0], [[0.5, 0.5]]).round(4).tolist()
    [0.6931]
    """
    return _rows(SparseCategoricalCrossentropy(from_logits), y_true, y_pred)


def categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0
) -> NDArray[np.float64]:
    """Loss of each row; see `CategoricalCrossentropy`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.categorical_crossentropy([[1.0, 0.0]], [[0.5, 0.5]]).round(4).tolist()
    [0.6931]
    """
    return _rows(CategoricalCrossentropy(from_logits, label_smoothing), y_true, y_pred)


def binary_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0
) -> NDArray[np.float64]:
    """Loss of each row; see `BinaryCrossentropy`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.binary_crossentropy([[1.0]], [[0.5]]).round(4).tolist()
    [0.6931]
    """
    return _rows(BinaryCrossentropy(from_logits, label_smoothing), y_true, y_pred)


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `MeanSquaredError`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.mean_squared_error([[0.0], [0.0]], [[1.0], [3.0]]).round(4).tolist()
    [1.0, 9.0]
    """
    return _rows(MeanSquaredError(), y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `MeanAbsoluteError`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.mean_absolute_error([[0.0], [0.0]], [[1.0], [3.0]]).round(4).tolist()
    [1.0, 3.0]
    """
    return _rows(MeanAbsoluteError(), y_true, y_pred)


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> NDArray[np.float64]:
    """Loss of each row; see `Huber`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.huber([[0.0], [0.0]], [[1.0], [3.0]]).round(4).tolist()
    [0.5, 2.5]
    """
    return _rows(Huber(delta), y_true, y_pred)


def __getattr__(name: str) -> Any:
    """The losses that fewer models use, under Keras' short names too."""
    from dropfast import further_losses

    short = _SHORT.get(name.lower() if name.isupper() else name)
    if short is not None:
        return globals().get(short) or getattr(further_losses, short)
    if name.startswith("_") or not hasattr(further_losses, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(further_losses, name)


_SHORT = {
    "bce": "binary_crossentropy",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "kld": "kl_divergence",
    "logcosh": "log_cosh",
}

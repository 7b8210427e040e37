"""Layer 6: losses as objects; the formulas are native. Names and defaults are Keras 3's."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast import _core
from dropfast.arrays import Array
from dropfast.configurable import Configurable, resolve
from dropfast.training.exact import check_own

_ALIASES = {
    "bce": "BinaryCrossentropy",
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
}


class Loss(Configurable):
    """Base of the losses, and of your own.

    Your own defines `call` and `gradient`; models with it train layer by layer instead of in one
    native call.

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

    def spec(self) -> dict[str, Any] | None:
        """The loss as the native module takes it; None if that doesn't know it."""
        return None

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
        pred = np.asarray(y_pred)
        pred = pred.astype(np.float32) if pred.dtype.kind in "iub" else pred
        rows = self.call(self.as_target(y_true, pred), pred)
        if sample_weight is not None:
            rows = rows * np.asarray(sample_weight, np.float64)
        return float(rows.mean())

    def as_target(self, y_true: ArrayLike, pred: Array) -> Array:
        """Targets in the form that `call` takes: int64 labels, or values like the predictions."""
        array = np.asarray(y_true)
        if self.target == "labels":
            return array.reshape(len(array)).astype(np.int64)
        return array.astype(pred.dtype).reshape(pred.shape if array.size == pred.size else -1)


class _Native(Loss):
    def spec(self) -> dict[str, Any]:
        """The loss as the native module takes it."""
        return {"name": self.native_name, **self.get_config()}

    def call(self, y_true: Array, y_pred: Array) -> NDArray[np.float64]:
        """Loss of each row, shape (n,)."""
        return _core.loss(self.spec(), y_true, y_pred)

    def gradient(self, y_true: Array, y_pred: Array, weights: Array) -> Array:
        """Gradient of sum(weights * losses) with respect to y_pred."""
        return _core.loss_gradient(self.spec(), y_true, y_pred, weights)


class _CrossEntropy(_Native):
    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(
                f"label_smoothing must be in [0, 1). Received: label_smoothing={label_smoothing!r}"
            )
        self.from_logits, self.label_smoothing = bool(from_logits), float(label_smoothing)


class SparseCategoricalCrossentropy(_CrossEntropy):
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


class CategoricalCrossentropy(_CrossEntropy):
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
        if not delta > 0:
            raise ValueError(f"delta must be positive. Received: delta={delta!r}")
        self.delta = float(delta)


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
    if inspect.isroutine(identifier):
        if getattr(identifier, "__module__", None) != __name__:
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
    pred = np.asarray(y_pred)
    pred = pred.astype(np.float32) if pred.dtype.kind in "iub" else pred
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

"""Layer 6: the losses that fewer models use, which `dropfast.losses` has too: native formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast.arrays import Array
from dropfast.checks import as_number, check_flag, check_integer, check_number
from dropfast.losses import _Native as Native
from dropfast.losses import _rows as rows_of
from dropfast.uncertainty_losses import GaussianNLL as GaussianNLL
from dropfast.uncertainty_losses import Quantile as Quantile


class _Margin(Native):
    def as_target(self, y_true: ArrayLike, pred: Array) -> Array:
        """Targets in the form that `call` takes."""
        found = super().as_target(y_true, pred)
        return self.prepare(found).astype(pred.dtype, copy=False)

    def prepare(self, y_true: Array) -> Array:
        """True values -1 and 1; where there are only 0 and 1, 0 becomes -1."""
        binary = bool(((y_true == 0) | (y_true == 1)).all())
        # A lone class of ones is the same in both.
        return 2 * y_true.astype(np.float32) - 1 if binary else y_true


class Hinge(_Margin):
    """Mean over units of max(1 - t y, 0); y_true holds -1 and 1, or 0 and 1.

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.losses.Hinge()([[0.0, 1.0]], [[0.6, 0.4]]), 4)
    1.1
    """

    native_name = "hinge"


class SquaredHinge(_Margin):
    """Mean over units of max(1 - t y, 0)^2; y_true holds -1 and 1, or 0 and 1.

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.losses.SquaredHinge()([[0.0, 1.0]], [[0.6, 0.4]]), 4)
    1.46
    """

    native_name = "squared_hinge"


class CategoricalHinge(Native):
    """The largest (1 - t) y - sum of t y + 1, at least 0; y_true holds one-hot rows.

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.losses.CategoricalHinge()([[0.0, 1.0]], [[0.6, 0.4]]), 4)
    1.2
    """

    native_name = "categorical_hinge"


class KLDivergence(Native):
    """Sum of t log(t / y), both held in [1e-7, 1].

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.losses.KLDivergence()([[0.25, 0.75]], [[0.5, 0.5]]), 4)
    0.1308
    """

    native_name = "kl_divergence"


class Poisson(Native):
    """Mean over units of y - t log(y): counts t and their expected number y.

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.losses.Poisson()([[2.0]], [[1.0]]), 4)
    1.0
    """

    native_name = "poisson"


class LogCosh(Native):
    """Mean over units of log(cosh(y - t)): squares near 0, absolute values far away.

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.losses.LogCosh()([[0.0]], [[1.0]]), 4)
    0.4338
    """

    native_name = "log_cosh"


class MeanAbsolutePercentageError(Native):
    """Mean over units of 100 |y - t| / |t|.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]])
    37.5
    """

    native_name = "mean_absolute_percentage_error"


class MeanSquaredLogarithmicError(Native):
    """Mean over units of (log(1 + y) - log(1 + t))^2.

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.losses.MeanSquaredLogarithmicError()([[0.0]], [[1.0]]), 4)
    0.4805
    """

    native_name = "mean_squared_logarithmic_error"


class CosineSimilarity(Native):
    """Minus the cosine of the angle between predictions and true values.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.CosineSimilarity()([[0.0, 2.0]], [[0.0, 3.0]])
    -1.0
    """

    native_name = "cosine_similarity"

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _last("axis", axis)

    def spec(self) -> dict[str, Any]:
        """The loss as the native module takes it."""
        return {"name": self.native_name}


class BinaryFocalCrossentropy(Native):
    """Binary cross-entropy that counts less where it is right already (Lin et al. 2017).

    Parameters
    ----------
    apply_class_balancing
        Whether class 1 is weighted by `alpha`, class 0 by 1 - alpha.
    alpha
        In [0, 1].
    gamma
        How fast weights fall: they are (1 - probability of the true class)^gamma.
    from_logits
        Whether predictions are logits rather than probabilities.
    label_smoothing
        Share of the target that is spread over both classes.
    axis
        For compatibility: the last.

    Examples
    --------
    >>> import dropfast as df
    >>> loss = df.losses.BinaryFocalCrossentropy(gamma=2)
    >>> round(loss([[0], [1]], [[0.4], [0.6]]), 4)
    0.0817
    """

    native_name = "binary_focal_crossentropy"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.apply_class_balancing = check_flag("apply_class_balancing", apply_class_balancing)
        self.alpha, self.gamma = _share("alpha", alpha), check_number("gamma", gamma, 0.0)
        self.from_logits = check_flag("from_logits", from_logits)
        self.label_smoothing = _share("label_smoothing", label_smoothing)
        self.axis = _last("axis", axis)

    def spec(self) -> dict[str, Any]:
        """The loss as the native module takes it."""
        return {
            "name": self.native_name,
            "apply_class_balancing": self.apply_class_balancing,
            "alpha": self.alpha,
            "gamma": self.gamma,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }


class CategoricalFocalCrossentropy(Native):
    """Cross-entropy that counts less where it is right already (Lin et al. 2017).

    Parameters
    ----------
    alpha
        Weight of all, in [0, 1].
    gamma
        How fast weights fall: they are (1 - probability)^gamma.
    from_logits
        Whether predictions are logits rather than probabilities.
    label_smoothing
        Share of the target that is spread over all classes.
    axis
        For compatibility: the last.

    Examples
    --------
    >>> import dropfast as df
    >>> loss = df.losses.CategoricalFocalCrossentropy()
    >>> round(loss([[0.0, 1.0, 0.0]], [[0.05, 0.9, 0.05]]), 6)
    0.000263
    """

    native_name = "categorical_focal_crossentropy"

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha, self.gamma = _share("alpha", alpha), check_number("gamma", gamma, 0.0)
        self.from_logits = check_flag("from_logits", from_logits)
        self.label_smoothing = _share("label_smoothing", label_smoothing)
        self.axis = _last("axis", axis)

    def spec(self) -> dict[str, Any]:
        """The loss as the native module takes it."""
        return {
            "name": self.native_name,
            "alpha": self.alpha,
            "gamma": self.gamma,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }


def _share(name: str, value: float) -> float:
    if not 0.0 <= as_number(value) <= 1.0:
        raise ValueError(f"{name} must be in [0, 1]. Received: {name}={value!r}")
    return float(value)


def _last(name: str, axis: int) -> int:
    if check_integer(name, axis, -1) not in (-1, 1):
        raise ValueError(f"{name} must be the last, -1. Received: {name}={axis!r}")
    return int(axis)


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `Hinge`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.hinge([[1.0]], [[0.5]]).round(4).tolist()
    [0.5]
    """
    return rows_of(Hinge(), y_true, y_pred)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `SquaredHinge`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.squared_hinge([[1.0]], [[0.5]]).round(4).tolist()
    [0.25]
    """
    return rows_of(SquaredHinge(), y_true, y_pred)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `CategoricalHinge`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.categorical_hinge([[0.0, 1.0]], [[0.5, 0.5]]).round(4).tolist()
    [1.0]
    """
    return rows_of(CategoricalHinge(), y_true, y_pred)


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `KLDivergence`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.kl_divergence([[1.0]], [[0.5]]).round(4).tolist()
    [0.6931]
    """
    return rows_of(KLDivergence(), y_true, y_pred)


def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `Poisson`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.poisson([[0.0]], [[2.0]]).round(4).tolist()
    [2.0]
    """
    return rows_of(Poisson(), y_true, y_pred)


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `LogCosh`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.log_cosh([[0.0]], [[0.0]]).round(4).tolist()
    [0.0]
    """
    return rows_of(LogCosh(), y_true, y_pred)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `MeanAbsolutePercentageError`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.mean_absolute_percentage_error([[2.0]], [[1.0]]).round(4).tolist()
    [50.0]
    """
    return rows_of(MeanAbsolutePercentageError(), y_true, y_pred)


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Loss of each row; see `MeanSquaredLogarithmicError`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.mean_squared_logarithmic_error([[0.0]], [[0.0]]).round(4).tolist()
    [0.0]
    """
    return rows_of(MeanSquaredLogarithmicError(), y_true, y_pred)


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """Loss of each row; see `CosineSimilarity`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.cosine_similarity([[2.0]], [[3.0]]).round(4).tolist()
    [-1.0]
    """
    return rows_of(CosineSimilarity(axis), y_true, y_pred)


def binary_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> NDArray[np.float64]:
    """Loss of each row; see `BinaryFocalCrossentropy`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.binary_focal_crossentropy([[1.0]], [[0.5]]).round(4).tolist()
    [0.1733]
    """
    return rows_of(
        BinaryFocalCrossentropy(
            apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis
        ),
        y_true,
        y_pred,
    )


def categorical_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> NDArray[np.float64]:
    """Loss of each row; see `CategoricalFocalCrossentropy`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4).tolist()
    [0.0433]
    """
    return rows_of(
        CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis),
        y_true,
        y_pred,
    )


Pinball = Quantile

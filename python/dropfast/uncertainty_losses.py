"""Layer 6: losses whose outputs describe a distribution: several outputs for each true value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dropfast.arrays import Array
from dropfast.checks import as_number
from dropfast.losses import _Native as Native


def _fewer(self: Native, y_true: ArrayLike, pred: Array) -> Array:
    """Targets (n, target_units); (n,) will do for one.

    Raises
    ------
    ValueError
        If their shape is another.
    """
    wanted = (len(pred), self.target_units(pred.shape[-1]))
    array = np.asarray(y_true)
    array = array[:, None] if array.shape == (len(pred),) and wanted[1] == 1 else array
    if array.shape != wanted:
        raise ValueError(f"y_true must have shape {wanted}. Received: shape {array.shape}")
    return array.astype(pred.dtype)


class Quantile(Native):
    """Pinball loss (Koenker and Bassett 1978): outputs learn quantiles of the true values.

    A model has one output for each true value and quantile: all quantiles of the first true value
    come first.

    Parameters
    ----------
    quantiles
        A number in (0, 1), or some of them.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> loss = df.losses.Quantile([0.1, 0.9])
    >>> round(loss(np.array([[1.0]]), np.array([[0.0, 2.0]])), 4)
    0.1
    """

    native_name = "quantile"

    def __init__(self, quantiles: float | Sequence[float] = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        levels: Any = quantiles if hasattr(quantiles, "__len__") else [quantiles]
        if not 1 <= len(levels) <= 32 or not all(0.0 < as_number(q) < 1.0 for q in levels):
            raise ValueError(
                f"quantiles must be 1 to 32 numbers in (0, 1). Received: quantiles={quantiles!r}"
            )
        found = [float(q) for q in levels]
        self.quantiles: Any = found if hasattr(quantiles, "__len__") else found[0]

    @property
    def _levels(self) -> list[float]:
        return self.quantiles if isinstance(self.quantiles, list) else [self.quantiles]

    def spec(self) -> dict[str, Any]:
        """The loss as the native module takes it."""
        return {"name": self.native_name, "quantiles": self._levels}

    as_target = _fewer

    def target_units(self, units: int) -> int:
        """Outputs over quantiles."""
        return _share_out(units, len(self._levels), self)


class GaussianNLL(Native):
    """Negative log-likelihood of a normal distribution (Nix and Weigend 1994), but for a constant.

    A model has two outputs for each true value: all means come first, then the logarithms of all
    variances. (log v + (t - mean)^2 / v) / 2, mean over true values; v counts as at least 1e-6.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> loss = df.losses.GaussianNLL()
    >>> loss(np.array([[1.0]]), np.array([[3.0, 0.0]]))
    2.0
    """

    native_name = "gaussian_nll"

    as_target = _fewer

    def target_units(self, units: int) -> int:
        """Half of the outputs."""
        return _share_out(units, 2, self)


def _share_out(units: int, each: int, loss: Native) -> int:
    if units % each:
        raise ValueError(
            f"outputs must be a multiple of {each} for the loss {loss!r}. Received: {units} outputs"
        )
    return units // each

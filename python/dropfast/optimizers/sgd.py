"""Layer 6: SGD."""

from __future__ import annotations

from typing import Any

from dropfast.checks import check_flag
from dropfast.optimizers.base import LearningRate, Optimizer, in_range


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for.

    Parameters
    ----------
    learning_rate
        A number, or a schedule.
    momentum
        In [0, 1).
    nesterov
        Nesterov's look-ahead.
    weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        See `Optimizer`.

    Notes
    -----
    v = momentum * v - learning_rate * g; w += v. With Nesterov
    w += momentum * v - learning_rate * g.

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    native_name = "sgd"

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        )
        self.momentum, self.nesterov = (
            in_range("momentum", momentum, 1.0),
            check_flag("nesterov", nesterov),
        )

    def hyperparameters(self) -> dict[str, Any]:
        """Momentum and Nesterov."""
        return {"momentum": self.momentum, "nesterov": self.nesterov}

    def slots(self) -> int:
        """The momentum, if there is one."""
        return int(self.momentum > 0.0)

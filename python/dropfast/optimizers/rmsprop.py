"""Layer 6: RMSprop."""

from __future__ import annotations

from typing import Any

from dropfast.checks import check_flag
from dropfast.optimizers.base import LearningRate, Optimizer, in_range


class RMSprop(Optimizer):
    """Divides by a running root mean square of the gradients (Hinton 2012).

    Parameters
    ----------
    learning_rate
        A number, or a schedule.
    rho
        Decay of the mean square, in [0, 1).
    momentum
        In [0, 1).
    epsilon
        Added under the root.
    centered
        Whether the square of the mean gradient is subtracted.
    weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        See `Optimizer`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.RMSprop(0.01, momentum=0.9)
    RMSprop(learning_rate=0.01, momentum=0.9)
    """

    native_name = "rmsprop"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        )
        self.rho, self.momentum = in_range("rho", rho, 1.0), in_range("momentum", momentum, 1.0)
        self.epsilon, self.centered = in_range("epsilon", epsilon), check_flag("centered", centered)

    def hyperparameters(self) -> dict[str, Any]:
        """Rho, momentum, epsilon, centered."""
        return {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }

    def slots(self) -> int:
        """The mean square; the mean if centered; the momentum, if there is one."""
        return 1 + int(self.centered) + int(self.momentum > 0.0)

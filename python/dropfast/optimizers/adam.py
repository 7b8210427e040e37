"""Layer 6: Adam and AdamW."""

from __future__ import annotations

from typing import Any

from dropfast.checks import check_flag
from dropfast.optimizers.base import LearningRate, Optimizer, in_range


class Adam(Optimizer):
    """Adam (Kingma and Ba 2014), with the epsilon outside the square root's correction.

    Parameters
    ----------
    learning_rate
        A number, or a schedule.
    beta_1, beta_2
        Decay of the mean of gradients and of their squares, in [0, 1).
    epsilon
        Added to the denominator.
    amsgrad
        Whether the largest mean of squares so far is used (Reddi et al. 2018).
    weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        See `Optimizer`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.get("adam").learning_rate
    0.001
    """

    native_name = "adam"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        )
        self.beta_1, self.beta_2 = in_range("beta_1", beta_1, 1.0), in_range("beta_2", beta_2, 1.0)
        self.epsilon, self.amsgrad = in_range("epsilon", epsilon), check_flag("amsgrad", amsgrad)

    def hyperparameters(self) -> dict[str, Any]:
        """Betas, epsilon, amsgrad."""
        return {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }

    def slots(self) -> int:
        """Two means, and the largest second one."""
        return 3 if self.amsgrad else 2


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019); parameters as `Adam`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.AdamW(weight_decay=0.01)
    AdamW(weight_decay=0.01)
    """

    native_name = "adamw"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            **kwargs,
        )

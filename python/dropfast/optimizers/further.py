"""Layer 6: Nadam, Adamax, Adagrad, Adadelta and Lion; the arithmetic is native."""

from __future__ import annotations

from typing import Any

from dropfast.arrays import Array
from dropfast.optimizers.base import LearningRate, Optimizer, in_range


class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat 2016).

    Parameters
    ----------
    learning_rate
        A number, or a schedule.
    beta_1, beta_2
        Decay of the mean of gradients and of their size, in [0, 1).
    epsilon
        Added to the denominator.
    weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        See `Optimizer`.

    Notes
    -----
    The momentum of step t is u = beta_1 (1 - 0.96^t / 2).

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.Nadam(0.01)
    Nadam(learning_rate=0.01)
    """

    native_name = "nadam"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        )
        self.beta_1 = in_range("beta_1", beta_1, 1.0)
        self.beta_2 = in_range("beta_2", beta_2, 1.0)
        self.epsilon = in_range("epsilon", epsilon)

    def hyperparameters(self) -> dict[str, Any]:
        """Its own numbers."""
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def slots(self) -> int:
        """How many arrays of state a weight array has."""
        return 2


class Adamax(Optimizer):
    """Adam with the largest gradient so far in place of the mean square (Kingma and Ba 2014).

    Parameters
    ----------
    learning_rate
        A number, or a schedule.
    beta_1, beta_2
        Decay of the mean of gradients and of their size, in [0, 1).
    epsilon
        Added to the denominator.
    weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        See `Optimizer`.

    Notes
    -----
    u = max(beta_2 u, |g|); w -= learning_rate m / ((1 - beta_1^t) (u + epsilon)).

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.Adamax(0.01)
    Adamax(learning_rate=0.01)
    """

    native_name = "adamax"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        )
        self.beta_1 = in_range("beta_1", beta_1, 1.0)
        self.beta_2 = in_range("beta_2", beta_2, 1.0)
        self.epsilon = in_range("epsilon", epsilon)

    def hyperparameters(self) -> dict[str, Any]:
        """Its own numbers."""
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def slots(self) -> int:
        """How many arrays of state a weight array has."""
        return 2


class Adagrad(Optimizer):
    """Divides by the root of all squared gradients so far (Duchi et al. 2011).

    Parameters
    ----------
    learning_rate
        A number, or a schedule.
    initial_accumulator_value
        What the sum of squares starts from, at least 0.
    epsilon
        Added under the root.
    weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        See `Optimizer`.

    Notes
    -----
    s += g^2; w -= learning_rate g / sqrt(s + epsilon).

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.Adagrad(0.01)
    Adagrad(learning_rate=0.01)
    """

    native_name = "adagrad"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        )
        self.initial_accumulator_value = in_range(
            "initial_accumulator_value", initial_accumulator_value
        )
        self.epsilon = in_range("epsilon", epsilon)

    def hyperparameters(self) -> dict[str, Any]:
        """Its own numbers."""
        return {"epsilon": self.epsilon}

    def slots(self) -> int:
        """How many arrays of state a weight array has."""
        return 1

    def first_state(self, slot: int, weight: Array) -> Array:
        """A weight array's state before the first step."""
        state = super().first_state(slot, weight)
        if slot == 0:
            state[...] = self.initial_accumulator_value
        return state


class Adadelta(Optimizer):
    """Steps as large as the steps before, in units of the gradients (Zeiler 2012).

    Parameters
    ----------
    learning_rate
        A number, or a schedule.
    rho
        Decay of the mean squares, in [0, 1).
    epsilon
        Added under the roots.
    weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        See `Optimizer`.

    Notes
    -----
    d = g sqrt(u + epsilon) / sqrt(v + epsilon); w -= learning_rate d.

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.Adadelta(0.01)
    Adadelta(learning_rate=0.01)
    """

    native_name = "adadelta"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        )
        self.rho = in_range("rho", rho, 1.0)
        self.epsilon = in_range("epsilon", epsilon)

    def hyperparameters(self) -> dict[str, Any]:
        """Its own numbers."""
        return {"rho": self.rho, "epsilon": self.epsilon}

    def slots(self) -> int:
        """How many arrays of state a weight array has."""
        return 2


class Lion(Optimizer):
    """Steps of one size, by the sign of a momentum (Chen et al. 2023).

    Parameters
    ----------
    learning_rate
        A number, or a schedule.
    beta_1
        Share of the momentum in the step, in [0, 1).
    beta_2
        Decay of the momentum, in [0, 1).
    weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        See `Optimizer`.

    Notes
    -----
    w -= learning_rate sign(beta_1 m + (1 - beta_1) g); m = beta_2 m + (1 - beta_2) g.

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.Lion(0.01)
    Lion(learning_rate=0.01)
    """

    native_name = "lion"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, **kwargs
        )
        self.beta_1 = in_range("beta_1", beta_1, 1.0)
        self.beta_2 = in_range("beta_2", beta_2, 1.0)

    def hyperparameters(self) -> dict[str, Any]:
        """Its own numbers."""
        return {"beta_1": self.beta_1, "beta_2": self.beta_2}

    def slots(self) -> int:
        """How many arrays of state a weight array has."""
        return 1

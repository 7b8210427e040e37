"""Layer 6: optimizers: hyperparameters and state; the arithmetic is native. Keras 3's defaults."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dropfast import _core
from dropfast import learning_rates as schedules
from dropfast.arrays import Array, zeros
from dropfast.configurable import Configurable, resolve
from dropfast.training.exact import check_own

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules"]

LearningRate = float | schedules.LearningRateSchedule


class Optimizer(Configurable):
    """Base of the optimizers.

    Parameters
    ----------
    learning_rate
        A number, or a schedule of `dropfast.optimizers.schedules`.
    weight_decay
        Before each update, weights shrink by this times the learning rate.
    clipnorm
        Largest norm of the gradient of each weight array.
    clipvalue
        Largest magnitude of any entry of a gradient.
    global_clipnorm
        Largest norm of all gradients together.

    Attributes
    ----------
    iterations
        Number of steps done.
    state
        Lists of arrays, one list a slot, one array a trainable weight array.

    Raises
    ------
    ValueError
        If an argument is outside its range, or more than one kind of clipping is asked for.

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.SGD(df.optimizers.schedules.CosineDecay(0.1, 100)).learning_rate_at(50)
    0.05
    """

    kind = "optimizer"
    native_name: ClassVar[str] = ""
    moving = frozenset({"iterations", "state"})

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = None if weight_decay is None else _range("weight_decay", weight_decay)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {name: value for name, value in clips.items() if value is not None}
        if len(given) > 1:
            raise ValueError(
                "only one of clipnorm, clipvalue and global_clipnorm must be given. "
                f"Received: {', '.join(f'{name}={value!r}' for name, value in given.items())}"
            )
        for name, value in given.items():
            if not value > 0:
                raise ValueError(f"{name} must be positive. Received: {name}={value!r}")
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.iterations = 0
        self.state: list[list[Array]] = []
        self._params: list[Array] = []

    @property
    def learning_rate(self) -> LearningRate:
        """The learning rate, or its schedule. May be set while a model trains."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        if not isinstance(value, schedules.LearningRateSchedule):
            try:
                value = float(value)
            except (TypeError, ValueError):
                raise ValueError(
                    "learning_rate must be a number or a LearningRateSchedule. "
                    f"Received: learning_rate={value!r}"
                ) from None
            if not 0.0 <= value < math.inf:
                raise ValueError(
                    "learning_rate must be at least 0 and finite. "
                    f"Received: learning_rate={value!r}"
                )
        self._learning_rate = value

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of the step that follows `step` steps."""
        if isinstance(self._learning_rate, schedules.LearningRateSchedule):
            return float(self._learning_rate(step))
        return self._learning_rate

    def learning_rates(self, first_step: int, count: int) -> NDArray[np.float64]:
        """The learning rates of `count` steps."""
        if isinstance(self._learning_rate, schedules.LearningRateSchedule):
            rates = (self._learning_rate(first_step + i) for i in range(count))
            return np.fromiter(rates, np.float64, count)
        return np.full(count, self._learning_rate)

    def spec(self) -> dict[str, Any]:
        """The hyperparameters as the native module takes them."""
        general = {
            name: value
            for name in ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
            if (value := getattr(self, name)) is not None
        }
        return {"name": self.native_name, **self.hyperparameters(), **general}

    def hyperparameters(self) -> dict[str, Any]:
        """What is this optimizer's own."""
        raise NotImplementedError(f"{type(self).__name__} must define hyperparameters()")

    def slots(self) -> int:
        """How many arrays of state a weight array has."""
        raise NotImplementedError(f"{type(self).__name__} must define slots()")

    def build(self, params: Sequence[Array]) -> None:
        """Make the state for weight arrays; what it holds for one of them already is kept.

        Raises
        ------
        ValueError
            If it has trained other arrays: moments and steps of one model mean nothing to another.
        """
        known = {id(w): i for i, w in enumerate(self._params)}
        if [*known] == [id(w) for w in params] and len(self.state) == self.slots():
            return
        if self.iterations and known and params and not any(id(w) in known for w in params):
            raise ValueError(
                "optimizer must be new, or the one this model was trained with. Received: "
                f"{self!r} after {self.iterations} steps with another model"
            )
        old = self.state if len(self.state) == self.slots() else []
        self.state = [
            [
                old[slot][known[id(w)]] if old and id(w) in known else zeros(w.shape, w.dtype)
                for w in params
            ]
            for slot in range(self.slots())
        ]
        self._params = list(params)

    def _set_attribute(self, name: str, value: Any) -> None:
        """Set a hyperparameter; one that would need other state is refused once there is state."""
        before = self.__dict__[name]
        super()._set_attribute(name, value)
        if self.state and self.slots() not in (0, len(self.state)):
            object.__setattr__(self, name, before)
            raise AttributeError(
                f"{name} of {self!r} is read-only once its state is made: compile with a new "
                f"optimizer. Received: {name}={value!r}"
            )

    def update(
        self,
        weight: Array,
        gradient: Array,
        state: Sequence[Array],
        learning_rate: float,
        step: int,
    ) -> None:
        """Move one weight array by its clipped gradient, in place; an optimizer of your own may.

        Parameters
        ----------
        weight, gradient
            Arrays of one shape.
        state
            The weight's arrays of state, one a slot.
        learning_rate
            Of this step.
        step
            Number of the step, from 1.
        """
        _core.optimizer_update(self.spec(), weight, gradient, list(state), learning_rate, step)

    def clip(self, gradients: Sequence[Array]) -> list[Array]:
        """Gradients whose norms or values are clipped as the optimizer says."""
        if self.clipvalue is not None:
            return [np.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.clipnorm is not None:
            return [_limit(g, self.clipnorm, _norm([g])) for g in gradients]
        if self.global_clipnorm is not None:
            norm = _norm(gradients)
            return [_limit(g, self.global_clipnorm, norm) for g in gradients]
        return list(gradients)


def _norm(gradients: Sequence[Array]) -> float:
    return math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in gradients))


def _limit(gradient: Array, limit: float, norm: float) -> Array:
    clipped: Array = gradient * gradient.dtype.type(limit / max(norm, limit))
    return clipped


def _range(name: str, value: float, below: float = math.inf) -> float:
    if not 0.0 <= value < below:
        end = "finite" if below == math.inf else f"below {below:g}"
        raise ValueError(f"{name} must be at least 0 and {end}. Received: {name}={value!r}")
    return float(value)


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
    weight_decay, clipnorm, clipvalue, global_clipnorm
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
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.momentum, self.nesterov = _range("momentum", momentum, 1.0), bool(nesterov)

    def hyperparameters(self) -> dict[str, Any]:
        """Momentum and Nesterov."""
        return {"momentum": self.momentum, "nesterov": self.nesterov}

    def slots(self) -> int:
        """The momentum, if there is one."""
        return int(self.momentum > 0.0)


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
    weight_decay, clipnorm, clipvalue, global_clipnorm
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
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.beta_1, self.beta_2 = _range("beta_1", beta_1, 1.0), _range("beta_2", beta_2, 1.0)
        self.epsilon, self.amsgrad = _range("epsilon", epsilon), bool(amsgrad)

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
        )


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
    weight_decay, clipnorm, clipvalue, global_clipnorm
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
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm)
        self.rho, self.momentum = _range("rho", rho, 1.0), _range("momentum", momentum, 1.0)
        self.epsilon, self.centered = _range("epsilon", epsilon), bool(centered)

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


def get(identifier: Any) -> Optimizer:
    """The optimizer that a name, class, config or object stands for.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.get("adamw")
    AdamW()
    """
    found: Optimizer = resolve("optimizer", identifier)
    check_own(found)
    return found

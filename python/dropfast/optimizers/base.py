"""Layer 6: what every optimizer has: hyperparameters, state, clipping; the arithmetic is native."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dropfast import _core
from dropfast.arrays import Array, zeros
from dropfast.configurable import Configurable
from dropfast.optimizers import schedules

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
    name
        A name, for your own use.

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
        *,
        name: str | None = None,
        **old: Any,
    ) -> None:
        self.learning_rate = _old_spellings(type(self).__name__, learning_rate, old)
        self.name = name
        self.weight_decay = None if weight_decay is None else in_range("weight_decay", weight_decay)
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
        # Native code moves it with the weights, so that both belong together whatever interrupts.
        self._counter = np.zeros(1, np.uint64)
        self.state: list[list[Array]] = []
        self._params: list[Array] = []

    @property
    def iterations(self) -> int:
        """Number of steps done."""
        return int(self._counter[0])

    @iterations.setter
    def iterations(self, value: int) -> None:
        if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= value < 2**63:
            raise ValueError(f"iterations must be an integer >= 0. Received: iterations={value!r}")
        self._counter[0] = value

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


def _old_spellings(owner: str, learning_rate: LearningRate, old: dict[str, Any]) -> LearningRate:
    """The learning rate, under Keras 2's name for it too."""
    if "decay" in old:
        raise ValueError(
            f"decay must be a schedule: learning_rate=schedules.InverseTimeDecay(rate, 1, decay). "
            f"Received: decay={old['decay']!r}"
        )
    unknown = sorted(set(old) - {"lr"})
    if unknown:
        raise TypeError(f"{owner} got an unexpected argument. Received: {unknown[0]}")
    if "lr" not in old:
        return learning_rate
    warnings.warn("lr is now called learning_rate", DeprecationWarning, stacklevel=4)
    rate: LearningRate = old["lr"]
    return rate


def _norm(gradients: Sequence[Array]) -> float:
    return math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in gradients))


def _limit(gradient: Array, limit: float, norm: float) -> Array:
    clipped: Array = gradient * gradient.dtype.type(limit / max(norm, limit))
    return clipped


def in_range(name: str, value: float, below: float = math.inf) -> float:
    """A hyperparameter that is at least 0 and below a bound."""
    if not 0.0 <= value < below:
        end = "finite" if below == math.inf else f"below {below:g}"
        raise ValueError(f"{name} must be at least 0 and {end}. Received: {name}={value!r}")
    return float(value)

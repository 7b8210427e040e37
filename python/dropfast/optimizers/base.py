"""Layer 6: what every optimizer has: hyperparameters, state, clipping; the arithmetic is native."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dropfast import _core
from dropfast.arrays import Array, assign, zeros
from dropfast.checks import check_flag, check_integer, check_name, check_number
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
    use_ema
        Whether moving averages of the weights are kept, which are the weights once `fit` ends.
    ema_momentum
        Share of an average that each step keeps.
    ema_overwrite_frequency
        After how many steps the averages become the weights each time; None for at the end only.
    loss_scale_factor
        For compatibility, without effect: there is no half precision to protect.
    gradient_accumulation_steps
        How many batches make one step, with the mean of their gradients; at least 2. Models with it
        train layer by layer.
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
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **old: Any,
    ) -> None:
        self.learning_rate = _old_spellings(type(self).__name__, learning_rate, old)
        self.name = None if name is None else check_name(name)
        self.use_ema = check_flag("use_ema", use_ema)
        self.ema_momentum = check_number("ema_momentum", ema_momentum, 0.0, below=1.0)
        self.ema_overwrite_frequency = _or_none(
            "ema_overwrite_frequency", ema_overwrite_frequency, 1
        )
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = _or_none(
            "gradient_accumulation_steps", gradient_accumulation_steps, 2
        )
        self.weight_decay = None if weight_decay is None else in_range("weight_decay", weight_decay)
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {name: value for name, value in clips.items() if value is not None}
        if len(given) > 1:
            raise ValueError(
                "only one of clipnorm, clipvalue and global_clipnorm must be given. "
                f"Received: {', '.join(f'{name}={value!r}' for name, value in given.items())}"
            )
        for clip, value in given.items():
            check_number(clip, value, positive=True)
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        # An array, so that the native engine counts each step as it applies it.
        self._counter = np.zeros(1, np.uint64)
        # The steps that averages of weights are taken after.
        self._averaged = np.zeros(1, np.uint64)
        self.state: list[list[Array]] = []
        self._params: list[Array] = []
        # Whether averages and trained weights have changed places.
        self._averages_shown = False

    @property
    def iterations(self) -> int:
        """Number of steps done: it moves with the weights, whatever interrupts training."""
        return int(self._counter[0])

    @iterations.setter
    def iterations(self, value: int) -> None:
        if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= value < 2**63:
            raise ValueError(f"iterations must be an integer >= 0. Received: iterations={value!r}")
        assign(self._count(value))

    def _count(self, steps: int) -> list[tuple[Array, Array]]:
        """What counts so many steps, as `assign` takes it."""
        counted = np.array([steps], np.uint64)
        return [(self._counter, counted), (self._averaged, counted)]

    @property
    def variables(self) -> list[Array]:
        """The number of steps, then the arrays of state."""
        return [self._counter, *(array for slot in self.state for array in slot)]

    @property
    def learning_rate(self) -> LearningRate:
        """The learning rate, or its schedule. May be set while a model trains."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        if not isinstance(value, schedules.LearningRateSchedule):
            try:
                if isinstance(value, bool | bytearray | np.ndarray):
                    raise TypeError
                value = float(value)
            except (TypeError, ValueError, OverflowError):
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
        schedule = self._learning_rate
        if not isinstance(schedule, schedules.LearningRateSchedule):
            return schedule
        found: Any = schedule(step)
        try:
            rate = float(found)
        except (TypeError, ValueError, OverflowError):
            rate = math.nan
        if not 0.0 <= rate < math.inf:
            raise ValueError(
                "learning_rate must be at least 0 and finite. "
                f"Received: {found!r} from {type(schedule).__name__} at step {step}"
            )
        return rate

    def learning_rates(self, first_step: int, count: int) -> NDArray[np.float64]:
        """The learning rates of `count` steps."""
        if isinstance(self._learning_rate, schedules.LearningRateSchedule):
            rates = (self.learning_rate_at(first_step + i) for i in range(count))
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

    def all_slots(self) -> int:
        """The same with a sum of gradients and an average, where there are such."""
        return self.slots() + bool(self.gradient_accumulation_steps) + self.use_ema

    def first_state(self, slot: int, weight: Array) -> Array:
        """A weight array's state before the first step."""
        state = zeros(weight.shape, weight.dtype)
        if self.use_ema and slot == self.all_slots() - 1:
            state[...] = weight
        return state

    def obstacle(self) -> str:
        """Why the native engine can't train with it, or ""."""
        if self.gradient_accumulation_steps:
            return "the optimizer: gradient_accumulation_steps"
        return ""

    def settle(self) -> None:
        """Take the weights into their averages after the latest step, unless that is done.

        Whatever interrupts between the step and this, the next call of it gives the same averages.
        """
        steps, often = self.iterations, self.ema_overwrite_frequency
        if not (self.use_ema and self.state) or self._averages_shown or self._averaged[0] == steps:
            return
        changes = self._count(steps)
        for weight, average in zip(self._params, self.state[-1], strict=True):
            share = average.dtype.type(self.ema_momentum if steps > 1 else 0.0)
            moved = average * share + weight * (1 - share)
            changes.append((average, moved))
            if often and steps % often == 0:
                changes.append((weight, moved))
        assign(changes)

    def finalize_variable_values(self) -> None:
        """Make the averages the weights, where there are such; `fit` does so at its end."""
        if self.use_ema and self.state:
            self.settle()
            # Where the weights are the averages already, nothing has to be trained any more.
            self.show_averages(True)
            assign(zip(self.state[-1], self._params, strict=True))
        self._averages_shown = False

    def show_averages(self, shown: bool) -> None:
        """Let the model's arrays hold the averages, and the state what was trained; or not."""
        if shown != self._averages_shown and self.state:
            changes = []
            for weight, average in zip(self._params, self.state[-1], strict=True):
                changes += [(weight, average.copy()), (average, weight.copy())]
            assign(changes)
            self._averages_shown = shown

    def accumulate(
        self, gradients: Sequence[Array], step: int
    ) -> tuple[list[Array] | None, list[tuple[Array, Array]]]:
        """The mean gradients of this step of the optimizer, or None if more batches belong to it.

        With them what the sums of gradients become when the step is done.

        Parameters
        ----------
        gradients
            Of one batch.
        step
            How many batches were before it.
        """
        count = self.gradient_accumulation_steps
        if not count:
            return list(gradients), []
        sums = self.state[self.slots()]
        totals = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
        if (step + 1) % count:
            return None, list(zip(sums, totals, strict=True))
        means = [total / total.dtype.type(count) for total in totals]
        return means, [(total, np.zeros_like(total)) for total in sums]

    def build(self, params: Sequence[Array]) -> None:
        """Make the state for weight arrays; what it holds for one of them already is kept.

        Raises
        ------
        ValueError
            If it has trained other arrays: moments and steps of one model mean nothing to another.
        """
        known = {id(w): i for i, w in enumerate(self._params)}
        if [*known] == [id(w) for w in params] and len(self.state) == self.all_slots():
            return
        if self.iterations and known and params and not any(id(w) in known for w in params):
            raise ValueError(
                "optimizer must be new, or the one this model was trained with. Received: "
                f"{self!r} after {self.iterations} steps with another model"
            )
        old = self.state if len(self.state) == self.all_slots() else []
        self.state = [
            [
                old[slot][known[id(w)]] if old and id(w) in known else self.first_state(slot, w)
                for w in params
            ]
            for slot in range(self.all_slots())
        ]
        self._params = list(params)

    def _set_attribute(self, name: str, value: Any) -> None:
        """Set a hyperparameter; one that would need other state is refused once there is state."""
        before = self.__dict__[name]
        super()._set_attribute(name, value)
        if self.state and self.all_slots() not in (0, len(self.state)):
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


def _or_none(name: str, value: int | None, least: int) -> int | None:
    return None if value is None else check_integer(name, value, least)


def _norm(gradients: Sequence[Array]) -> float:
    return math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in gradients))


def _limit(gradient: Array, limit: float, norm: float) -> Array:
    clipped: Array = gradient * gradient.dtype.type(limit / max(norm, limit))
    return clipped


def in_range(name: str, value: float, below: float = math.inf) -> float:
    """A number that is not negative, below a bound."""
    return float(check_number(name, value, 0.0, below))

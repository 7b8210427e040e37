"""Layer 6: learning rates that move with the optimizer's steps; formulas are Keras 3's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dropfast.checks import check_flag, check_integer, check_number
from dropfast.configurable import Configurable


class LearningRateSchedule(Configurable):
    """Base: a callable that maps the number of steps done to a learning rate.

    Examples
    --------
    >>> import dropfast as df
    >>> decay = df.optimizers.schedules.CosineDecay(0.1, decay_steps=1000)
    >>> decay(0), round(decay(500), 6), decay(1000)
    (0.1, 0.05, 0.0)
    """

    kind = "learning_rate_schedule"

    def __call__(self, step: int) -> float:
        """The learning rate of the step after `step` steps."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")


def _check(name: str, value: Any) -> float:
    return check_number(name, value, 0.0)


class ExponentialDecay(LearningRateSchedule):
    """initial * decay_rate ** (step / decay_steps); staircase rounds the exponent down.

    Examples
    --------
    >>> import dropfast as df
    >>> decay = df.optimizers.schedules.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
    >>> round(decay(200), 6)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
    ) -> None:
        self.initial_learning_rate = _check("initial_learning_rate", initial_learning_rate)
        self.decay_steps = check_number("decay_steps", decay_steps, positive=True)
        self.decay_rate = _check("decay_rate", decay_rate)
        self.staircase = check_flag("staircase", staircase)

    def __call__(self, step: int) -> float:
        """The learning rate at a step."""
        time = step / self.decay_steps
        rate = self.decay_rate ** (math.floor(time) if self.staircase else time)
        return float(self.initial_learning_rate * rate)


class InverseTimeDecay(LearningRateSchedule):
    """initial / (1 + decay_rate * step / decay_steps).

    Examples
    --------
    >>> import dropfast as df
    >>> decay = df.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=100, decay_rate=1.0)
    >>> round(decay(300), 6)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
    ) -> None:
        self.initial_learning_rate = _check("initial_learning_rate", initial_learning_rate)
        self.decay_steps = check_number("decay_steps", decay_steps, positive=True)
        self.decay_rate = _check("decay_rate", decay_rate)
        self.staircase = check_flag("staircase", staircase)

    def __call__(self, step: int) -> float:
        """The learning rate at a step."""
        time = step / self.decay_steps
        time = math.floor(time) if self.staircase else time
        return self.initial_learning_rate / (1.0 + self.decay_rate * time)


class PolynomialDecay(LearningRateSchedule):
    """From initial to end along a power of the time left; `cycle` starts again higher up.

    Examples
    --------
    >>> import dropfast as df
    >>> decay = df.optimizers.schedules.PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.0)
    >>> round(decay(25), 6)
    0.075
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        self.initial_learning_rate = _check("initial_learning_rate", initial_learning_rate)
        self.decay_steps = check_number("decay_steps", decay_steps, positive=True)
        self.end_learning_rate = _check("end_learning_rate", end_learning_rate)
        self.power, self.cycle = _check("power", power), check_flag("cycle", cycle)

    def __call__(self, step: int) -> float:
        """The learning rate at a step."""
        steps = float(self.decay_steps)
        if self.cycle:
            steps *= max(1, math.ceil(step / steps))
        left = 1.0 - min(step, steps) / steps
        span = self.initial_learning_rate - self.end_learning_rate
        return float(span * left**self.power + self.end_learning_rate)


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave from initial down to alpha * initial (Loshchilov and Hutter 2016).

    Parameters
    ----------
    initial_learning_rate
        First value; with warm-up the value the warm-up starts from.
    decay_steps
        Steps of the decay, after the warm-up.
    alpha
        Last value as a share of the first (of `warmup_target` if that is given).
    warmup_target
        Where a linear warm-up leads; None for no warm-up.
    warmup_steps
        Steps of the warm-up.

    Examples
    --------
    >>> import dropfast as df
    >>> CosineDecay = df.optimizers.schedules.CosineDecay
    >>> decay = CosineDecay(0.0, decay_steps=100, warmup_target=0.1, warmup_steps=10)
    >>> decay(5), decay(10), round(decay(60), 6), decay(110)
    (0.05, 0.1, 0.05, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        *,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = _check("initial_learning_rate", initial_learning_rate)
        self.decay_steps = check_number("decay_steps", decay_steps, positive=True)
        self.alpha = _check("alpha", alpha)
        self.warmup_steps = check_integer("warmup_steps", warmup_steps)
        self.warmup_target = warmup_target
        if warmup_target is not None:
            _check("warmup_target", warmup_target)

    def __call__(self, step: int) -> float:
        """The learning rate at a step."""
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            top, step = self.warmup_target, step - self.warmup_steps
        share = 0.5 * (1.0 + math.cos(math.pi * min(step / self.decay_steps, 1.0)))
        return float(top * ((1.0 - self.alpha) * share + self.alpha))


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosine waves one after the other (SGDR, Loshchilov and Hutter 2016).

    Parameters
    ----------
    initial_learning_rate
        First value.
    first_decay_steps
        Steps of the first wave.
    t_mul
        How many times longer each wave is than the one before.
    m_mul
        How many times higher.
    alpha
        Last value of a wave as a share of the initial one.

    Examples
    --------
    >>> import dropfast as df
    >>> rate = df.optimizers.schedules.CosineDecayRestarts(0.1, first_decay_steps=10)
    >>> rate(0), round(rate(5), 6), rate(10), round(rate(20), 6)
    (0.1, 0.05, 0.1, 0.05)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
    ) -> None:
        self.initial_learning_rate = _check("initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = check_number("first_decay_steps", first_decay_steps, positive=True)
        self.t_mul = check_number("t_mul", t_mul, positive=True)
        self.m_mul, self.alpha = _check("m_mul", m_mul), _check("alpha", alpha)

    def __call__(self, step: int) -> float:
        """The learning rate at a step."""
        done = step / self.first_decay_steps
        wave = math.floor(done)
        if self.t_mul != 1.0:
            grown = 1.0 - done * (1.0 - self.t_mul)
            # Below 1 the waves add up to a limit, which no step may pass.
            wave = math.floor(math.log(grown) / math.log(self.t_mul)) if grown > 0 else 0
            before = (1.0 - self.t_mul**wave) / (1.0 - self.t_mul)
            done = (done - before) / self.t_mul**wave
        else:
            done -= wave
        share = 0.5 * self.m_mul**wave * (1.0 + math.cos(math.pi * done))
        return float(self.initial_learning_rate * ((1.0 - self.alpha) * share + self.alpha))


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] up to and with boundaries[i], the last value after all of them.

    Examples
    --------
    >>> import dropfast as df
    >>> decay = df.optimizers.schedules.PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> decay(100), decay(101), decay(201)
    (0.1, 0.01, 0.001)
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        lists: tuple[tuple[str, Any], ...] = (("boundaries", boundaries), ("values", values))
        for name, given in lists:
            if isinstance(given, str) or not isinstance(given, Sequence):
                raise ValueError(f"{name} must be a list of numbers. Received: {name}={given!r}")
            for value in given:
                _check(f"each of {name}", value)
        if list(boundaries) != sorted(boundaries):
            raise ValueError(f"boundaries must rise. Received: boundaries={boundaries!r}")
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"values must have {len(boundaries) + 1} entries, one more than boundaries. "
                f"Received: {len(values)}"
            )
        self.boundaries, self.values = list(boundaries), list(values)

    def __call__(self, step: int) -> float:
        """The learning rate at a step."""
        for boundary, value in zip(self.boundaries, self.values, strict=False):
            if step <= boundary:
                return float(value)
        return float(self.values[-1])

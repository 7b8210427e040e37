"""Layer 6: drop rates that move while a model trains.

Curriculum dropout (Morerio et al. 2017) raises the rate; early and late dropout (Liu et al. 2023,
"Dropout reduces underfitting") switch it off or on after some time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from dropfast.checks import as_number, check_choice, check_number
from dropfast.configurable import Configurable

Unit = Literal["epoch", "step"]


class Schedule(Configurable):
    """Base: a value as a function of time, counted in epochs or optimizer steps from 0.

    Parameters
    ----------
    unit
        "epoch" or "step".

    Examples
    --------
    >>> import dropfast as df
    >>> df.schedules.Linear(0.0, 0.5, over=10)(5)
    0.25
    """

    kind = "schedule"

    def __init__(self, unit: Unit = "epoch") -> None:
        check_choice("unit", unit, ("epoch", "step"))
        self.unit: Unit = unit

    def __call__(self, time: int) -> float:
        """The value at a time."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(time)")

    def extremes(self) -> tuple[float, ...]:
        """Values that bound all others, as far as they are known."""
        return ()


class Constant(Schedule):
    """Always `value`.

    Examples
    --------
    >>> import dropfast as df
    >>> rate = df.schedules.Constant(0.3)
    >>> rate(0), rate(99)
    (0.3, 0.3)
    """

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = _check(value, "", "value")

    def __call__(self, time: int) -> float:
        """The value."""
        return self.value

    def extremes(self) -> tuple[float, ...]:
        """The value."""
        return (self.value,)


class Linear(Schedule):
    """From `start` to `end` along a line, over a time; then `end`.

    Parameters
    ----------
    start, end
        First and last value.
    over
        Time between them, positive.
    unit
        "epoch" or "step".

    Examples
    --------
    >>> import dropfast as df
    >>> rate = df.schedules.Linear(0.0, 0.4, over=4)
    >>> rate(0), rate(2), rate(9)
    (0.0, 0.2, 0.4)
    """

    def __init__(self, start: float, end: float, over: int, unit: Unit = "epoch") -> None:
        super().__init__(unit)
        self.start, self.end = _check(start, "", "start"), _check(end, "", "end")
        self.over = check_number("over", over, positive=True)

    def __call__(self, time: int) -> float:
        """The value at a time."""
        done = min(time / self.over, 1.0)
        return (1.0 - done) * self.start + done * self.end

    def extremes(self) -> tuple[float, ...]:
        """Both ends."""
        return (self.start, self.end)


class Cosine(Linear):
    """From `start` to `end` along half a cosine wave, over a time; then `end`.

    Examples
    --------
    >>> import dropfast as df
    >>> round(df.schedules.Cosine(0.5, 0.0, over=4)(2), 6)
    0.25
    """

    def __call__(self, time: int) -> float:
        """The value at a time."""
        share = 0.5 * (1.0 + math.cos(math.pi * min(time / self.over, 1.0)))
        return share * self.start + (1.0 - share) * self.end


class Early(Schedule):
    """`rate` before `until`, 0 from then on: early dropout, against underfitting.

    Examples
    --------
    >>> import dropfast as df
    >>> early = df.schedules.Early(0.1, until=50)
    >>> early(49), early(50)
    (0.1, 0.0)
    """

    def __init__(self, rate: float, until: int, unit: Unit = "epoch") -> None:
        super().__init__(unit)
        self.rate, self.until = _check(rate, "", "rate"), check_number("until", until, 0.0)

    def __call__(self, time: int) -> float:
        """The rate at a time."""
        return self.rate if time < self.until else 0.0

    def extremes(self) -> tuple[float, ...]:
        """The rate."""
        return (self.rate,)


class Late(Schedule):
    """0 before `start`, `rate` from then on: late dropout, against overfitting.

    Examples
    --------
    >>> import dropfast as df
    >>> rate = df.schedules.Late(0.2, start=2)
    >>> rate(1), rate(2)
    (0.0, 0.2)
    """

    def __init__(self, rate: float, start: int, unit: Unit = "epoch") -> None:
        super().__init__(unit)
        self.rate, self.start = _check(rate, "", "rate"), check_number("start", start, 0.0)

    def __call__(self, time: int) -> float:
        """The rate at a time."""
        return self.rate if time >= self.start else 0.0

    def extremes(self) -> tuple[float, ...]:
        """The rate."""
        return (self.rate,)


class Call(Schedule):
    """A function of your own of the time.

    Examples
    --------
    >>> import dropfast as df
    >>> rate = df.schedules.Call(lambda epoch: 0.1 * epoch)
    >>> rate(2)
    0.2
    """

    def __init__(self, function: Callable[[int], float], unit: Unit = "epoch") -> None:
        super().__init__(unit)
        if not _is_function(function):
            raise TypeError(
                f"function must be a function of the time. Received: function={function!r}"
            )
        self.function = function

    def __call__(self, time: int) -> float:
        """The function's value."""
        return float(self.function(time))


def get_rate(rate: Any) -> float | Schedule:
    """A rate as layers keep it: a number in [0, 1] or a schedule that stays there.

    Raises
    ------
    ValueError
        If it isn't, so far as that can be known before training.

    Examples
    --------
    >>> import dropfast as df
    >>> df.schedules.get_rate(0.5)
    0.5
    """
    if isinstance(rate, Schedule):
        for value in rate.extremes():
            _check(value, f"of {rate!r}", "rate")
        return rate
    if _is_function(rate):
        return Call(rate)
    return _check(rate, "", "rate")


def _is_function(thing: Any) -> bool:
    """A class or a constraint can be called too, but is no function of the time."""
    return callable(thing) and not isinstance(thing, Configurable | type)


def value_at(rate: float | Schedule, step: int, epoch: int, name: str) -> float:
    """The rate at a step of training.

    Raises
    ------
    ValueError
        If a schedule leaves [0, 1].

    Examples
    --------
    >>> import dropfast as df
    >>> df.schedules.value_at(df.schedules.Early(0.2, until=3), 1000, 2, "rate")
    0.2
    """
    if not isinstance(rate, Schedule):
        return rate
    time = step if rate.unit == "step" else epoch
    return _check(rate(time), f"of {rate!r} at {rate.unit} {time}", name)


def _check(rate: Any, where: str, name: str) -> float:
    number = as_number(rate)
    if not 0.0 <= number <= 1.0:
        where = f" {where}" if where else ""
        raise ValueError(f"{name}{where} must be in [0, 1]. Received: {name}={rate!r}")
    return number

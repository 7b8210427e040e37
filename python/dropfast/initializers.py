"""Layer 6: initial weights, drawn from the random stream; names and formulas are Keras 3's.

Glorot and Bengio 2010; He et al. 2015 (arXiv 1502.01852); LeCun et al. 1998.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from dropfast.arrays import Array
from dropfast.configurable import Configurable, resolve
from dropfast.random import WEIGHTS, Key, check_seed, draw_seed, random_normal, random_uniform

_ALIASES = {"uniform": "RandomUniform", "normal": "RandomNormal", "zero": "Zeros", "one": "Ones"}
# Standard deviation of a standard normal variate that is cut off at two deviations.
_TRUNCATED_DEVIATION = 0.87962566103423978


class Initializer(Configurable):
    """Base: a callable ``(shape, dtype, key)`` that returns an array.

    Examples
    --------
    >>> from dropfast.initializers import Constant
    >>> Constant(2.0)((3,)).tolist()
    [2.0, 2.0, 2.0]
    """

    kind = "initializer"

    def __call__(
        self, shape: tuple[int, ...], dtype: DTypeLike = "float32", key: Key | None = None
    ) -> Array:
        """Draw the weights.

        Parameters
        ----------
        shape
            Shape of the weights; a kernel is (inputs, units).
        dtype
            "float32" or "float64".
        key
            Where to draw. An initializer that has a seed of its own uses that instead.
        """
        seed = getattr(self, "seed", None)
        if seed is not None or key is None:
            key = Key(draw_seed() if seed is None else seed, WEIGHTS)
        return self.draw(tuple(shape), key).astype(dtype)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """The weights in float64; subclasses define this."""
        raise NotImplementedError(f"{type(self).__name__} must define draw(shape, key)")


class Zeros(Initializer):
    """All 0.

    Examples
    --------
    >>> import dropfast as df
    >>> df.initializers.Zeros()((2,)).tolist()
    [0.0, 0.0]
    """

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """All 1.

    Examples
    --------
    >>> import dropfast as df
    >>> df.initializers.Ones()((2,)).tolist()
    [1.0, 1.0]
    """

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Ones."""
        return np.ones(shape)


class Constant(Initializer):
    """All `value`.

    Examples
    --------
    >>> import dropfast as df
    >>> df.initializers.Constant(0.5)((2,)).tolist()
    [0.5, 0.5]
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """The value everywhere."""
        return np.full(shape, float(self.value))


class RandomUniform(Initializer):
    """Uniform in [minval, maxval).

    Examples
    --------
    >>> import dropfast as df
    >>> drawn = df.initializers.RandomUniform(-1.0, 1.0, seed=0)((1000,))
    >>> bool(drawn.min() >= -1.0), bool(drawn.max() < 1.0)
    (True, True)
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        self.minval, self.maxval, self.seed = minval, maxval, check_seed(seed)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Uniform variates."""
        unit = random_uniform(math.prod(shape), key).reshape(shape)
        return self.minval + (self.maxval - self.minval) * unit


class RandomNormal(Initializer):
    """Normal with the given mean and standard deviation.

    Examples
    --------
    >>> import dropfast as df
    >>> drawn = df.initializers.RandomNormal(stddev=0.1, seed=0)((10_000,))
    >>> round(float(drawn.std()), 2)
    0.1
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, check_seed(seed)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Normal variates."""
        return self.mean + self.stddev * random_normal(math.prod(shape), key).reshape(shape)


class TruncatedNormal(Initializer):
    """Normal, cut off at two standard deviations by drawing again.

    Examples
    --------
    >>> import dropfast as df
    >>> drawn = df.initializers.TruncatedNormal(stddev=0.1, seed=0)((10_000,))
    >>> bool(abs(drawn).max() <= 0.2)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, check_seed(seed)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Normal variates within two deviations."""
        return self.mean + self.stddev * _truncated(math.prod(shape), key).reshape(shape)


def _truncated(n: int, key: Key) -> Array:
    """The first n normal variates of the stream that lie within two deviations."""
    found = np.empty(0)
    offset = 0
    while len(found) < n:
        # One variate in 22 is refused: 8 % more than needed will nearly always do.
        count = math.ceil((n - len(found)) * 1.08) + 16
        draws = random_normal(count, key, offset)
        found = np.concatenate([found, draws[np.abs(draws) <= 2.0]])
        offset += count
    return found[:n]


class VarianceScaling(Initializer):
    """Variance scale / n, with n the inputs, the outputs or their mean.

    Parameters
    ----------
    scale
        Positive factor.
    mode
        "fan_in", "fan_out" or "fan_avg".
    distribution
        "truncated_normal", "untruncated_normal" or "uniform".
    seed
        Seed of its own; None takes the model's.

    Raises
    ------
    ValueError
        If an argument is none of these.

    Examples
    --------
    >>> import dropfast as df
    >>> kernel = df.initializers.VarianceScaling(2.0, "fan_in", seed=0)((200, 300))
    >>> round(float(kernel.var()), 3)
    0.01
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in",
        distribution: Literal[
            "truncated_normal", "untruncated_normal", "uniform"
        ] = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        if not scale > 0:
            raise ValueError(f"scale must be positive. Received: scale={scale!r}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                f"mode must be 'fan_in', 'fan_out' or 'fan_avg'. Received: mode={mode!r}"
            )
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                "distribution must be 'truncated_normal', 'untruncated_normal' or 'uniform'. "
                f"Received: distribution={distribution!r}"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.seed = check_seed(seed)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Variates of that variance."""
        inputs, outputs = _fans(shape)
        fan = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        variance, size = self.scale / max(1.0, fan), math.prod(shape)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return (limit * (2.0 * random_uniform(size, key) - 1.0)).reshape(shape)
        if self.distribution == "untruncated_normal":
            return (math.sqrt(variance) * random_normal(size, key)).reshape(shape)
        return (math.sqrt(variance) / _TRUNCATED_DEVIATION * _truncated(size, key)).reshape(shape)


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    if not shape:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


class GlorotUniform(VarianceScaling):
    """Uniform within ±sqrt(6 / (inputs + outputs)): the default of Dense.

    Examples
    --------
    >>> import dropfast as df
    >>> kernel = df.initializers.GlorotUniform(seed=0)((4, 2))
    >>> bool(abs(kernel).max() <= 1.0)
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed)


class GlorotNormal(VarianceScaling):
    """Truncated normal of variance 2 / (inputs + outputs).

    Examples
    --------
    >>> import dropfast as df
    >>> kernel = df.initializers.GlorotNormal(seed=0)((200, 300))
    >>> round(float(kernel.var()), 3)
    0.004
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed)


class HeUniform(VarianceScaling):
    """Uniform within ±sqrt(6 / inputs): for relu.

    Examples
    --------
    >>> import dropfast as df
    >>> kernel = df.initializers.HeUniform(seed=0)((200, 300))
    >>> bool(abs(kernel).max() <= (6 / 200) ** 0.5)
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "uniform", seed)


class HeNormal(VarianceScaling):
    """Truncated normal of variance 2 / inputs: for relu.

    Examples
    --------
    >>> import dropfast as df
    >>> kernel = df.initializers.HeNormal(seed=0)((200, 300))
    >>> round(float(kernel.var()), 3)
    0.01
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal", seed)


class LecunUniform(VarianceScaling):
    """Uniform within ±sqrt(3 / inputs).

    Examples
    --------
    >>> import dropfast as df
    >>> kernel = df.initializers.LecunUniform(seed=0)((200, 300))
    >>> bool(abs(kernel).max() <= (3 / 200) ** 0.5)
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "uniform", seed)


class LecunNormal(VarianceScaling):
    """Truncated normal of variance 1 / inputs: for selu.

    Examples
    --------
    >>> import dropfast as df
    >>> kernel = df.initializers.LecunNormal(seed=0)((200, 300))
    >>> round(float(kernel.var()), 3)
    0.005
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed)


Identifier = str | Initializer | type[Initializer] | dict[str, Any] | Callable[..., Any]


def get(identifier: Identifier) -> Any:
    """The initializer that a name, class, config or object stands for.

    Functions ``f(shape, dtype)`` of your own are taken too.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> from dropfast import initializers
    >>> initializers.get("he_normal")
    HeNormal()
    """
    if callable(identifier) and not isinstance(identifier, type | Initializer):
        return identifier
    return resolve("initializer", identifier, _ALIASES)

"""Layer 6: initial weights whose variance follows from the shape.

Glorot and Bengio 2010; He et al. 2015 (arXiv 1502.01852); LeCun et al. 1998.
"""

from __future__ import annotations

import math
from typing import Literal

from dropfast.arrays import Array
from dropfast.checks import check_choice, check_number
from dropfast.initializers.base import Initializer
from dropfast.initializers.random import truncated
from dropfast.random import Key, check_seed, random_normal, random_uniform

# Standard deviation of a standard normal variate that is cut off at two deviations.
_TRUNCATED_DEVIATION = 0.87962566103423978


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
        check_number("scale", scale, positive=True)
        check_choice("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        kinds = ("truncated_normal", "untruncated_normal", "uniform")
        check_choice("distribution", distribution, kinds)
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
        return (math.sqrt(variance) / _TRUNCATED_DEVIATION * truncated(size, key)).reshape(shape)


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

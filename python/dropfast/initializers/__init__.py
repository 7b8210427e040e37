"""Layer 6: initial weights, drawn from the random stream; names and formulas are Keras 3's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dropfast.configurable import resolve
from dropfast.initializers.base import Constant, Identity, Initializer, Ones, Zeros
from dropfast.initializers.orthogonal import Orthogonal
from dropfast.initializers.random import RandomNormal, RandomUniform, TruncatedNormal
from dropfast.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)

_ALIASES = {"uniform": "RandomUniform", "normal": "RandomNormal", "zero": "Zeros", "one": "Ones"}

# Keras' second names of the classes.
constant = Constant
identity = Identity
ones = Ones
zeros = Zeros
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

Identifier = (
    str
    | np.ndarray[Any, Any]
    | Initializer
    | type[Initializer]
    | dict[str, Any]
    | Callable[..., Any]
)


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
    if isinstance(identifier, np.ndarray):
        return Constant(identifier)
    if callable(identifier) and not isinstance(identifier, type | Initializer):
        return identifier
    return resolve("initializer", identifier, _ALIASES)

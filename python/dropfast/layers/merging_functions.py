"""Layer 6: merge layers as functions of their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dropfast.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)


def add(inputs: Any, **kwargs: Any) -> Any:
    """`Add` called at once.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.add([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[2.0, 2.0]]
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """`Subtract` called at once.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.subtract([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[0.0, 0.0]]
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """`Multiply` called at once.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.multiply([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[1.0, 1.0]]
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """`Average` called at once.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.average([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[1.0, 1.0]]
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """`Maximum` called at once.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.maximum([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[1.0, 1.0]]
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """`Minimum` called at once.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.minimum([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[1.0, 1.0]]
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate` called at once.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.concatenate([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[1.0, 1.0, 1.0, 1.0]]
    """
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Any, axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """`Dot` called at once.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.dot([np.ones((1, 2)), np.ones((1, 2))], axes=1).tolist()
    [[2.0]]
    """
    return Dot(axes, **kwargs)(inputs)

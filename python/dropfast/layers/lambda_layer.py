"""Layer 6: Lambda."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dropfast import activations
from dropfast.arrays import Array, Shape
from dropfast.checks import check_integer
from dropfast.layers.base import Layer, Passage


class Lambda(Layer):
    """A function of your own of a batch, without weights.

    Behind layers that learn, the function must map each number by itself, so that its slope can be
    told by differences; in front of them it may do anything to rows.

    Parameters
    ----------
    function
        Maps an array [n, ...] to one of n rows.
    output_shape
        Shape of a row; None finds out with a batch of ones.
    mask
        For compatibility, without effect.
    arguments
        Keyword arguments of the function.

    Raises
    ------
    TypeError
        If `function` can't be called.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Lambda(lambda x: x[:, ::-1])(np.array([[1.0, 2.0]])).tolist()
    [[2.0, 1.0]]
    """

    until_built = ("function", "output_shape", "mask", "arguments")

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Sequence[int] | None = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"function must be callable. Received: function={function!r}")
        self.function, self.mask = function, mask
        sizes = () if output_shape is None else output_shape
        self.output_shape = tuple(check_integer("output_shape", size, 1) for size in sizes) or None
        self.arguments = dict(arguments or {})

    def _of(self, x: Array) -> Array:
        return np.asarray(self.function(x, **self.arguments))

    def forward(self, x: Array, passage: Passage) -> Array:
        """The function's values, in the dtype of x."""
        y = self._of(x)
        passage.saved = (x, y)
        return y.astype(x.dtype, copy=False)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient times the function's slopes."""
        x, y = passage.saved
        if y.shape != x.shape:
            raise ValueError(
                f"function of layer {self.name!r} must keep shapes where layers before it learn. "
                f"Received: {x.shape} to {y.shape}"
            )
        return activations.Call(self._of).backward(x, y, grad)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """What was given, or what comes of ones."""
        if self.output_shape is not None:
            return (None, *self.output_shape)
        found = self._of(np.ones((2, *(size or 1 for size in input_shape[1:])), np.float32))
        return (None, *found.shape[1:])

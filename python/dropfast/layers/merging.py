"""Layer 6: layers that make one tensor of several: sums, products, extremes, rows side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dropfast.arrays import Array, Shape, shape_text
from dropfast.layers.base import Layer, Passage


class _Merge(Layer):
    """Base of layers that are called on a list of tensors of one shape."""

    merges = True
    # How many tensors it takes: at least, at most.
    takes: ClassVar[tuple[int, int]] = (2, 1 << 16)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape that all have; sizes of 1 are stretched."""
        shapes = self._check_shapes(input_shape)
        try:
            rows = [tuple(size or 1 for size in shape[1:]) for shape in shapes]
            inner: tuple[int, ...] | None = np.broadcast_shapes(*rows)
        except ValueError:
            inner = None
        if inner is None or len({len(shape) for shape in shapes}) > 1:
            raise self._unfit("shapes that merge", shapes)
        return (None, *inner)

    def _check_shapes(self, shapes: Any) -> Sequence[Shape]:
        least, most = self.takes
        if not isinstance(shapes, list) or not least <= len(shapes) <= most:
            count = len(shapes) if isinstance(shapes, list) else 1
            number = f"{least}" if least == most else f"at least {least}"
            raise ValueError(
                f"layer {self.name!r} must be called on a list of {number} tensors. "
                f"Received: {count}"
            )
        return shapes

    def _unfit(self, what: str, shapes: Sequence[Shape]) -> ValueError:
        return ValueError(
            f"inputs of layer {self.name!r} must have {what}. "
            f"Received: shapes {', '.join(map(shape_text, shapes))}"
        )

    def check_input(self, input_shape: Any) -> None:
        """Refuse shapes that don't merge."""
        self.compute_output_shape(input_shape)

    def build(self, input_shape: Any) -> None:
        """Check the shapes; there are no weights."""
        self.compute_output_shape(input_shape)

    def forward(self, x: Any, passage: Passage) -> Array:
        """The merged batch."""
        passage.saved = x
        merged: Array = self.merge(x)
        return merged

    def gradient(self, grad: Array, passage: Passage) -> Any:
        """A gradient for each input, in its shape."""
        parts = self.split(grad, passage.saved)
        return [_unstretched(part, x) for part, x in zip(parts, passage.saved, strict=True)]

    def merge(self, x: Sequence[Array]) -> Array:
        """One array of several."""
        raise NotImplementedError(f"{type(self).__name__} must define merge(x)")

    def split(self, grad: Array, x: Sequence[Array]) -> Sequence[Array]:
        """The gradients of the inputs, before stretched sizes are summed up again."""
        raise NotImplementedError(f"{type(self).__name__} must define split(grad, x)")


def _unstretched(grad: Array, x: Array) -> Array:
    """Sum over the axes along which `x` was stretched."""
    axes = tuple(
        axis
        for axis, (wide, own) in enumerate(zip(grad.shape, x.shape, strict=True))
        if own == 1 and wide > 1
    )
    summed: Array = grad.sum(axis=axes, keepdims=True) if axes else grad
    return summed


class Add(_Merge):
    """The sum of its inputs, from the first to the last: residual connections.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Add()([np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])]).tolist()
    [[11.0, 22.0]]
    """

    def merge(self, x: Sequence[Array]) -> Array:
        """x[0] + x[1] + ..."""
        total = x[0]
        for other in x[1:]:
            total = total + other
        return total

    def split(self, grad: Array, x: Sequence[Array]) -> Sequence[Array]:
        """The gradient itself, for each."""
        return [grad] * len(x)


class Subtract(_Merge):
    """The first of two inputs less the second.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Subtract()([np.array([[3.0]]), np.array([[1.0]])]).tolist()
    [[2.0]]
    """

    takes = (2, 2)

    def merge(self, x: Sequence[Array]) -> Array:
        """x[0] - x[1]."""
        difference: Array = x[0] - x[1]
        return difference

    def split(self, grad: Array, x: Sequence[Array]) -> Sequence[Array]:
        """The gradient, and its negative."""
        return [grad, -grad]


class Multiply(_Merge):
    """The product of its inputs, element by element: gates.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Multiply()([np.array([[3.0]]), np.array([[2.0]])]).tolist()
    [[6.0]]
    """

    def merge(self, x: Sequence[Array]) -> Array:
        """x[0] * x[1] * ..."""
        product = x[0]
        for other in x[1:]:
            product = product * other
        return product

    def split(self, grad: Array, x: Sequence[Array]) -> Sequence[Array]:
        """The gradient times all other inputs."""
        parts = []
        for i in range(len(x)):
            part = grad
            for other in (*x[:i], *x[i + 1 :]):
                part = part * other
            parts.append(part)
        return parts


class Average(_Merge):
    """The mean of its inputs.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Average()([np.array([[3.0]]), np.array([[1.0]])]).tolist()
    [[2.0]]
    """

    def merge(self, x: Sequence[Array]) -> Array:
        """(x[0] + x[1] + ...) / count."""
        total = x[0]
        for other in x[1:]:
            total = total + other
        mean: Array = total * total.dtype.type(1.0 / len(x))
        return mean

    def split(self, grad: Array, x: Sequence[Array]) -> Sequence[Array]:
        """Its share of the gradient, for each."""
        return [grad * grad.dtype.type(1.0 / len(x))] * len(x)


class _Extreme(_Merge):
    """Base of the two extremes: where inputs are equal the first one counts."""

    better: ClassVar[Any] = np.greater

    def merge(self, x: Sequence[Array]) -> Array:
        """The extreme of each element."""
        found = x[0]
        for other in x[1:]:
            found = np.where(self.better(other, found), other, found)
        return found

    def split(self, grad: Array, x: Sequence[Array]) -> Sequence[Array]:
        """The gradient where an input is the extreme."""
        found = np.broadcast_to(x[0], grad.shape)
        which = np.zeros(grad.shape, np.intp)
        for i, other in enumerate(x[1:], 1):
            better = self.better(other, found)
            found, which = np.where(better, other, found), np.where(better, i, which)
        zero = grad.dtype.type(0)
        return [np.where(which == i, grad, zero) for i in range(len(x))]


class Maximum(_Extreme):
    """The largest of its inputs, element by element; equal ones give the first one the gradient.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Maximum()([np.array([[3.0, 0.0]]), np.array([[1.0, 5.0]])]).tolist()
    [[3.0, 5.0]]
    """


class Minimum(_Extreme):
    """The smallest of its inputs, element by element; equal ones give the first one the gradient.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Minimum()([np.array([[3.0, 0.0]]), np.array([[1.0, 5.0]])]).tolist()
    [[1.0, 0.0]]
    """

    better = np.less


class Concatenate(_Merge):
    """Its inputs side by side.

    Parameters
    ----------
    axis
        Along which axis; 0, the batch, is none of them.

    Raises
    ------
    ValueError
        If `axis` is the batch's, or the inputs differ in another axis.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Concatenate()([np.array([[1.0, 2.0]]), np.array([[3.0]])]).tolist()
    [[1.0, 2.0, 3.0]]
    """

    takes = (1, 1 << 16)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not hasattr(axis, "__index__") or axis == 0:
            raise ValueError(f"axis must be an integer other than 0. Received: axis={axis!r}")
        self.axis = int(axis)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Sizes along the axis add up; all others are equal."""
        shapes = self._check_shapes(input_shape)
        ndim = len(shapes[0])
        axis = self.axis + ndim if self.axis < 0 else self.axis
        if not 0 < axis < ndim:
            raise self._unfit(f"an axis {self.axis} beside the batch's", shapes)
        rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        if len(rests) > 1 or any(len(shape) != ndim for shape in shapes):
            raise self._unfit(f"equal sizes in all axes but axis {self.axis}", shapes)
        total = sum(shape[axis] or 0 for shape in shapes)
        return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])

    def merge(self, x: Sequence[Array]) -> Array:
        """The inputs one after the other along the axis."""
        return np.concatenate(x, axis=self.axis)

    def split(self, grad: Array, x: Sequence[Array]) -> Sequence[Array]:
        """The pieces of the gradient."""
        borders = np.cumsum([part.shape[self.axis] for part in x])[:-1]
        return np.split(grad, borders, axis=self.axis)


class Dot(_Merge):
    """The inner product of each row of one input with that of the other: [n, k] twice -> [n, 1].

    Parameters
    ----------
    axes
        1 or -1, or a pair of them: the axis that is summed over. Rows must be vectors.
    normalize
        Whether rows are brought to length 1 first: cosine similarity.

    Raises
    ------
    ValueError
        If an argument is outside its range or the inputs are no vectors of one length.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Dot(axes=1)([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])]).tolist()
    [[11.0]]
    """

    takes = (2, 2)

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = [axes] if isinstance(axes, int) else list(axes)
        if len(pair) > 2 or not pair or any(axis not in (1, -1) for axis in pair):
            raise ValueError(f"axes must be 1 or -1, or a pair of them. Received: axes={axes!r}")
        self.axes = axes if isinstance(axes, int) else tuple(axes)
        self.normalize = bool(normalize)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """One number a row."""
        shapes = self._check_shapes(input_shape)
        if any(len(shape) != 2 for shape in shapes) or shapes[0] != shapes[1]:
            raise self._unfit("rows that are vectors of one length", shapes)
        return (None, 1)

    def merge(self, x: Sequence[Array]) -> Array:
        """Sum over k of ``x[0][:, k] * x[1][:, k]``."""
        a, b = map(self._unit, x)
        product: Array = (a * b).sum(axis=1, keepdims=True)
        return product

    def split(self, grad: Array, x: Sequence[Array]) -> Sequence[Array]:
        """The gradient times the other input, less what a length of 1 takes away."""
        units = [self._unit(part) for part in x]
        parts = []
        for i, part in enumerate(x):
            along = grad * units[1 - i]
            if self.normalize:
                inner = (along * units[i]).sum(axis=1, keepdims=True)
                along = (along - units[i] * inner) / _length(part)
            parts.append(along)
        return parts

    def _unit(self, x: Array) -> Array:
        unit: Array = x / _length(x) if self.normalize else x
        return unit


def _length(x: Array) -> Array:
    # As Keras: a row of zeros stays one.
    squares = (x * x).sum(axis=1, keepdims=True)
    length: Array = np.sqrt(np.maximum(squares, x.dtype.type(1e-12)))
    return length


# Keras' functions of the same names: one call without a layer object to keep.

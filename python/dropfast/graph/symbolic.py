"""Layer 6: symbolic tensors: values that a model will have, of which only the shape is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

from dropfast.arrays import Shape, shape_text

if TYPE_CHECKING:
    from dropfast.layers.base import Layer

_numbers = count()


class SymbolicTensor:
    """What a layer will return, or a model will be given. `dropfast.Input` makes the first one.

    Layers called on it, and ``+ - * /``, make further ones. It has no values, so Python can't
    decide by them.

    Attributes
    ----------
    shape
        With None for the batch.
    name
        That of the layer that made it, or of the input.

    Examples
    --------
    >>> import dropfast as df
    >>> x = df.Input((4,), name="x")
    >>> x, df.layers.Dense(2, name="out")(x) * 0.5
    (<SymbolicTensor x, shape (None, 4)>, <SymbolicTensor rescaling, shape (None, 2)>)
    """

    # NumPy leaves `array + tensor` to the tensor, which refuses it by name.
    __array_ufunc__ = None

    def __init__(
        self, shape: Shape, name: str, call: Call | None = None, given_name: bool = True
    ) -> None:
        self.shape, self.name, self.call, self.given_name = shape, name, call, given_name

    @property
    def ndim(self) -> int:
        """Number of axes, the batch's among them."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<SymbolicTensor {self.name}, shape {shape_text(self.shape)}>"

    # Arithmetic is a layer each.

    def __add__(self, other: Any) -> SymbolicTensor:
        if isinstance(other, SymbolicTensor):
            return _merged("Add", self, other)
        return _affine(self, 1.0, _number("+", other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> SymbolicTensor:
        if isinstance(other, SymbolicTensor):
            return _merged("Subtract", self, other)
        return _affine(self, 1.0, -_number("-", other))

    def __rsub__(self, other: Any) -> SymbolicTensor:
        return _affine(self, -1.0, _number("-", other))

    def __mul__(self, other: Any) -> SymbolicTensor:
        if isinstance(other, SymbolicTensor):
            return _merged("Multiply", self, other)
        return _affine(self, _number("*", other), 0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SymbolicTensor:
        return _affine(self, 1.0 / _number("/", other), 0.0)

    def __neg__(self) -> SymbolicTensor:
        return _affine(self, -1.0, 0.0)

    # What needs values.

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            f"{self!r} has no values: Python can't compare, index, loop over or convert it, nor "
            "can NumPy. Let layers do the work, and decide by `training` or by settings alone"
        )

    __bool__ = __len__ = __iter__ = __getitem__ = __contains__ = _refuse
    __float__ = __int__ = __index__ = __array__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __pow__ = __matmul__ = __rmatmul__ = _refuse
    __rtruediv__ = __abs__ = __mod__ = __floordiv__ = _refuse
    __eq__ = __ne__ = _refuse
    __hash__ = object.__hash__


@dataclass(eq=False)
class Call:
    """One layer called on symbolic tensors.

    Attributes
    ----------
    layer
        The layer.
    sources
        What it was called on.
    acts
        Whether it acts as in training: while a model trains, and at inference.
    scopes
        Models and composite layers inside which it was called, outermost first.
    order
        Calls in the order they were made.
    """

    layer: Layer
    sources: tuple[SymbolicTensor, ...]
    acts: tuple[bool, bool] = (True, False)
    scopes: tuple[Any, ...] = ()
    order: int = field(default_factory=lambda: next(_numbers))
    output: SymbolicTensor = field(init=False)


def is_symbolic(x: Any) -> bool:
    """Whether a layer is called on symbolic tensors rather than on arrays."""
    if isinstance(x, Mapping):
        x = list(x.values())
    if isinstance(x, list | tuple):
        return any(map(is_symbolic, x))
    return isinstance(x, SymbolicTensor)


def flatten(x: Any) -> list[Any]:
    """The leaves of lists, tuples and dicts, dicts in their own order."""
    if isinstance(x, Mapping):
        x = list(x.values())
    if isinstance(x, list | tuple):
        return [leaf for part in x for leaf in flatten(part)]
    return [x]


def like(structure: Any, leaves: list[Any]) -> Any:
    """`structure` with other leaves."""
    rest = iter(leaves)

    def fill(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: fill(value) for key, value in part.items()}
        if isinstance(part, list | tuple):
            return type(part)(fill(value) for value in part)
        return next(rest)

    return fill(structure)


def _merged(kind: str, a: SymbolicTensor, b: SymbolicTensor) -> SymbolicTensor:
    from dropfast import layers

    result: SymbolicTensor = getattr(layers, kind)()([a, b])
    return result


def _number(sign: str, other: Any) -> float:
    if isinstance(other, bool) or not isinstance(other, int | float):
        raise TypeError(
            f"the other side of {sign} must be a symbolic tensor or a number. "
            f"Received: {type(other).__name__}"
        )
    return float(other)


def _affine(x: SymbolicTensor, scale: float, offset: float) -> SymbolicTensor:
    from dropfast.layers import Rescaling

    result: SymbolicTensor = Rescaling(scale, offset)(x)
    return result

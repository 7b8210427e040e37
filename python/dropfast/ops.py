"""Layer 6: Keras' ``ops`` that custom losses, metrics and layers use, as NumPy computes them.

They take arrays and return arrays. Called on symbolic tensors, those that map each number by itself
become layers of the model, and so do sums, products, extremes, concatenations and shapes of them;
the others say that they take arrays only.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from dropfast import _core
from dropfast.arrays import Array
from dropfast.graph import is_symbolic

Axis = int | tuple[int, ...] | None


def _each(name: str, function: Callable[..., Any] | None = None) -> Callable[[Any], Any]:
    """An operation on each number; on a symbolic tensor a layer."""
    compute = function or getattr(np, name)

    def operation(x: Any) -> Any:
        if is_symbolic(x):
            from dropfast.layers import Lambda

            return Lambda(operation)(x)
        return compute(x)

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"``numpy.{name}`` of each number."
    return operation


def _activation(name: str) -> Callable[..., Any]:
    """An activation by name; on a symbolic tensor a layer."""

    def operation(x: Any) -> Any:
        from dropfast import activations, layers

        if is_symbolic(x):
            return layers.Activation(name)(x)
        array = np.asarray(x)
        return activations.get(name)(array if array.dtype.kind == "f" else array.astype("float32"))

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"The activation {name!r} of each number."
    return operation


def _pair(name: str, layer: str) -> Callable[[Any, Any], Any]:
    """An operation on two; on symbolic tensors a layer that merges."""
    compute = getattr(np, name)

    def operation(x1: Any, x2: Any) -> Any:
        if not (is_symbolic(x1) or is_symbolic(x2)):
            return compute(x1, x2)
        if is_symbolic(x1) and is_symbolic(x2):
            from dropfast import layers

            return getattr(layers, layer)()([x1, x2])
        sign = {"add": "__add__", "subtract": "__sub__", "multiply": "__mul__"}.get(name, "")
        if not sign:
            raise _only_arrays(name)
        if is_symbolic(x1):
            return getattr(x1, sign)(x2)
        return x1 + x2 if name == "add" else x1 * x2 if name == "multiply" else x1 - x2

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"``numpy.{name}`` of two arrays."
    return operation


def _only_arrays(name: str) -> TypeError:
    return TypeError(
        f"ops.{name} takes arrays; in a model, use a layer. Received: a symbolic tensor"
    )


def _arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which refuses symbolic tensors by name."""
    name = function.__name__

    def operation(*arguments: Any, **settings: Any) -> Any:
        if builtins.any(map(is_symbolic, (*arguments, *settings.values()))):
            raise _only_arrays(name)
        return function(*arguments, **settings)

    operation.__name__ = operation.__qualname__ = name
    own = str(function.__module__).startswith("dropfast")
    operation.__doc__ = function.__doc__ if own else f"As ``numpy.{name}``."
    setattr(operation, "__wrapped__", function)  # noqa: B010
    return operation


def _reduction(name: str) -> Callable[..., Any]:
    compute = getattr(np, name)

    def operation(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        if is_symbolic(x):
            raise _only_arrays(name)
        return compute(x, axis=axis, keepdims=keepdims)

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"``numpy.{name}`` along an axis."
    return operation


abs = absolute = _each("abs")
square = _each("square")
sqrt = _each("sqrt")
exp = _each("exp")
expm1 = _each("expm1")
log = _each("log")
log1p = _each("log1p")
log2 = _each("log2")
log10 = _each("log10")
sin = _each("sin")
cos = _each("cos")
tan = _each("tan")
sinh = _each("sinh")
cosh = _each("cosh")
arctan = _each("arctan")
negative = _each("negative")
reciprocal = _each("reciprocal", lambda x: 1.0 / np.asarray(x))
rsqrt = _each("rsqrt", lambda x: 1.0 / np.sqrt(x))

relu = _activation("relu")
sigmoid = _activation("sigmoid")
tanh = _activation("tanh")
elu = _activation("elu")
selu = _activation("selu")
silu = swish = _activation("silu")

_exact_gelu = _activation("gelu")
_by_tanh = _each(
    "gelu",
    lambda x: 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * np.power(x, 3)))),
)

add = _pair("add", "Add")
subtract = _pair("subtract", "Subtract")
multiply = _pair("multiply", "Multiply")
maximum = _pair("maximum", "Maximum")
minimum = _pair("minimum", "Minimum")

sum = _reduction("sum")
mean = _reduction("mean")
max = _reduction("max")
min = _reduction("min")
prod = _reduction("prod")
std = _reduction("std")
var = _reduction("var")
median = _reduction("median")
all = _reduction("all")
any = _reduction("any")
argmax = _reduction("argmax")
argmin = _reduction("argmin")

floor = _arrays(np.floor)
ceil = _arrays(np.ceil)
round = _arrays(np.round)
sign = _arrays(np.sign)
isfinite = _arrays(np.isfinite)
isnan = _arrays(np.isnan)
isinf = _arrays(np.isinf)
logical_not = _arrays(np.logical_not)
divide = _arrays(np.divide)
true_divide = _arrays(np.true_divide)
power = _arrays(np.power)
mod = _arrays(np.mod)
floor_divide = _arrays(np.floor_divide)
logaddexp = _arrays(np.logaddexp)
arctan2 = _arrays(np.arctan2)
equal = _arrays(np.equal)
not_equal = _arrays(np.not_equal)
greater = _arrays(np.greater)
greater_equal = _arrays(np.greater_equal)
less = _arrays(np.less)
less_equal = _arrays(np.less_equal)
logical_and = _arrays(np.logical_and)
logical_or = _arrays(np.logical_or)
logical_xor = _arrays(np.logical_xor)
isclose = _arrays(np.isclose)
where = _arrays(np.where)
matmul = _arrays(np.matmul)
dot = _arrays(np.dot)
outer = _arrays(np.outer)
stack = _arrays(np.stack)
squeeze = _arrays(np.squeeze)
swapaxes = _arrays(np.swapaxes)
moveaxis = _arrays(np.moveaxis)
transpose = _arrays(np.transpose)
tile = _arrays(np.tile)
repeat = _arrays(np.repeat)
flip = _arrays(np.flip)
roll = _arrays(np.roll)
sort = _arrays(np.sort)
argsort = _arrays(np.argsort)
take = _arrays(np.take)
take_along_axis = _arrays(np.take_along_axis)
tensordot = _arrays(np.tensordot)
einsum = _arrays(np.einsum)
diag = _arrays(np.diag)
trace = _arrays(np.trace)
zeros_like = _arrays(np.zeros_like)
ones_like = _arrays(np.ones_like)
full_like = _arrays(np.full_like)
zeros = _arrays(np.zeros)
ones = _arrays(np.ones)
full = _arrays(np.full)
eye = _arrays(np.eye)
arange = _arrays(np.arange)
linspace = _arrays(np.linspace)
quantile = _arrays(np.quantile)
cumsum = _arrays(np.cumsum)
cumprod = _arrays(np.cumprod)
count_nonzero = _arrays(np.count_nonzero)
ravel = _arrays(np.ravel)
nan_to_num = _arrays(np.nan_to_num)
tril = _arrays(np.tril)
triu = _arrays(np.triu)


@_arrays
def clip(x: ArrayLike, x_min: Any, x_max: Any) -> Any:
    """Numbers in [x_min, x_max]."""
    return np.clip(x, x_min, x_max)


@_arrays
def cast(x: ArrayLike, dtype: DTypeLike) -> Array:
    """Numbers of a dtype."""
    return np.asarray(x).astype(dtype)


@_arrays
def convert_to_tensor(x: ArrayLike, dtype: DTypeLike | None = None) -> Array:
    """An array."""
    return np.asarray(x, dtype)


def convert_to_numpy(x: ArrayLike) -> Array:
    """An array."""
    return np.asarray(x)


array = convert_to_tensor


def shape(x: Any) -> tuple[int | None, ...]:
    """The shape, with None for the rows of a symbolic tensor."""
    return tuple(x.shape) if is_symbolic(x) else np.shape(x)


@_arrays
def size(x: ArrayLike) -> int:
    """How many numbers there are."""
    return int(np.size(x))


@_arrays
def expand_dims(x: ArrayLike, axis: int) -> Array:
    """A further axis of length 1."""
    return np.expand_dims(x, axis)


def reshape(x: Any, newshape: Sequence[int]) -> Any:
    """Another shape; of a symbolic tensor the first axis stays the rows."""
    if is_symbolic(x):
        from dropfast.layers import Reshape

        return Reshape(tuple(newshape)[1:])(x)
    return np.reshape(x, newshape)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """One after the other along an axis."""
    if is_symbolic(xs):
        from dropfast.layers import Concatenate

        return Concatenate(axis)(list(xs))
    return np.concatenate([np.asarray(x) for x in xs], axis)


@_arrays
def norm(x: ArrayLike, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Length of vectors."""
    return np.linalg.norm(np.asarray(x), ord, axis, keepdims)


@_arrays
def logsumexp(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Any:
    """The logarithm of the sum of exponentials, without overflow."""
    values = np.asarray(x)
    top = np.max(values, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    found = np.log(np.sum(np.exp(values - top), axis=axis, keepdims=True)) + top
    return found if keepdims else np.squeeze(found, axis)


def gelu(x: Any, approximate: bool = True) -> Any:
    """The activation "gelu": exact, or by the usual formula with tanh."""
    return _by_tanh(x) if approximate else _exact_gelu(x)


def softmax(x: Any, axis: int = -1) -> Any:
    """Shares that add up to one along an axis."""
    if is_symbolic(x):
        from dropfast.layers import Softmax

        return Softmax(axis)(x)
    return np.exp(log_softmax(x, axis))


@_arrays
def log_softmax(x: ArrayLike, axis: int = -1) -> Array:
    """The logarithms of `softmax`."""
    values = np.asarray(x)
    found: Array = values - logsumexp(values, axis, True)
    return found


@_arrays
def one_hot(
    x: ArrayLike, num_classes: int, axis: int = -1, dtype: DTypeLike | None = None
) -> Array:
    """Labels as rows of zeros with a one; a label outside gives zeros alone."""
    labels = np.asarray(x)
    hot = labels[..., None] == np.arange(num_classes)
    return np.moveaxis(hot.astype(dtype or np.float32), -1, axis)


def stop_gradient(variable: Any) -> Any:
    """The same: nothing here follows gradients through operations."""
    return variable


def _loss(kind: str, target: Any, output: Any, from_logits: bool) -> Any:
    true, pred = np.asarray(target), np.asarray(output)
    spec = {"name": kind, "from_logits": bool(from_logits), "label_smoothing": 0.0}
    rows = np.ascontiguousarray(pred.reshape(-1, pred.shape[-1]))
    if rows.dtype.kind != "f":
        rows = rows.astype(np.float32)
    labels = kind.startswith("sparse")
    y = true.reshape(-1).astype(np.int64) if labels else true.reshape(rows.shape)
    values = _core.loss(spec, y if labels else np.ascontiguousarray(y, rows.dtype), rows)
    return values.reshape(pred.shape[:-1])


@_arrays
def categorical_crossentropy(
    target: ArrayLike, output: ArrayLike, from_logits: bool = False, axis: int = -1
) -> Array:
    """Cross-entropy of each row, along the last axis."""
    _last(axis, output)
    found: Array = _loss("categorical_crossentropy", target, output, from_logits)
    return found


@_arrays
def sparse_categorical_crossentropy(
    target: ArrayLike, output: ArrayLike, from_logits: bool = False, axis: int = -1
) -> Array:
    """Cross-entropy of each row with a label, along the last axis."""
    _last(axis, output)
    found: Array = _loss("sparse_categorical_crossentropy", target, output, from_logits)
    return found


def _last(axis: int, output: ArrayLike) -> None:
    if axis not in (-1, np.ndim(output) - 1):
        raise ValueError(f"axis must be the last. Received: axis={axis}")


@_arrays
def binary_crossentropy(target: ArrayLike, output: ArrayLike, from_logits: bool = False) -> Array:
    """Cross-entropy of each number."""
    true, pred = np.asarray(target), np.asarray(output)
    if from_logits:
        found: Array = np.maximum(pred, 0) - pred * true + np.log1p(np.exp(-np.abs(pred)))
        return found
    inside = np.clip(pred, 1e-7, 1 - 1e-7)
    return np.asarray(-(true * np.log(inside) + (1 - true) * np.log(1 - inside)))

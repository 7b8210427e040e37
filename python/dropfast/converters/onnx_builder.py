"""Layer 7: ONNX graphs piece by piece: nodes, constants, and the formulas that layers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

# What every runtime of these years takes; nothing later is needed.
OPSET, IR_VERSION = 17, 8
# What protobuf can hold.
_MOST_BYTES = (1 << 31) - (1 << 16)


class Builder:
    """A graph in the making; values are known by their names.

    Parameters
    ----------
    dtype
        "float32" or "float64": of all values but labels.
    taken
        Names of inputs and outputs.
    """

    def __init__(self, dtype: str, taken: Sequence[str]) -> None:
        self.dtype = np.dtype(dtype)
        self.element = helper.np_dtype_to_tensor_dtype(self.dtype)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._taken = set(taken)
        self._bytes = 0

    def _name(self, wish: str) -> str:
        name, number = wish, 0
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node; returns the name of its first output."""
        name = output or self._name(kind.lower())
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, array: Any, name: str = "constant") -> str:
        """Add an array as it is."""
        array = np.asarray(array)
        self._bytes += array.nbytes
        if self._bytes > _MOST_BYTES:
            raise ValueError(
                f"model must have less than 2 GiB of weights for ONNX. Received: {self._bytes}"
            )
        name = self._name(name)
        self._constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def number(self, value: Any) -> str:
        """Add numbers in the graph's dtype."""
        return self.constant(np.asarray(value, self.dtype))

    def strings(self, values: Sequence[str]) -> str:
        """Add strings."""
        name = self._name("constant")
        kind = onnx.TensorProto.STRING
        data = [value.encode() for value in values]
        self._constants.append(helper.make_tensor(name, kind, [len(data)], data))
        return name

    def filled(self, x: str, number: float, sizes: Sequence[int | None] | None = None) -> str:
        """A number many times, in the shape of a value, or in one whose None is its batch."""
        shape = self.op("Shape", x)
        if sizes is not None:
            first = self.constant(np.ones(1, np.int64))
            if sizes[0] is None:
                first = self.op("Gather", shape, self.constant(np.zeros(1, np.int64)))
            shape = self.op("Concat", first, self.constant(np.array(sizes[1:], np.int64)), axis=0)
        one = numpy_helper.from_array(np.full(1, number, self.dtype))
        return self.op("ConstantOfShape", shape, value=one)

    def kept(self, x: str, rate: float) -> str:
        """Which places of a value's shape are kept, decided anew at each run.

        Not by ONNX' Dropout in training mode: onnxruntime takes that out of a graph for inference.
        """
        return self.op("GreaterOrEqual", self.op("RandomUniformLike", x), self.number(rate))

    def dropout(self, x: str, rate: float, places: str | None = None) -> str:
        """Inverted dropout, decided for each place of a value that may be smaller."""
        if rate == 0.0:
            return x
        if rate == 1.0:
            return self.filled(x, 0.0)
        scaled = self.op("Mul", x, self.number(1.0 / (1.0 - rate)))
        return self.op("Where", self.kept(places or x, rate), scaled, self.number(0.0))

    def normal(self, x: str, mean: float, deviation: float) -> str:
        """Normal variates in the shape of a value."""
        return self.op("RandomNormalLike", x, mean=mean, scale=deviation)

    def below(self, x: str) -> str:
        """min(x, 0)."""
        return self.op("Min", x, self.number(0.0))

    def activation(self, function: Any, x: str) -> str:
        """An activation of our own.

        Raises
        ------
        ValueError
            If ONNX has no counterpart.
        """
        make = _ACTIVATIONS.get(function.name)
        if make is None:
            raise ValueError(f"its activation is {function!r}")
        result: str = make(self, x, function)
        return result

    def model(self, inputs: Sequence[Any], outputs: Sequence[Any], name: str) -> Any:
        """The whole, checked."""
        graph = helper.make_graph(self._nodes, name, inputs, outputs, self._constants)
        found = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="dropfast",
        )
        onnx.checker.check_model(found, full_check=True)
        return found


def value(name: str, element: int, row: Sequence[Any]) -> Any:
    """An input or output: any number of rows of a shape."""
    return helper.make_tensor_value_info(name, element, ["batch", *row])


def _slope(b: Builder, x: str, slope: float) -> str:
    return b.op("Add", b.op("Relu", x), b.op("Mul", b.below(x), b.number(slope)))


def _exponential(b: Builder, x: str, alpha: float) -> str:
    """X above 0, alpha * (exp(x) - 1) below."""
    low = b.op("Sub", b.op("Exp", b.below(x)), b.number(1.0))
    return b.op("Add", b.op("Relu", x), b.op("Mul", low, b.number(alpha)))


def _selu(b: Builder, x: str, _: Any) -> str:
    # Klambauer et al. 2017.
    return b.op("Mul", _exponential(b, x, 1.6732632423543772), b.number(1.0507009873554805))


def _gelu(b: Builder, x: str, function: Any) -> str:
    if function.approximate:
        cube = b.op("Mul", b.op("Mul", b.op("Mul", x, x), x), b.number(0.044715))
        inner = b.op("Mul", b.op("Add", x, cube), b.number(np.sqrt(2.0 / np.pi)))
        part = b.op("Tanh", inner)
    else:
        part = b.op("Mul", x, b.number(np.sqrt(0.5)))
        if b.dtype == np.float64:
            # Runtimes have Erf in float32 only.
            part = b.op("Erf", b.op("Cast", part, to=onnx.TensorProto.FLOAT))
            part = b.op("Cast", part, to=b.element)
        else:
            part = b.op("Erf", part)
    return b.op("Mul", b.op("Mul", x, b.number(0.5)), b.op("Add", part, b.number(1.0)))


def _clipped(b: Builder, x: str, least: float, most: float) -> str:
    return b.op("Min", b.op("Max", x, b.number(least)), b.number(most))


def _relu(b: Builder, x: str, function: Any) -> str:
    slope, start = function.negative_slope or 0.0, function.threshold or 0.0
    if slope or start:
        low = b.op("Mul", b.op("Sub", x, b.number(start)), b.number(slope))
        y = b.op("Where", b.op("GreaterOrEqual", x, b.number(start)), x, low)
    else:
        y = b.op("Relu", x)
    return y if function.max_value is None else b.op("Min", y, b.number(function.max_value))


def _softplus(b: Builder, x: str) -> str:
    """max(x, 0) + log(1 + exp(-abs(x)))."""
    small = b.op("Exp", b.op("Neg", b.op("Abs", x)))
    return b.op("Add", b.op("Relu", x), b.op("Log", b.op("Add", small, b.number(1.0))))


def _hard_sigmoid(b: Builder, x: str) -> str:
    line = b.op("Add", b.op("Mul", x, b.number(1.0 / 6.0)), b.number(0.5))
    return _clipped(b, line, 0.0, 1.0)


def _celu(b: Builder, x: str, function: Any) -> str:
    alpha = 1.0 if function.alpha is None else function.alpha
    low = b.op("Exp", b.op("Div", b.below(x), b.number(alpha)))
    scaled = b.op("Mul", b.op("Sub", low, b.number(1.0)), b.number(alpha))
    return b.op("Add", b.op("Relu", x), scaled)


_ACTIVATIONS: dict[str, Any] = {
    "linear": lambda b, x, f: x,
    "relu": _relu,
    "leaky_relu": lambda b, x, f: _slope(
        b, x, 0.2 if f.negative_slope is None else f.negative_slope
    ),
    "elu": lambda b, x, f: _exponential(b, x, 1.0 if f.alpha is None else f.alpha),
    "selu": _selu,
    "gelu": _gelu,
    "silu": lambda b, x, f: b.op("Mul", x, b.op("Sigmoid", x)),
    "tanh": lambda b, x, f: b.op("Tanh", x),
    "sigmoid": lambda b, x, f: b.op("Sigmoid", x),
    "softmax": lambda b, x, f: b.op("Softmax", x, axis=-1),
    "softplus": lambda b, x, f: _softplus(b, x),
    "softsign": lambda b, x, f: b.op("Div", x, b.op("Add", b.op("Abs", x), b.number(1.0))),
    "hard_sigmoid": lambda b, x, f: _hard_sigmoid(b, x),
    "hard_silu": lambda b, x, f: b.op("Mul", x, _hard_sigmoid(b, x)),
    "mish": lambda b, x, f: b.op("Mul", x, b.op("Tanh", _softplus(b, x))),
    "exponential": lambda b, x, f: b.op("Exp", x),
    "log_sigmoid": lambda b, x, f: b.op("Neg", _softplus(b, b.op("Neg", x))),
    "hard_tanh": lambda b, x, f: _clipped(b, x, -1.0, 1.0),
    "tanh_shrink": lambda b, x, f: b.op("Sub", x, b.op("Tanh", x)),
    "celu": _celu,
}

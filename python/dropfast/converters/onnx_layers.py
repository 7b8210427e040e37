"""Layer 7: each layer in ONNX' terms, at inference and with dropout on."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from dropfast import activations, layers
from dropfast.converters.onnx_builder import Builder
from dropfast.graph import Call
from dropfast.training.exact import exact

# SELU's value for very negative input.
_ALPHA_PRIME = -1.7580993408473766


def add_call(b: Builder, call: Call, sources: list[str], active: bool, rate: float | None) -> str:
    """Add what a layer does; returns the name of its output.

    Parameters
    ----------
    b
        The graph.
    call
        Of the layer.
    sources
        Names of its inputs.
    active
        Whether it acts as in training.
    rate
        Its drop rate, where it has one.

    Raises
    ------
    ValueError
        If ONNX has no counterpart for it; it is named.
    """
    layer: Any = call.layer
    kind = type(layer)
    refused = f"layer {layer.name!r} of class {kind.__name__} has no counterpart in ONNX"
    if not exact(layer):
        raise ValueError(refused)
    function = getattr(layer, "activation", None)
    if function is not None and (type(function) is not activations.Function or not exact(function)):
        raise ValueError(f"{refused}: its activation is {function!r}")
    try:
        if kind in _MERGES:
            return _MERGES[kind](b, layer, sources)
        if kind in _STOCHASTIC:
            return _STOCHASTIC[kind](b, layer, sources[0], call.sources[0].shape, active, rate)
        if kind in _LAYERS:
            return _LAYERS[kind](b, layer, sources[0], call.output.shape)
    except ValueError as error:
        raise ValueError(f"{refused}: {error}") from error
    raise ValueError(refused)


# Layers with dropout.


def _dropout(b: Builder, layer: Any, x: str, shape: Any, active: bool, rate: float) -> str:
    at_inference = layer.scale_at == "inference"
    if not active:
        return b.op("Mul", x, b.number(1.0 - rate)) if at_inference else x
    dropped = b.dropout(x, rate, _places(b, layer, x, shape))
    return b.op("Mul", dropped, b.number(1.0 - rate)) if at_inference else dropped


def _places(b: Builder, layer: Any, x: str, shape: Any) -> str:
    """A value with a place for each decision."""
    if layer.noise_shape is None:
        return x
    shared = [size if n is None else n for n, size in zip(layer.noise_shape, shape, strict=True)]
    return b.filled(x, 0.0, shared)


def _alpha_dropout(b: Builder, layer: Any, x: str, shape: Any, active: bool, rate: float) -> str:
    if not active or rate == 0.0:
        return x
    if rate == 1.0:
        return b.dropout(x, rate)
    kept = b.kept(_places(b, layer, x, shape), rate)
    both = b.op("Where", kept, x, b.number(_ALPHA_PRIME))
    a = ((1.0 - rate) * (1.0 + rate * _ALPHA_PRIME**2)) ** -0.5
    return b.op("Add", b.op("Mul", both, b.number(a)), b.number(-a * _ALPHA_PRIME * rate))


def _gaussian_dropout(b: Builder, layer: Any, x: str, shape: Any, active: bool, rate: float) -> str:
    if not active or rate == 0.0:
        return x
    return b.op("Mul", x, b.normal(x, 1.0, float(np.sqrt(rate / (1.0 - rate)))))


def _gaussian_noise(b: Builder, layer: Any, x: str, shape: Any, active: bool, rate: Any) -> str:
    return b.op("Add", x, b.normal(x, 0.0, layer.stddev)) if active and layer.stddev else x


def _drop_connect(b: Builder, layer: Any, x: str, shape: Any, active: bool, rate: float) -> str:
    return _dense_of(b, layer, x, rate if active else 0.0)


_STOCHASTIC: dict[type, Callable[..., str]] = {
    layers.Dropout: _dropout,
    layers.SpatialDropout1D: _dropout,
    layers.SpatialDropout2D: _dropout,
    layers.SpatialDropout3D: _dropout,
    layers.AlphaDropout: _alpha_dropout,
    layers.GaussianDropout: _gaussian_dropout,
    layers.GaussianNoise: _gaussian_noise,
    layers.DropConnect: _drop_connect,
}


# Layers without.


def _dense_of(b: Builder, layer: Any, x: str, rate: float) -> str:
    kernel = b.dropout(b.constant(layer.kernel, f"{layer.name}.kernel"), rate)
    y = b.op("MatMul", x, kernel)
    if layer.bias is not None:
        y = b.op("Add", y, b.constant(layer.bias, f"{layer.name}.bias"))
    return b.activation(layer.activation, y)


def _scaled(b: Builder, layer: Any, x: str) -> str:
    """Times gamma plus beta, where the layer has them."""
    if layer.gamma is not None:
        x = b.op("Mul", x, b.constant(layer.gamma, f"{layer.name}.gamma"))
    if layer.beta is not None:
        x = b.op("Add", x, b.constant(layer.beta, f"{layer.name}.beta"))
    return x


def _batch_norm(b: Builder, layer: Any, x: str, shape: Any) -> str:
    deviation = np.sqrt(layer.moving_variance.astype(np.float64) + layer.epsilon)
    centred = b.op("Sub", x, b.constant(layer.moving_mean, f"{layer.name}.moving_mean"))
    return _scaled(b, layer, b.op("Div", centred, b.number(deviation)))


def _layer_norm(b: Builder, layer: Any, x: str, shape: Any) -> str:
    centred = b.op("Sub", x, b.op("ReduceMean", x, axes=[-1], keepdims=1))
    variance = b.op("ReduceMean", b.op("Mul", centred, centred), axes=[-1], keepdims=1)
    deviation = b.op("Sqrt", b.op("Add", variance, b.number(layer.epsilon)))
    return _scaled(b, layer, b.op("Div", centred, deviation))


def _normalization(b: Builder, layer: Any, x: str, shape: Any) -> str:
    mean, deviation = layer._statistics()
    if layer.invert:
        return b.op("Add", b.op("Mul", x, b.number(deviation)), b.number(mean))
    return b.op("Div", b.op("Sub", x, b.number(mean)), b.number(deviation))


def _prelu(b: Builder, layer: Any, x: str, shape: Any) -> str:
    low = b.op("Mul", b.below(x), b.constant(layer.alpha, f"{layer.name}.alpha"))
    return b.op("Add", b.op("Relu", x), low)


def _rescaling(b: Builder, layer: Any, x: str, shape: Any) -> str:
    scaled = b.op("Mul", x, b.number(layer.scale))
    return b.op("Add", scaled, b.number(layer.offset)) if layer.offset else scaled


def _reshaped(b: Builder, layer: Any, x: str, shape: Any) -> str:
    # 0 leaves the batch as it is.
    return b.op("Reshape", x, b.constant(np.array([0, *shape[1:]], np.int64)))


def _embedding(b: Builder, layer: Any, x: str, shape: Any) -> str:
    from onnx import TensorProto

    index = b.op("Cast", x, to=TensorProto.INT64)
    return b.op("Gather", b.constant(layer.embeddings, f"{layer.name}.embeddings"), index, axis=0)


def _activation(b: Builder, layer: Any, x: str, shape: Any) -> str:
    return b.activation(layer.activation, x)


_LAYERS: dict[type, Callable[..., str]] = {
    layers.Dense: lambda b, layer, x, shape: _dense_of(b, layer, x, 0.0),
    layers.BatchNormalization: _batch_norm,
    layers.LayerNormalization: _layer_norm,
    layers.Normalization: _normalization,
    layers.Rescaling: _rescaling,
    layers.Activation: _activation,
    layers.ReLU: _activation,
    layers.LeakyReLU: _activation,
    layers.ELU: _activation,
    layers.Softmax: lambda b, layer, x, shape: b.op("Softmax", x, axis=layer.axis),
    layers.PReLU: _prelu,
    layers.Flatten: _reshaped,
    layers.Reshape: _reshaped,
    layers.Embedding: _embedding,
    layers.Identity: lambda b, layer, x, shape: x,
    layers.ActivityRegularization: lambda b, layer, x, shape: x,
}


# Layers that merge.


def _pairs(kind: str) -> Callable[[Builder, Any, list[str]], str]:
    return lambda b, layer, xs: reduce(lambda x, y: b.op(kind, x, y), xs)


def _average(b: Builder, layer: Any, xs: list[str]) -> str:
    return b.op("Mul", _pairs("Add")(b, layer, xs), b.number(1.0 / len(xs)))


def _dot(b: Builder, layer: Any, xs: list[str]) -> str:
    axis = b.constant(np.array([1], np.int64))

    def unit(x: str) -> str:
        squares = b.op("ReduceSum", b.op("Mul", x, x), axis, keepdims=1)
        return b.op("Div", x, b.op("Sqrt", b.op("Max", squares, b.number(1e-12))))

    a, c = (unit(x) if layer.normalize else x for x in xs)
    return b.op("ReduceSum", b.op("Mul", a, c), axis, keepdims=1)


_MERGES: dict[type, Callable[[Builder, Any, list[str]], str]] = {
    layers.Add: _pairs("Add"),
    layers.Subtract: _pairs("Sub"),
    layers.Multiply: _pairs("Mul"),
    layers.Average: _average,
    layers.Maximum: _pairs("Max"),
    layers.Minimum: _pairs("Min"),
    layers.Concatenate: lambda b, layer, xs: b.op("Concat", *xs, axis=layer.axis),
    layers.Dot: _dot,
}

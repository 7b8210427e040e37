"""Layer 7: to_torch: a model as PyTorch modules with copies of its weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import nn

from dropfast import activations, layers
from dropfast.graph import Call
from dropfast.graph.symbolic import flatten, like
from dropfast.models import Model
from dropfast.training.exact import exact

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def to_torch(model: Model) -> nn.Module:
    """See `dropfast.Model.to_torch`.

    Raises
    ------
    ValueError
        If the model is not built, or a layer has no counterpart in PyTorch; it is named.
    """
    graph = model.plan.graph
    if graph.inference is not None:
        raise ValueError(
            f"model {model.name!r} must do the same in training and at inference but for dropout. "
            "Received: a call() that doesn't"
        )
    rate_at = (model._steps_done(), model.epochs_done)
    made: dict[int, nn.Module] = {}
    for call in graph.calls:
        if id(call.layer) not in made:
            made[id(call.layer)] = _module(call, rate_at).to(_DTYPES[model.dtype])
            for parameter in made[id(call.layer)].parameters():
                parameter.requires_grad = call.layer.trainable
    numbers = graph.numbers()
    chain = all([numbers[id(s)] for s in call.sources] == [i] for i, call in enumerate(graph.calls))
    ends = graph.outputs is graph.calls[-1].output and len(made) == len(graph.calls)
    if chain and ends and not isinstance(graph.inputs, list | tuple | dict):
        named = [(_name(call.layer.name), made[id(call.layer)]) for call in graph.calls]
        return nn.Sequential(OrderedDict(named))
    return Graph(graph, made, numbers)


class Graph(nn.Module):
    """Modules of a graph, called one after the other; takes and returns what the model does."""

    def __init__(self, graph: Any, made: dict[int, nn.Module], numbers: dict[int, int]) -> None:
        super().__init__()
        names = {id(call.layer): _name(call.layer.name) for call in graph.calls}
        for key, module in made.items():
            self.add_module(names[key], module)
        self._calls = [
            (names[id(c.layer)], [numbers[id(s)] for s in c.sources], c.layer.merges)
            for c in graph.calls
        ]
        self._inputs = like(graph.inputs, list(range(len(graph.sources))))
        self._outputs = like(graph.outputs, [numbers[id(result)] for result in graph.results])

    def forward(self, x: Any) -> Any:
        """The outputs for inputs alone, in a list or in a dict, as the model takes them."""
        given = [x[name] for name in self._inputs] if isinstance(self._inputs, dict) else flatten(x)
        values = list(given)
        for name, sources, merges in self._calls:
            module, tensors = getattr(self, name), [values[source] for source in sources]
            values.append(module(tensors) if merges else module(tensors[0]))
        return like(self._outputs, [values[number] for number in flatten(self._outputs)])


class Function(nn.Module):
    """A function without weights; what it does stands in its name."""

    def __init__(self, name: str, *settings: Any) -> None:
        super().__init__()
        self.name, self.settings = name, settings

    def forward(self, x: Any) -> Any:
        """The function's value."""
        return _FUNCTIONS[self.name](x, *self.settings)

    def extra_repr(self) -> str:
        """Name and settings."""
        return ", ".join(map(str, (self.name, *self.settings)))


class Affine(nn.Module):
    """(x - shift) * scale + offset, with constants for each feature."""

    def __init__(self, scale: Any, offset: Any, shift: Any = 0.0) -> None:
        super().__init__()
        for name, value in (("scale", scale), ("offset", offset), ("shift", shift)):
            self.register_buffer(name, torch.as_tensor(np.asarray(value, np.float64)))

    def forward(self, x: Any) -> Any:
        """The scaled input."""
        return (x - self.shift) * self.scale + self.offset


class Embedding(nn.Embedding):
    """Takes whole numbers of any dtype."""

    def forward(self, x: Any) -> Any:
        """A vector for each number."""
        return super().forward(x.long())


def _dot(xs: Any, normalize: bool) -> Any:
    a, b = (nn.functional.normalize(x, eps=1e-6) if normalize else x for x in xs)
    return (a * b).sum(1, keepdim=True)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda xs: reduce(torch.add, xs),
    "subtract": lambda xs: xs[0] - xs[1],
    "multiply": lambda xs: reduce(torch.mul, xs),
    "average": lambda xs: reduce(torch.add, xs) / len(xs),
    "maximum": lambda xs: reduce(torch.maximum, xs),
    "minimum": lambda xs: reduce(torch.minimum, xs),
    "concatenate": lambda xs, axis: torch.cat(list(xs), axis),
    "dot": _dot,
    "reshape": lambda x, shape: x.reshape(len(x), *shape),
}
_MERGES: dict[type, Callable[[Any], nn.Module]] = {
    layers.Add: lambda m: Function("add"),
    layers.Subtract: lambda m: Function("subtract"),
    layers.Multiply: lambda m: Function("multiply"),
    layers.Average: lambda m: Function("average"),
    layers.Maximum: lambda m: Function("maximum"),
    layers.Minimum: lambda m: Function("minimum"),
    layers.Concatenate: lambda m: Function("concatenate", m.axis),
    layers.Dot: lambda m: Function("dot", m.normalize),
}


class PReLU(nn.Module):
    """x where positive, else weight * x, with a slope for each place of a row."""

    def __init__(self, slopes: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(slopes.copy()))

    def forward(self, x: Any) -> Any:
        """X, or weight * x below 0."""
        return torch.where(x > 0, x, self.weight * x)


def _name(name: str) -> str:
    return name.replace(".", "_")


def _module(call: Call, rate_at: tuple[int, int]) -> nn.Module:
    """The module for a layer."""
    layer: Any = call.layer
    refused = f"layer {layer.name!r} of class {type(layer).__name__} has no counterpart in PyTorch"
    if not exact(layer):
        raise ValueError(refused)
    if layer.stochastic and call.acts != (True, False):
        raise ValueError(f"{refused}, when it acts as in {call.acts}")
    make = _MODULES.get(type(layer)) or _MERGES.get(type(layer))
    if isinstance(layer, layers.Dropout | layers.AlphaDropout) and make is not None:
        if getattr(layer, "noise_shape", None) or getattr(layer, "scale_at", "train") != "train":
            raise ValueError(f"{refused}, with noise_shape or scale_at")
        kind = nn.Dropout if type(layer) is layers.Dropout else nn.AlphaDropout
        return kind(layer.rate_at(*rate_at))
    if make is None:
        raise ValueError(refused)
    try:
        return make(layer)
    except ValueError as error:
        raise ValueError(f"{refused}: {error}") from error


def _activation(function: Any) -> nn.Module | None:
    """The module of an activation; None for linear."""
    name = function.name
    if type(function) is not activations.Function or not exact(function) or name not in _ACTIVE:
        raise ValueError(f"its activation is {function!r}")
    slope, alpha = function.negative_slope, function.alpha
    if name == "relu" and function.options:
        if function.options == {"max_value": 6.0}:
            return nn.ReLU6()
        if set(function.options) == {"negative_slope"}:
            return nn.LeakyReLU(slope)
        raise ValueError(f"its activation is {function!r}")
    if name == "celu":
        return nn.CELU(1.0 if alpha is None else alpha)
    if name == "leaky_relu":
        return nn.LeakyReLU(0.2 if slope is None else slope)
    if name == "elu":
        return nn.ELU(1.0 if alpha is None else alpha)
    if name == "gelu":
        return nn.GELU(approximate="tanh" if function.approximate else "none")
    return _ACTIVE[name]()


_ACTIVE: dict[str, Callable[[], nn.Module | None]] = {
    "linear": lambda: None,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(-1),
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_silu": nn.Hardswish,
    "mish": nn.Mish,
    "log_sigmoid": nn.LogSigmoid,
    "hard_tanh": nn.Hardtanh,
    "tanh_shrink": nn.Tanhshrink,
    "celu": nn.CELU,
}


def _fill(module: Any, **arrays: Any) -> Any:
    """Copy arrays into a module's parameters and buffers."""
    module.to(_DTYPES[next(a.dtype.name for a in arrays.values() if a is not None)])
    with torch.no_grad():
        for name, array in arrays.items():
            if array is not None:
                getattr(module, name).copy_(torch.as_tensor(np.array(array)))
    return module


def _dense(layer: Any) -> nn.Module:
    linear = nn.Linear(*layer.kernel.shape, bias=layer.bias is not None)
    _fill(linear, weight=layer.kernel.T, bias=layer.bias)
    after = _activation(layer.activation)
    if after is None:
        return linear
    return nn.Sequential(OrderedDict(linear=linear, activation=after))


def _batch_norm(layer: Any) -> nn.Module:
    if layer._build_shape is not None and len(layer._build_shape) != 2:
        raise ValueError("its rows are no vectors")
    affine = layer.gamma is not None or layer.beta is not None
    size = len(layer.moving_mean)
    module = nn.BatchNorm1d(size, layer.epsilon, 1.0 - layer.momentum, affine)
    return _fill(
        module,
        running_mean=layer.moving_mean,
        running_var=layer.moving_variance,
        weight=layer.gamma,
        bias=layer.beta,
    )


def _layer_norm(layer: Any) -> nn.Module:
    size = layer._build_shape[-1]
    affine = layer.gamma is not None or layer.beta is not None
    module = nn.LayerNorm(size, layer.epsilon, affine)
    if affine:
        _fill(module, weight=layer.gamma, bias=layer.beta)
    return module


def _normalization(layer: Any) -> nn.Module:
    mean, deviation = layer._statistics()
    if layer.invert:
        return Affine(deviation, mean)
    return Affine(1.0 / deviation, 0.0, mean)


def _activation_layer(layer: Any) -> nn.Module:
    return _activation(layer.activation) or nn.Identity()


_MODULES: dict[type, Callable[[Any], nn.Module]] = {
    layers.Dense: _dense,
    layers.Dropout: lambda m: nn.Dropout(),
    layers.AlphaDropout: lambda m: nn.AlphaDropout(),
    layers.BatchNormalization: _batch_norm,
    layers.LayerNormalization: _layer_norm,
    layers.Activation: _activation_layer,
    layers.ReLU: _activation_layer,
    layers.LeakyReLU: _activation_layer,
    layers.ELU: _activation_layer,
    layers.Softmax: lambda m: nn.Softmax(m.axis),
    layers.PReLU: lambda m: PReLU(m.alpha),
    layers.Embedding: lambda m: _fill(Embedding(*m.embeddings.shape), weight=m.embeddings),
    layers.Flatten: lambda m: nn.Flatten(),
    layers.Identity: lambda m: nn.Identity(),
    layers.ActivityRegularization: lambda m: nn.Identity(),
    layers.Reshape: lambda m: Function("reshape", m.target_shape),
    layers.Rescaling: lambda m: Affine(m.scale, m.offset),
    layers.Normalization: _normalization,
}

"""Layer 7: from_torch: an nn.Sequential as a model, with copies of its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from dropfast import activations, initializers, layers
from dropfast.arrays import Array
from dropfast.layers.base import Layer
from dropfast.models import Sequential
from dropfast.random import check_seed, draw_seed
from dropfast.torch import sequential as shared


def from_torch(
    network: nn.Sequential,
    input_shape: Sequence[int] | int | None = None,
    *,
    seed: int | None = None,
) -> Sequential:
    """See `dropfast.converters.from_torch`."""
    if not isinstance(network, nn.Sequential):
        raise TypeError(
            f"network must be a torch.nn.Sequential. Received: {type(network).__name__}"
        )
    parts = list(shared._parts(network, ""))
    dtype = shared._dtype_of(network) if list(network.parameters()) else "float32"
    shape: Any = (None, *_row_shape(parts, input_shape))
    row: list[Layer] = []
    for name, module in parts:
        layer = _layer(name, module)
        if layer is None:
            continue
        last = name.rpartition(".")[2]
        if not last.isdigit():
            layer.name = name
        shape = _built(name, module, layer, shape, dtype)
        row.append(layer)
    if not row:
        raise ValueError(f"network must have a module that does something. Received: {network}")
    seed = draw_seed() if seed is None else check_seed(seed)
    found = Sequential(row, seed=seed, dtype=dtype)
    found.build((None, *_row_shape(parts, input_shape)))
    return found


def _row_shape(parts: list[tuple[str, Any]], given: Any) -> tuple[int, ...]:
    """Shape of a row: as given, or that of the first module that has one."""
    if given is not None:
        return layers.Input(given).shape[1:]  # type: ignore[return-value]
    for _, module in parts:
        if isinstance(module, nn.Flatten | nn.Unflatten | nn.Embedding):
            break
        for name in ("in_features", "num_features"):
            if hasattr(module, name):
                return (int(getattr(module, name)),)
        if isinstance(module, nn.LayerNorm):
            return tuple(module.normalized_shape)
    raise ValueError("input_shape must be given where modules don't tell it. Received: None")


def _layer(name: str, module: Any) -> Layer | None:
    """Our layer for a module."""
    kind = type(module)
    refused = f"network must be of modules that dropfast knows. Received: {name} = {module}"
    layer: Any
    if kind is nn.PReLU:
        one = module.num_parameters == 1
        layer = layers.PReLU(initializers.Constant(0.25), shared_axes=[1] if one else None)
    elif kind is nn.Embedding:
        if module.padding_idx is not None or module.max_norm is not None:
            raise ValueError(f"{refused}, with a padding or a norm")
        layer = layers.Embedding(module.num_embeddings, module.embedding_dim)
    elif kind in _CURVES:
        curve, plain = _CURVES[kind]
        if not plain(module):
            raise ValueError(refused)
        options: dict[str, Any] = {"max_value": 6.0} if kind is nn.ReLU6 else {}
        options |= {"alpha": module.alpha} if kind is nn.CELU else {}
        layer = layers.Activation(activations.Function(curve, **options))
    else:
        layer = shared._counterpart(name, module)
    wanted = {parameter.requires_grad for parameter in module.parameters()}
    if layer is not None and wanted == {False}:
        layer.trainable = False
    return layer  # type: ignore[no-any-return]


# Further activations: our name, and whether their settings are those that we have.
_CURVES: dict[type, tuple[str, Callable[[Any], bool]]] = {
    nn.ReLU6: ("relu", lambda m: True),
    nn.Softplus: ("softplus", lambda m: (m.beta, m.threshold) == (1, 20)),
    nn.Softsign: ("softsign", lambda m: True),
    nn.Hardsigmoid: ("hard_sigmoid", lambda m: True),
    nn.Hardswish: ("hard_silu", lambda m: True),
    nn.Mish: ("mish", lambda m: True),
    nn.LogSigmoid: ("log_sigmoid", lambda m: True),
    nn.Hardtanh: ("hard_tanh", lambda m: (m.min_val, m.max_val) == (-1, 1)),
    nn.Tanhshrink: ("tanh_shrink", lambda m: True),
    nn.CELU: ("celu", lambda m: True),
}
_NAMES = {
    **shared._NAMES,
    layers.PReLU: (("alpha", "weight"),),
    layers.Embedding: (("embeddings", "weight"),),
}


def _built(name: str, module: Any, layer: Layer, shape: Any, dtype: str) -> Any:
    """Give a layer the module's weights; returns the shape of its output."""
    wide = len(shape) > 2
    # Theirs are the channels, the first axis after the batch.
    by_channel = type(module) in (nn.BatchNorm1d, nn.PReLU) or (
        type(module) is nn.Softmax and module.dim == 1
    )
    if wide and by_channel:
        raise ValueError(
            f"network must have vectors before {name} = {module}. Received: rows of {shape[1:]}"
        )
    values = [_array(module, theirs) for _, theirs in _NAMES.get(type(layer), ())]
    try:
        layer.build_once(shape, dtype, values=iter([v for v in values if v is not None]))
        return layer.compute_output_shape(shape)
    except ValueError as error:
        raise ValueError(
            f"network must be of modules that fit each other. Received: {name} = {module}: {error}"
        ) from error


def _array(module: Any, name: str) -> Array | None:
    tensor = getattr(module, name)
    if tensor is None:
        return None
    array = tensor.detach().numpy()
    return np.array(array.T if isinstance(module, nn.Linear) else array)

"""Layer 7: fit_sequential: a torch.nn.Sequential trained by dropfast's engine where it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from dropfast import activations, layers, losses, models, optimizers
from dropfast.torch import keys, modules

_DTYPES = {torch.float32: "float32", torch.float64: "float64"}


def fit_sequential(
    network: nn.Sequential,
    x: Any,
    y: Any,
    *,
    loss: Any,
    optimizer: Any = "sgd",
    seed: int | None = None,
    **fit: Any,
) -> Any:
    """Train an nn.Sequential with dropfast's engine, in the memory of its own parameters.

    Parameters
    ----------
    network
        Of Linear, Dropout, AlphaDropout, BatchNorm1d, LayerNorm, Flatten, Identity and activations;
        nested Sequentials too. Float32 or float64 on the CPU.
    x, y
        Rows and targets: tensors or arrays.
    loss
        A CrossEntropyLoss, BCEWithLogitsLoss, MSELoss, L1Loss or HuberLoss of torch.nn, or what
        ``dropfast.Sequential.compile`` takes.
    optimizer
        An SGD, Adam or AdamW of torch.optim, whose settings are taken, not its state; or what
        ``dropfast.Sequential.compile`` takes.
    seed
        Of masks and shuffling; None draws one from PyTorch's default generator.
    **fit
        As ``dropfast.Sequential.fit`` takes them: `batch_size`, `epochs`, `validation_data`,
        `callbacks`, `verbose`, and so on.

    Returns
    -------
    History
        Losses by epoch, in ``history.history``.

    Raises
    ------
    TypeError, ValueError
        If something has no counterpart in dropfast; it is named, and nothing is changed.

    Notes
    -----
    Parameters stay the objects that they are, `state_dict` too; a weight of Linear keeps its shape
    and lies transposed afterwards. The running variance of BatchNorm1d is that of the batch (n, not
    n - 1), and Adam's epsilon is added before the correction of its moments, as in Keras.

    Examples
    --------
    >>> import torch
    >>> from dropfast.torch import fit_sequential
    >>> _ = torch.manual_seed(0)
    >>> x = torch.randn(256, 4)
    >>> network = torch.nn.Sequential(
    ...     torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(16, 2)
    ... )
    >>> history = fit_sequential(
    ...     network, x, (x[:, 0] > 0).long(), loss=torch.nn.CrossEntropyLoss(),
    ...     optimizer=torch.optim.Adam(network.parameters(), 0.01), epochs=30, verbose=0,
    ... )
    >>> accuracy = (network.eval()(x).argmax(1) == (x[:, 0] > 0)).float().mean()
    >>> bool(accuracy > 0.95)
    True
    """
    if not isinstance(network, nn.Sequential):
        raise TypeError(
            f"network must be a torch.nn.Sequential. Received: {type(network).__name__}"
        )
    rows, targets = _array(x), _array(y)
    parts = list(_parts(network, ""))
    dtype = _dtype_of(network)
    made = [(module, _counterpart(name, module)) for name, module in parts]
    seed = keys.draw() if seed is None else seed
    model = models.Sequential(
        [layers.Input(tuple(rows.shape[1:])), *(layer for _, layer in made if layer is not None)],
        seed=seed,
        dtype=dtype,
    )
    model.compile(optimizer=_optimizer(optimizer, network), loss=_loss(loss))
    _check_sizes(made)
    for module, layer in made:
        if layer is not None:
            _share(module, layer)
    try:
        return model.fit(rows, targets, **fit)
    finally:
        for module, _ in made:
            _after(module, int(model.optimizer.iterations))


def _array(values: Any) -> Any:
    return values.detach().numpy() if isinstance(values, torch.Tensor) else values


def _parts(network: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Modules in order, those of nested Sequentials too."""
    for name, module in network.named_children():
        if type(module) is nn.Sequential:
            yield from _parts(module, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", module
    if len(network._modules) != len({id(module) for module in network._modules.values()}):
        raise ValueError(f"network must hold each module once. Received: {network}")


def _dtype_of(network: nn.Module) -> str:
    found = {(p.dtype, p.device.type) for p in network.parameters()}
    if len(found) != 1 or next(iter(found))[0] not in _DTYPES or next(iter(found))[1] != "cpu":
        raise TypeError(
            "parameters must all be float32, or all float64, on the CPU. "
            f"Received: {sorted(map(str, found))}"
        )
    return _DTYPES[next(iter(found))[0]]


def _function(name: str, **options: Any) -> Any:
    return layers.Activation(activations.Function(name, **options))


def _dropout(module: Any) -> Any:
    return layers.Dropout(module.p) if module.p else None


def _alpha_dropout(module: Any) -> Any:
    return layers.AlphaDropout(module.p) if module.p else None


def _batch_norm(module: Any) -> Any:
    if not module.track_running_stats or module.momentum is None:
        raise ValueError("it must track running statistics with a momentum")
    affine = module.affine
    return layers.BatchNormalization(
        momentum=1.0 - module.momentum, epsilon=module.eps, center=affine, scale=affine
    )


def _layer_norm(module: Any) -> Any:
    if len(module.normalized_shape) != 1:
        raise ValueError("it must normalise one axis")
    scale, center = module.weight is not None, module.bias is not None
    return layers.LayerNormalization(epsilon=module.eps, center=center, scale=scale)


def _softmax(module: Any) -> Any:
    if module.dim not in (1, -1):
        raise ValueError("its axis must be the last")
    return _function("softmax")


def _flatten(module: Any) -> Any:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise ValueError("it must flatten all axes but the first")
    return layers.Flatten()


_COUNTERPARTS: dict[type[Any], Callable[[Any], Any]] = {
    nn.Linear: lambda m: layers.Dense(m.out_features, use_bias=m.bias is not None),
    nn.Dropout: _dropout,
    modules.Dropout: _dropout,
    nn.AlphaDropout: _alpha_dropout,
    modules.AlphaDropout: _alpha_dropout,
    nn.BatchNorm1d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.Flatten: _flatten,
    nn.Identity: lambda m: None,
    nn.ReLU: lambda m: _function("relu"),
    nn.LeakyReLU: lambda m: _function("leaky_relu", negative_slope=m.negative_slope),
    nn.ELU: lambda m: _function("elu", alpha=m.alpha),
    nn.SELU: lambda m: _function("selu"),
    nn.GELU: lambda m: _function("gelu", approximate=m.approximate == "tanh"),
    nn.SiLU: lambda m: _function("silu"),
    nn.Tanh: lambda m: _function("tanh"),
    nn.Sigmoid: lambda m: _function("sigmoid"),
    nn.Softmax: _softmax,
}


def _counterpart(name: str, module: nn.Module) -> Any:
    """Our layer for a module."""
    make = _COUNTERPARTS.get(type(module))
    refused = f"network must be of modules that dropfast knows. Received: {name} = {module}"
    if make is None:
        known = ", ".join(kind.__name__ for kind in _COUNTERPARTS if kind.__module__[:5] == "torch")
        raise TypeError(f"{refused}; known are {known}")
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        raise ValueError(f"{refused}, which has hooks")
    wanted = {parameter.requires_grad for parameter in module.parameters()}
    if len(wanted) > 1:
        raise ValueError(f"{refused}, of which only a part is trained")
    try:
        layer = make(module)
    except ValueError as error:
        raise ValueError(f"{refused}: {error}") from None
    if layer is not None and wanted == {False}:
        layer.trainable = False
    return layer


_NAMES = {
    layers.Dense: (("kernel", "weight"), ("bias", "bias")),
    layers.LayerNormalization: (("gamma", "weight"), ("beta", "bias")),
    layers.BatchNormalization: (
        ("gamma", "weight"),
        ("beta", "bias"),
        ("moving_mean", "running_mean"),
        ("moving_variance", "running_var"),
    ),
}


def _check_sizes(made: list[tuple[nn.Module, Any]]) -> None:
    """Whether the features that arrive are those that modules expect."""
    for module, layer in made:
        for ours, theirs in _NAMES.get(type(layer), ()):
            tensor, weight = getattr(module, theirs), getattr(layer, ours)
            if tensor is not None and tuple(tensor.t().shape) != weight.shape:
                raise ValueError(
                    f"x must have the features that {module} expects. "
                    f"Received: features for weights of shape {weight.shape}"
                )


def _share(module: nn.Module, layer: Any) -> None:
    """Let a layer's weights be the memory of the module's parameters and buffers."""
    for ours, theirs in _NAMES.get(type(layer), ()):
        tensor = getattr(module, theirs)
        if tensor is None:
            continue
        # The engine reads a kernel by inputs: the weight lies transposed from now on.
        if not tensor.t().is_contiguous():
            tensor.data = tensor.data.t().contiguous().t()
        array = tensor.data.t().numpy()
        weight = next(weight for weight in layer._weights if weight.name == ours)
        weight.value = layer.__dict__[ours] = array


def _after(module: nn.Module, steps: int) -> None:
    """Tell PyTorch that parameters were written, and how often."""
    if isinstance(module, nn.BatchNorm1d) and module.num_batches_tracked is not None:
        module.num_batches_tracked += steps
    for tensor in (*module.parameters(), *module.buffers()):
        torch.autograd.graph.increment_version(tensor)


def _loss(loss: Any) -> Any:
    kind = type(loss)
    if not isinstance(loss, nn.Module):
        return loss
    plain = getattr(loss, "weight", None) is None and getattr(loss, "pos_weight", None) is None
    plain = plain and loss.reduction == "mean" and getattr(loss, "ignore_index", -100) == -100
    if plain and kind is nn.CrossEntropyLoss:
        smoothing = loss.label_smoothing
        return losses.SparseCategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    if plain and kind is nn.BCEWithLogitsLoss:
        return losses.BinaryCrossentropy(from_logits=True)
    if plain and kind is nn.MSELoss:
        return losses.MeanSquaredError()
    if plain and kind is nn.L1Loss:
        return losses.MeanAbsoluteError()
    if plain and kind is nn.HuberLoss:
        return losses.Huber(delta=loss.delta)
    raise ValueError(
        "loss must be a CrossEntropyLoss, BCEWithLogitsLoss, MSELoss, L1Loss or HuberLoss without "
        f"weights, whose reduction is the mean. Received: {loss}"
    )


def _optimizer(optimizer: Any, network: nn.Module) -> Any:
    if not isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    kind, groups = type(optimizer), optimizer.param_groups
    group = groups[0]
    trained = {id(p) for p in network.parameters() if p.requires_grad}
    whole = len(groups) == 1 and trained == {id(p) for p in group["params"]}
    decay = group.get("weight_decay") or 0.0
    plain = whole and not group.get("maximize") and not group.get("dampening")
    if plain and kind is torch.optim.SGD and not decay:
        return optimizers.SGD(float(group["lr"]), group["momentum"], group["nesterov"])
    if plain and kind in (torch.optim.Adam, torch.optim.AdamW):
        (beta_1, beta_2), rate = group["betas"], float(group["lr"])
        options = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": group["eps"]}
        options["amsgrad"] = group["amsgrad"]
        if kind is torch.optim.AdamW:
            return optimizers.AdamW(rate, weight_decay=decay, **options)
        if not decay:
            return optimizers.Adam(rate, **options)
    raise ValueError(
        "optimizer must be an SGD or Adam without weight decay, or an AdamW, of all parameters "
        f"that are trained and no others, in one group. Received: {optimizer}"
    )

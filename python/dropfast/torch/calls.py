"""Layer 7: one call of any dropout function: arguments as PyTorch checks them, the quickest way.

A plain CPU tensor goes to the kernels, with a node of automatic differentiation where a gradient
is needed. A tensor that is traced or transformed goes to the operator. Everything else, wrong
arguments included, goes to PyTorch's own function: its results, its errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.overrides import handle_torch_function

from dropfast import _core
from dropfast.torch import kernels, keys, nodes, ops, tensors
from dropfast.torch.kernels import Place, Shared

_has_torch_function = torch._C._has_torch_function_unary
_is_compiling = torch.compiler.is_compiling
_is_plain = tensors.is_plain
_grad_enabled = torch.is_grad_enabled


class Function(NamedTuple):
    """A function of the family: rule, PyTorch's own function, our name for it, usual rank."""

    rule: int
    peer: Callable[..., torch.Tensor]
    name: str
    rank: int = 4

    @property
    def ours(self) -> Callable[..., torch.Tensor]:
        """Our public function, by which a call is recorded."""
        from dropfast.torch import functional

        found: Callable[..., torch.Tensor] = getattr(functional, self.name)
        return found


def drop(
    function: Function,
    x: torch.Tensor,
    p: float,
    training: bool,
    inplace: bool,
    key: _core.Key | torch.Tensor | None = None,
    shared: Shared = None,
) -> torch.Tensor:
    """What all functions do. Axes in `shared` share their decisions."""
    if _is_compiling() or _has_torch_function(x):
        return _elsewhere(function, x, p, training, inplace, key, shared)
    if not _is_plain(x):
        return _elsewhere(function, x, p, training, inplace, key, shared)
    if type(p) is not float or not 0.0 <= p <= 1.0:
        p = check_p(function, p)
    if not training or p == 0.0 or not x.numel():
        return x
    if inplace:
        return _in_place(function.rule, x, p, key, shared)
    strides = None
    if key is None:
        # With p = 1 there is nothing to draw.
        key = keys.draw() if p < 1.0 else 0
        if shared is None and not x.is_contiguous():
            strides = kernels.order(x)
    elif type(key) is not _core.Key:
        key = keys.of_tensor(key)
    if x.requires_grad and _grad_enabled():
        found: torch.Tensor = nodes.apply(x, function.rule, p, key, shared, strides)
        return found
    return kernels.run(function.rule, x, p, key, shared, strides)


def is_foreign(x: object) -> bool:
    """Whether a class or a mode wants to see the call before anything is asked of `x`."""
    return not _is_compiling() and _has_torch_function(x)


def check_p(function: Function, p: float) -> float:
    """`p` as a probability; PyTorch's own errors where it is none."""
    function.peer(torch.empty((0,) * function.rank, device="cpu"), p, True)
    return float(p)


def _in_place(
    rule: int, x: torch.Tensor, p: float, key: _core.Key | torch.Tensor | None, shared: Shared
) -> torch.Tensor:
    """A plain tensor is overwritten, once it is clear that it may be."""
    tracked = _grad_enabled() and (x.requires_grad or x._is_view())
    if tracked and x.requires_grad and x.is_leaf:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
        )
    state = torch.get_rng_state() if key is None else None
    place = _place(key, p)
    if x.is_contiguous() and not (tracked and x._is_view()) and not x.is_inference():
        if tracked:
            return nodes.differentiable_in_place(x, rule, p, place, shared, None)
        kernels.into(rule, x, x, p, place, shared, None)
        torch.autograd.graph.increment_version(x)
        return x
    # PyTorch's own copy knows which views must not be written, and says so before it writes.
    try:
        return x.copy_(nodes.differentiable(x, rule, p, place, shared, None))
    except RuntimeError:
        if state is not None:
            torch.set_rng_state(state)
        raise


def _place(key: _core.Key | torch.Tensor | None, p: float) -> Place:
    if key is None:
        return keys.draw() if p < 1.0 else 0
    return keys.of_tensor(key) if isinstance(key, torch.Tensor) else key


def _elsewhere(
    function: Function,
    x: torch.Tensor,
    p: float,
    training: bool,
    inplace: bool,
    key: _core.Key | torch.Tensor | None,
    shared: Shared,
) -> torch.Tensor:
    """Tensors that are traced or transformed, and those that only PyTorch knows."""
    kind = tensors.kind(x)
    if kind is not tensors.Kind.OTHER or tensors.is_proxy(x):
        if not _is_compiling() and _has_torch_function(x):
            extra: dict[str, Any] = {} if key is None else {"key": key}
            if shared is not None and function.name == "dropout":
                extra["noise_shape"] = tuple(1 if one else None for one in shared)
            return handle_torch_function(function.ours, (x,), x, p, training, inplace, **extra)
        # A fake tensor outside its mode brings the mode along, for the key to be as fake.
        mode = None if _is_compiling() else getattr(x, "fake_mode", None)
        if mode is not None:
            with mode:
                return _traced(function, x, p, training, inplace, key, shared)
        return _traced(function, x, p, training, inplace, key, shared)
    if training and (key is not None or (shared is not None and function.name == "dropout")):
        raise NotImplementedError(
            "key and noise_shape need a plain CPU tensor of float16, bfloat16, float32 or float64. "
            f"Received: {_describe(x)}"
        )
    return function.peer(x, p, training, inplace)


def _describe(x: Any) -> str:
    if not isinstance(x, torch.Tensor):
        return type(x).__name__
    return f"{type(x).__name__} of {x.dtype} on {x.device}, layout {x.layout}"


def _traced(
    function: Function,
    x: torch.Tensor,
    p: float,
    training: bool,
    inplace: bool,
    key: _core.Key | torch.Tensor | None,
    shared: Shared,
) -> torch.Tensor:
    if p < 0.0 or p > 1.0:
        return function.peer(x, p, training, inplace)
    if not training or p == 0.0:
        return x
    if key is None:
        key = keys.draw_tensor()
    elif not isinstance(key, torch.Tensor):
        key = keys.as_tensor(key)
    flags = None if shared is None else list(shared)
    y = ops.dropout(x, key, float(p), function.rule, flags)
    return x.copy_(y) if inplace else y

"""Layer 7: `dropfast::dropout`, the operator that stands for the kernels in graphs and transforms.

``dropout(Tensor x, Tensor key, float p, int rule, bool[]? shared) -> Tensor`` is a pure function:
its key is a tensor that is drawn outside, so that a graph that is replayed draws a new mask, and
one that is computed again the same. It has rules for shapes alone (fake tensors), reverse and
forward differentiation of any order, and `torch.func.vmap`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd.forward_ad import _set_fwd_grad_enabled
from torch.autograd.function import _SingleLevelFunction as SingleLevelFunction

from dropfast.torch import kernels, keys

_LIBRARY = torch.library.Library("dropfast", "DEF")
_LIBRARY.define(
    "dropout(Tensor x, Tensor key, float p, int rule, bool[]? shared=None) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
dropout = torch.ops.dropfast.dropout.default


def _on_cpu(
    x: torch.Tensor, key: torch.Tensor, p: float, rule: int, shared: list[bool] | None = None
) -> torch.Tensor:
    """The kernels themselves."""
    if p == 0.0 or not x.numel():
        return x.clone()
    axes = None if shared is None else tuple(shared)
    return kernels.run(rule, x.resolve_neg(), p, keys.of_tensor(key), axes, None)


def _fake(
    x: torch.Tensor, key: torch.Tensor, p: float, rule: int, shared: list[bool] | None = None
) -> torch.Tensor:
    """Shape, type and layout of the result."""
    if shared is None and not any(x.stride()):
        return torch.empty_like(x, memory_format=torch.contiguous_format)
    return torch.empty_like(x)


class _Node(SingleLevelFunction):
    """The derivative of the operator, in both directions: the rule's linear part at the same key.

    A node of one level: the dispatcher has taken transforms off, level by level, before it is made.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        key: torch.Tensor,
        p: float,
        rule: int,
        shared: list[bool] | None,
    ) -> torch.Tensor:
        ctx.save_for_backward(key)
        ctx.save_for_forward(key)
        ctx.rest = p, kernels.DERIVATIVE[rule], shared
        if not torch._C._are_functorch_transforms_active():
            with torch._C._AutoDispatchBelowAutograd():
                return dropout(x, key, p, rule, shared)
        # Below lie the transforms around this one, which differentiate as they were told to.
        with (
            torch.enable_grad(),
            _set_fwd_grad_enabled(True),
            torch._C._AutoDispatchBelowAutograd(),
        ):
            return dropout(x, key, p, rule, shared)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        (key,) = ctx.saved_tensors
        return dropout(dy, key, *ctx.rest), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, dx: torch.Tensor, *_: Any) -> torch.Tensor:
        (key,) = ctx.saved_tensors
        return dropout(dx, key, *ctx.rest)


def _differentiable(
    x: torch.Tensor, key: torch.Tensor, p: float, rule: int, shared: list[bool] | None = None
) -> torch.Tensor:
    if not torch._C._are_functorch_transforms_active():
        return _Node.apply(x, key, p, rule, shared)
    with enable_single_level_autograd_function():
        return _Node.apply(x, key, p, rule, shared)


def _batched(
    info: Any,
    in_dims: tuple[int | None, ...],
    x: torch.Tensor,
    key: torch.Tensor,
    p: float,
    rule: int,
    shared: list[bool] | None = None,
) -> tuple[torch.Tensor, int | None]:
    """One mask for the whole batch where the key is not batched, else one for each entry."""
    x_dim, key_dim = in_dims[:2]
    if x_dim is not None:
        x = x.movedim(x_dim, 0)
    if key_dim is None:
        flags = [False] * (x.dim() - 1) if shared is None else list(shared)
        return dropout(x, key, p, rule, [True, *flags]), 0
    entries = key.movedim(key_dim, 0).unbind()
    rows = x.unbind() if x_dim is not None else (x,) * len(entries)
    found = [dropout(row, entry, p, rule, shared) for row, entry in zip(rows, entries, strict=True)]
    return torch.stack(found), 0


_LIBRARY.impl("dropout", _on_cpu, "CPU")
_LIBRARY.impl("dropout", _differentiable, "Autograd")
torch.library.register_fake("dropfast::dropout", _fake, lib=_LIBRARY)
# Before PyTorch 2.5 a loop of its own goes over the batch.
if hasattr(torch.library, "register_vmap"):
    torch.library.register_vmap("dropfast::dropout", _batched, lib=_LIBRARY)

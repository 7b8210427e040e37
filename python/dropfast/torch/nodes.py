"""Layer 7: the kernels as nodes of automatic differentiation, for calls that nothing traces.

They do what the operator of `dropfast.torch.ops` does, in a third of its time. Only a key is kept.
"""

from __future__ import annotations

from typing import Any

import torch

from dropfast.torch import kernels, keys, ops
from dropfast.torch.kernels import Place, Shared, Strides
from dropfast.torch.tensors import is_plain


class Dropped(torch.autograd.Function):
    """A rule on a tensor."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        rule: int,
        p: float,
        key: Place,
        shared: Shared,
        strides: Strides,
    ) -> torch.Tensor:
        """Draw the mask and apply it."""
        ctx.rest = kernels.DERIVATIVE[rule], p, key, shared, strides
        return kernels.run(rule, x, p, key, shared, strides)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        """Draw the same mask again."""
        return differentiable(dy, *ctx.rest), None, None, None, None, None


class DroppedInPlace(Dropped):
    """A rule on a tensor that is overwritten."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        rule: int,
        p: float,
        key: Place,
        shared: Shared,
        strides: Strides,
    ) -> torch.Tensor:
        """Draw the mask and apply it."""
        ctx.rest = kernels.DERIVATIVE[rule], p, key, shared, strides
        ctx.mark_dirty(x)
        kernels.into(rule, x, x, p, key, shared, strides)
        return x


# Function.apply looks for transforms first: whoever calls these has seen that none is active.
apply = super(torch.autograd.Function, Dropped).apply
_apply_in_place = super(torch.autograd.Function, DroppedInPlace).apply


def differentiable(
    x: torch.Tensor, rule: int, p: float, key: Place, shared: Shared, strides: Strides
) -> torch.Tensor:
    """A rule on a tensor of any kind, with a node where a gradient is needed."""
    if torch.compiler.is_compiling() or not is_plain(x):
        return _traced(x, rule, p, key, shared, strides)
    if x.requires_grad and torch.is_grad_enabled():
        found: torch.Tensor = apply(x, rule, p, key, shared, strides)
        return found
    return kernels.run(rule, x, p, key, shared, strides)


def differentiable_in_place(
    x: torch.Tensor, rule: int, p: float, key: Place, shared: Shared, strides: Strides
) -> torch.Tensor:
    """A rule on a plain tensor, into itself."""
    found: torch.Tensor = _apply_in_place(x, rule, p, key, shared, strides)
    return found


def _traced(
    x: torch.Tensor, rule: int, p: float, key: Place, shared: Shared, strides: Strides
) -> torch.Tensor:
    """The operator, which knows the C order only: axes are brought into the order of memory."""
    number = keys.as_tensor(key)
    flags = None if shared is None else list(shared)
    if strides is None:
        return ops.dropout(x, number, p, rule, flags)
    axes = sorted(range(x.dim()), key=lambda axis: -strides[axis])
    found = ops.dropout(x.permute(axes), number, p, rule, flags)
    return found.permute([axes.index(axis) for axis in range(x.dim())])

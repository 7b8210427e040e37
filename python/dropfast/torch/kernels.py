"""Layer 7: the native kernels on tensors, as nodes of PyTorch's automatic differentiation.

Both kinds of dropout are a x + b elementwise, so a backward pass is one more kernel of the same
key and the backward of that is itself: gradients of any order come out of three small classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from dropfast import _core
from dropfast.arrays import Array

NoiseShape = tuple[int | None, ...] | None

_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def takes(x: torch.Tensor) -> bool:
    """Whether the kernels can work on this tensor's memory."""
    return x.device.type == "cpu" and x.layout == torch.strided and x.dtype in _DTYPES


@cache
def bfloat16() -> Any:
    """NumPy's bfloat16, of `ml_dtypes`; None where that is not installed."""
    try:
        from ml_dtypes import bfloat16 as found
    except ModuleNotFoundError:
        return None
    return found


def as_array(x: torch.Tensor) -> Array:
    """The tensor's memory as an array."""
    if x.dtype == torch.bfloat16:
        bits: Array = x.view(torch.int16).numpy()
        return bits.view(bfloat16())
    found: Array = x.numpy()
    return found


def run(
    kernel: Callable[..., Array], x: torch.Tensor, p: float, key: _core.Key, **arguments: Any
) -> torch.Tensor:
    """`kernel` on a tensor, into a new one of the same memory layout."""
    if x.dtype == torch.bfloat16 and bfloat16() is None:
        # The kernels compute in float32 and round once: so does this.
        return run(kernel, x.float(), p, key, **arguments).to(x.dtype)
    x = x.detach().resolve_neg()
    out = torch.empty_like(x)
    kernel(as_array(x), p, key, out=as_array(out), **arguments)
    return out


def run_in_place(
    kernel: Callable[..., Array], x: torch.Tensor, p: float, key: _core.Key, **arguments: Any
) -> torch.Tensor:
    """`kernel` on a tensor, into itself."""
    direct = x.dtype != torch.bfloat16 or bfloat16() is not None
    if direct and x.is_contiguous() and not x.is_neg():
        memory = as_array(x.detach())
        kernel(memory, p, key, out=memory, **arguments)
        return x
    # PyTorch's own copy refuses tensors some of whose elements share memory.
    x.detach().copy_(run(kernel, x, p, key, **arguments))
    return x


class _Elementwise(torch.autograd.Function):
    """What the nodes share: the arguments (x, p, key, noise_shape, inplace)."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        x, ctx.p, ctx.key, ctx.noise_shape, inplace = inputs
        if inplace:
            ctx.mark_dirty(x)


class Dropout(_Elementwise):
    """Zero or x / (1 - p): linear, so it is its own backward."""

    @staticmethod
    def forward(
        x: torch.Tensor, p: float, key: _core.Key, noise_shape: NoiseShape, inplace: bool
    ) -> torch.Tensor:
        """Draw the mask and apply it."""
        return (run_in_place if inplace else run)(_core.dropout, x, p, key, noise_shape=noise_shape)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        """Draw the same mask again."""
        return Dropout.apply(dy, ctx.p, ctx.key, ctx.noise_shape, False), None, None, None, None


class AlphaDropout(_Elementwise):
    """a x + b where kept, a alpha' + b where dropped."""

    @staticmethod
    def forward(
        x: torch.Tensor, p: float, key: _core.Key, noise_shape: NoiseShape, inplace: bool
    ) -> torch.Tensor:
        """Draw the mask and apply it."""
        return (run_in_place if inplace else run)(
            _core.alpha_dropout, x, p, key, noise_shape=noise_shape
        )

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        """Gradient a where kept, 0 where dropped."""
        dx = AlphaDropoutBackward.apply(dy, ctx.p, ctx.key, ctx.noise_shape, False)
        return dx, None, None, None, None


class AlphaDropoutBackward(_Elementwise):
    """The linear part of `AlphaDropout`, its own backward."""

    @staticmethod
    def forward(
        dy: torch.Tensor, p: float, key: _core.Key, noise_shape: NoiseShape, inplace: bool
    ) -> torch.Tensor:
        """Draw the mask and apply it to a gradient."""
        return run(_core.alpha_dropout_backward, dy, p, key, noise_shape=noise_shape)

    @staticmethod
    def backward(ctx: Any, ddx: torch.Tensor) -> tuple[Any, ...]:
        """Draw the same mask again."""
        dx = AlphaDropoutBackward.apply(ddx, ctx.p, ctx.key, ctx.noise_shape, False)
        return dx, None, None, None, None

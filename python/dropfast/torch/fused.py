"""Layer 7: dropout together with what stands beside it in transformers, in one pass over memory."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as peer

from dropfast import _core
from dropfast.torch import functional, kernels, keys, nodes, tensors
from dropfast.torch.calls import is_foreign


def dropout_add(
    input: torch.Tensor,
    residual: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """``residual + dropout(input)``: one pass forward, one backward, nothing kept but a key.

    Contiguous float32 tensors of one shape take the fused kernel; others are computed in steps, to
    the same mask.

    Parameters
    ----------
    input, residual
        What is dropped, and what it is added to.
    p, training, key
        As for `dropout`.

    Returns
    -------
    Tensor
        Of the shape of `residual`.

    Examples
    --------
    >>> import dropfast as df, torch
    >>> from dropfast.torch import dropout, dropout_add
    >>> x, residual, key = torch.randn(8, 16), torch.randn(8, 16), df.Key(0)
    >>> y = dropout_add(x, residual, 0.1, key=key)
    >>> bool((y == residual + dropout(x, 0.1, key=key)).all())
    True
    """
    return _add(input, None, residual, p, training, key)


def bias_dropout_add(
    input: torch.Tensor,
    bias: torch.Tensor,
    residual: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """``residual + dropout(input + bias)``, `bias` along the last axis; else as `dropout_add`."""
    return _add(input, bias, residual, p, training, key)


def gelu_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    approximate: str = "none",
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """``dropout(gelu(input))``; `approximate` is "none" or "tanh"; otherwise as `dropout_add`."""
    if not (_fuses(p, training, input) and approximate in ("none", "tanh")):
        return functional.dropout(peer.gelu(input, approximate=approximate), p, training, key=key)
    found: torch.Tensor = _GeluDropout.apply(input, p, _place(key), approximate == "tanh")
    return found


def _add(
    x: torch.Tensor,
    bias: torch.Tensor | None,
    residual: torch.Tensor,
    p: float,
    training: bool,
    key: _core.Key | None,
) -> torch.Tensor:
    given = (x, residual) if bias is None else (x, residual, bias)
    fits = _fuses(p, training, *given) and x.shape == residual.shape and x.dim() > 0
    if not fits or (bias is not None and bias.shape != x.shape[-1:]):
        return residual + functional.dropout(x if bias is None else x + bias, p, training, key=key)
    found: torch.Tensor = _Add.apply(x, bias, residual, p, _place(key))
    return found


def _fuses(p: float, training: bool, *given: torch.Tensor) -> bool:
    """Whether the fused kernels take these tensors."""
    if torch.compiler.is_compiling() or any(map(is_foreign, given)):
        return False
    return (
        training
        and type(p) is float
        and 0.0 < p < 1.0
        and all(
            tensors.is_plain(x) and x.dtype == torch.float32 and x.is_contiguous() and x.numel()
            for x in given
        )
    )


def _place(key: _core.Key | None) -> kernels.Place:
    return keys.draw() if key is None else key


class _Add(torch.autograd.Function):
    """residual + dropout(x + bias)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        bias: torch.Tensor | None,
        residual: torch.Tensor,
        p: float,
        key: kernels.Place,
    ) -> torch.Tensor:
        ctx.rest = kernels.DROPOUT, p, key, None, None
        ctx.biased = bias is not None
        y = torch.empty_like(x)
        address = 0 if bias is None else bias.data_ptr()
        _core._dropout_add(
            x.data_ptr(),
            address,
            x.shape[-1],
            residual.data_ptr(),
            y.data_ptr(),
            x.numel(),
            p,
            key,
        )
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        dx = nodes.differentiable(dy, *ctx.rest) if any(ctx.needs_input_grad[:2]) else None
        dbias = dx.sum_to_size(dx.shape[-1:]) if ctx.biased and dx is not None else None
        return dx, dbias, dy, None, None


class _GeluDropout(torch.autograd.Function):
    """dropout(gelu(x))."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, p: float, key: kernels.Place, tanh: bool
    ) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.rest = p, key, tanh
        y = torch.empty_like(x)
        _core._gelu_dropout(tanh, x.data_ptr(), y.data_ptr(), x.numel(), p, key)
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        (x,) = ctx.saved_tensors
        p, key, tanh = ctx.rest
        plain = not torch.compiler.is_compiling() and tensors.is_plain(dy) and dy.is_contiguous()
        if plain and tensors.is_plain(x) and not (torch.is_grad_enabled() and dy.requires_grad):
            dx = torch.empty_like(x)
            _core._gelu_dropout_backward(
                tanh, x.data_ptr(), dy.data_ptr(), dx.data_ptr(), x.numel(), p, key
            )
            return dx, None, None, None
        dropped = nodes.differentiable(dy, kernels.DROPOUT, p, key, None, None)
        approximate = "tanh" if tanh else "none"
        return (
            torch.ops.aten.gelu_backward(dropped, x, approximate=approximate),
            None,
            None,
            None,
        )

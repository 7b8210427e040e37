"""Layer 7: the native kernels on the memory of plain CPU tensors.

Decisions follow one of three orders. A key that the caller named: the C order of the tensor's
indices, whatever its layout (`strides` None). A key that was drawn for the call, which nobody else
can know: the order in which the elements lie, given by the strides of the output, so that every
dense layout is one run. Whole channels: the C order of the axes that are not `shared`.
"""

from __future__ import annotations

import torch

from dropfast import _core

DROPOUT, ALPHA_DROPOUT, ALPHA_GRADIENT = range(3)
# A rule's derivative is linear, and so its own derivative.
DERIVATIVE = (DROPOUT, ALPHA_GRADIENT, ALPHA_GRADIENT)

DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}

Place = _core.Key | int
Shared = tuple[bool, ...] | None
Strides = tuple[int, ...] | None


def order(x: torch.Tensor) -> Strides:
    """The order in which a result of `torch.empty_like` lies; None where that is the C order."""
    if x.is_contiguous():
        return None
    like = torch.empty_like(x, device="meta")
    return None if like.is_contiguous() else like.stride()


def run(
    rule: int, x: torch.Tensor, p: float, key: Place, shared: Shared, strides: Strides
) -> torch.Tensor:
    """A rule on a tensor, into a new one of the layout that PyTorch's functions give theirs."""
    if shared is None and strides is None and x.is_contiguous():
        y = torch.empty_like(x)
        size = x.numel()
        _core._drop(rule, DTYPES[x.dtype], x.data_ptr(), y.data_ptr(), size, p, key)
        return y
    return _run(rule, x, p, key, shared, strides)


def _run(
    rule: int, x: torch.Tensor, p: float, key: Place, shared: Shared, strides: Strides
) -> torch.Tensor:
    dtype, size = DTYPES[x.dtype], x.numel()
    if strides is None and shared is None and not any(x.stride()):
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        _core._drop_filled(rule, dtype, x.data_ptr(), y.data_ptr(), size, p, key)
        return y
    y = (
        torch.empty_like(x)
        if strides is None
        else torch.empty_strided(x.shape, strides, dtype=x.dtype, device="cpu")
    )
    # Elements that lie otherwise than the result are brought there first.
    if x.stride() != y.stride() and (shared is not None or strides is not None or _is_c(y)):
        y.copy_(x)
        x = y
    into(rule, x, y, p, key, shared, strides)
    return y


def _is_c(x: torch.Tensor) -> bool:
    found: bool = x.is_contiguous()
    return found


def into(
    rule: int,
    x: torch.Tensor,
    y: torch.Tensor,
    p: float,
    key: Place,
    shared: Shared,
    strides: Strides,
) -> None:
    """A rule from `x` into `y`, which may be the same; both lie by `strides`, where given."""
    dtype = DTYPES[x.dtype]
    if shared is None and (strides is not None or (x.is_contiguous() and y.is_contiguous())):
        _core._drop(rule, dtype, x.data_ptr(), y.data_ptr(), x.numel(), p, key)
    else:
        _core._drop_strided(
            rule,
            dtype,
            x.data_ptr(),
            y.data_ptr(),
            x.shape,
            x.stride(),
            y.stride(),
            shared,
            p,
            key,
        )

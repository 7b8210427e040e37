"""Layer 7: what a tensor is: memory for the kernels, something traced, or PyTorch's alone."""

from __future__ import annotations

import enum

import torch
from torch.autograd import forward_ad

from dropfast.torch.kernels import DTYPES

TYPES = frozenset((torch.Tensor, torch.nn.Parameter))
_TRACED_TYPES = frozenset(("FakeTensor", "FunctionalTensor"))

_transforms_active = torch._C._are_functorch_transforms_active
_dispatch_modes = torch._C._len_torch_dispatch_stack
_tracing = torch._C._get_tracing_state
_strided = torch.strided


class Kind(enum.Enum):
    """Who can take a tensor."""

    PLAIN = "its memory is read and written directly"
    TRACED = "operators on it are recorded or transformed"
    OTHER = "only PyTorch's own functions know what it is"


def is_plain(x: torch.Tensor) -> bool:
    """Whether the kernels can work on this tensor's memory here and now."""
    try:
        return (
            type(x) in TYPES
            and x.dtype in DTYPES
            and x.is_cpu
            and x.layout is _strided
            and not _transforms_active()
            and not _dispatch_modes()
            and forward_ad._current_level < 0
            and _tracing() is None
            and not x.is_neg()
            and not x.is_nested
            and (x.data_ptr() != 0 or not x.numel())
        )
    except RuntimeError:
        # Tensors that wrap others, batches of gradients for example, have no address.
        return False


def is_tensor(x: object) -> bool:
    """Whether this is a tensor of PyTorch's own classes, whatever it holds."""
    return type(x) in TYPES or type(x).__name__ in _TRACED_TYPES


def kind(x: torch.Tensor) -> Kind:
    """Who can take this tensor, at leisure."""
    if not is_tensor(x):
        return Kind.OTHER
    fits = x.dtype in DTYPES and x.device.type == "cpu" and x.layout == _strided
    if not fits or x.is_nested:
        return Kind.OTHER
    if torch.compiler.is_compiling():
        return Kind.TRACED
    if is_plain(x):
        return Kind.PLAIN
    return Kind.OTHER if x._is_zerotensor() else Kind.TRACED


def is_proxy(x: object) -> bool:
    """Whether torch.fx is recording."""
    if isinstance(x, torch.Tensor):
        return False
    from torch.fx import Proxy

    return isinstance(x, Proxy)

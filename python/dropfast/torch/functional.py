"""Layer 7: dropout as functions on tensors, with the arguments of torch.nn.functional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as peer

from dropfast import _core
from dropfast.torch import kernels
from dropfast.torch.kernels import NoiseShape


def draw_key() -> _core.Key:
    """A key of the state of PyTorch's default generator, which moves on by one number."""
    return _core.Key(int(torch.empty((), dtype=torch.int64).random_()))


def dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
    noise_shape: NoiseShape = None,
) -> torch.Tensor:
    """Inverted dropout: zero with probability `p`, the others times 1 / (1 - p).

    Parameters
    ----------
    input
        Tensor of any shape; float16, bfloat16, float32 or float64 on the CPU. Others go to
        PyTorch's own dropout, without `key` and `noise_shape`.
    p
        Probability to drop, in [0, 1].
    training
        False returns `input` itself.
    inplace
        Whether to write into `input`.
    key
        Where in the random stream to draw: the mask is that of ``dropfast.dropout_mask``. None
        takes a key from PyTorch's default generator, so `torch.manual_seed` makes it reproducible.
    noise_shape
        One entry per dimension: 1 where all positions share a decision, else None.

    Returns
    -------
    Tensor
        Of the shape and dtype of `input`.

    Raises
    ------
    ValueError
        If `p` or `noise_shape` is outside what is accepted.
    RuntimeError
        If `input` must not be written in place: a leaf that requires a gradient.

    Notes
    -----
    Dropped elements become exactly +0.0, NaN and infinity too, where PyTorch's CPU path has NaN.

    Examples
    --------
    >>> import dropfast as df, torch
    >>> from dropfast.torch import dropout
    >>> y = dropout(torch.ones(3, 4), 0.5, key=df.Key(seed=0))
    >>> kept = torch.from_numpy(df.dropout_mask((3, 4), 0.5, df.Key(seed=0)))
    >>> bool((y == 2 * kept).all())
    True
    """
    return apply(
        kernels.Dropout, peer.dropout, input, p, training, inplace, key, lambda _: noise_shape
    )


def dropout1d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """Drop whole channels of (N, C, L) or (C, L); otherwise as `dropout`."""
    return apply(kernels.Dropout, peer.dropout1d, input, p, training, inplace, key, _channels_1d)


def dropout2d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """Drop whole channels of (N, C, ...), as PyTorch also where there is one axis less than four.

    Otherwise as `dropout`.
    """
    return apply(kernels.Dropout, peer.dropout2d, input, p, training, inplace, key, _channels)


def dropout3d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """Drop whole channels of (N, C, D, H, W) or (C, D, H, W); otherwise as `dropout`."""
    return apply(kernels.Dropout, peer.dropout3d, input, p, training, inplace, key, _channels_3d)


def alpha_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """Dropout that keeps mean 0 and variance 1 of SELU networks (Klambauer et al. 2017).

    Arguments as `dropout`; like PyTorch's function it does nothing unless `training` is given.
    """
    return apply(
        kernels.AlphaDropout, peer.alpha_dropout, input, p, training, inplace, key, _elements
    )


def feature_alpha_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """Alpha dropout of whole channels of (N, C, ...); arguments as `alpha_dropout`."""
    return apply(
        kernels.AlphaDropout,
        peer.feature_alpha_dropout,
        input,
        p,
        training,
        inplace,
        key,
        _channels,
    )


def apply(
    node: Any,
    fallback: Callable[..., torch.Tensor],
    x: torch.Tensor,
    p: float,
    training: bool,
    inplace: bool,
    key: _core.Key | None,
    noise_shape: Callable[[torch.Tensor], NoiseShape],
) -> torch.Tensor:
    """What all functions do: check, choose between ours and PyTorch's, draw a key, apply."""
    p = check_p(p)
    if not kernels.takes(x):
        return fallback(x, p, training, inplace)
    noise = noise_shape(x)
    if not training:
        return x
    if inplace and x.is_leaf and x.requires_grad and torch.is_grad_enabled():
        raise RuntimeError(
            "input must not be a leaf that requires a gradient where inplace=True. "
            f"Received: a leaf of shape {tuple(x.shape)}"
        )
    if key is None:
        key = draw_key()
    found: torch.Tensor = node.apply(x, p, key, noise, inplace)
    return found


def check_p(p: float) -> float:
    """`p` as a probability."""
    if isinstance(p, bool) or not hasattr(p, "__float__") or not 0.0 <= float(p) <= 1.0:
        raise ValueError(f"p must be in [0, 1]. Received: p={p!r}")
    return float(p)


def _elements(x: torch.Tensor) -> NoiseShape:
    return None


def _channels(x: torch.Tensor) -> NoiseShape:
    """Decisions for (N, C), shared along all other axes."""
    if x.dim() < 2:
        raise ValueError(
            f"input must have axes (N, C, ...). Received: input of shape {tuple(x.shape)}"
        )
    return (None, None, *(1,) * (x.dim() - 2))


def _channels_1d(x: torch.Tensor) -> NoiseShape:
    return _last_axes(x, 1, "(N, C, L) or (C, L)")


def _channels_3d(x: torch.Tensor) -> NoiseShape:
    return _last_axes(x, 3, "(N, C, D, H, W) or (C, D, H, W)")


def _last_axes(x: torch.Tensor, shared: int, expected: str) -> NoiseShape:
    """Decisions for what stands before the last `shared` axes."""
    own = x.dim() - shared
    if own not in (1, 2):
        raise ValueError(
            f"input must have axes {expected}. Received: input of shape {tuple(x.shape)}"
        )
    return (*(None,) * own, *(1,) * shared)

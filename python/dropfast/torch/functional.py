"""Layer 7: dropout as functions on tensors, with the arguments of torch.nn.functional."""

from __future__ import annotations

import torch
from torch.nn import functional as peer

from dropfast import _core
from dropfast.torch import kernels
from dropfast.torch.calls import Function, drop, is_foreign
from dropfast.torch.kernels import Shared

NoiseShape = tuple[int | None, ...] | None

# Bound now: the originals stay reachable where somebody puts ours in their place.
_DROPOUT = Function(kernels.DROPOUT, peer.dropout, "dropout")
_DROPOUT_1D = Function(kernels.DROPOUT, peer.dropout1d, "dropout1d", rank=3)
_DROPOUT_2D = Function(kernels.DROPOUT, peer.dropout2d, "dropout2d")
_DROPOUT_3D = Function(kernels.DROPOUT, peer.dropout3d, "dropout3d", rank=5)
_ALPHA = Function(kernels.ALPHA_DROPOUT, peer.alpha_dropout, "alpha_dropout")
_FEATURE_ALPHA = Function(
    kernels.ALPHA_DROPOUT, peer.feature_alpha_dropout, "feature_alpha_dropout"
)


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
        PyTorch's own dropout.
    p
        Probability to drop, in [0, 1].
    training
        False returns `input` itself.
    inplace
        Whether to write into `input`.
    key
        Where in the random stream to draw: the mask is that of ``dropfast.dropout_mask``. None
        takes a key from PyTorch's default generator, so `torch.manual_seed` makes it reproducible;
        the mask then follows the order of elements in memory, as PyTorch's does.
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
    TypeError
        If an argument has a wrong type.
    RuntimeError
        If `input` must not be written in place, as a leaf that requires a gradient; it is as it
        was then.
    NotImplementedError
        If `key` or `noise_shape` is given with a tensor that only PyTorch's own dropout takes.

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
    if noise_shape is None:
        return drop(_DROPOUT, input, p, training, inplace, key)
    return drop(_DROPOUT, input, p, training, inplace, key, _shared_by(input, noise_shape))


def dropout1d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """Drop whole channels of (N, C, L) or (C, L); otherwise as `dropout`."""
    return _drop_channels(_DROPOUT_1D, _USUAL_1D, input, p, training, inplace, key)


def dropout2d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """Drop whole channels of (N, C, H, W); otherwise as `dropout`. Other ranks warn."""
    return _drop_channels(_DROPOUT_2D, _USUAL_2D, input, p, training, inplace, key)


def dropout3d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """Drop whole channels of (N, C, D, H, W) or (C, D, H, W); otherwise as `dropout`."""
    return _drop_channels(_DROPOUT_3D, _USUAL_3D, input, p, training, inplace, key)


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
    return drop(_ALPHA, input, p, training, inplace, key)


def feature_alpha_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    key: _core.Key | None = None,
) -> torch.Tensor:
    """Alpha dropout of whole channels of (N, C, ...); arguments as `alpha_dropout`."""
    return _drop_channels(_FEATURE_ALPHA, _USUAL_2D, input, p, training, inplace, key)


# Which axes share their decisions, by rank, where PyTorch has nothing to say about it.
_USUAL_1D: dict[int, Shared] = {3: (False, False, True), 2: (False, True)}
_USUAL_2D: dict[int, Shared] = {4: (False, False, True, True)}
_USUAL_3D: dict[int, Shared] = {5: (False, False, True, True, True), 4: (False, True, True, True)}


def _drop_channels(
    function: Function,
    usual: dict[int, Shared],
    x: torch.Tensor,
    p: float,
    training: bool,
    inplace: bool,
    key: _core.Key | None,
) -> torch.Tensor:
    """One decision for each channel."""
    if is_foreign(x):
        return drop(function, x, p, training, inplace, key)
    try:
        rank = x.dim()
    except AttributeError:
        return function.peer(x, p, training, inplace)
    if rank in usual:
        return drop(function, x, p, training, inplace, key, usual[rank])
    own = 1 if function is _DROPOUT_3D else 2
    if rank < own:
        return function.peer(x, p, training, inplace)
    # PyTorch's errors and warnings about other ranks.
    function.peer(x, p, False)
    return drop(function, x, p, training, inplace, key, (*(False,) * own, *(True,) * (rank - own)))


def _shared_by(x: torch.Tensor, noise_shape: NoiseShape) -> Shared:
    """Which axes have one entry in the noise."""
    try:
        entries = tuple(noise_shape)  # type: ignore[arg-type]
    except TypeError:
        entries = (-1,)
    if any(entry is not None and type(entry) is not int for entry in entries):
        raise TypeError(
            "noise_shape must be a tuple of integers and None. "
            f"Received: noise_shape={noise_shape!r}"
        )
    sizes = tuple(x.shape)
    fits = len(entries) == len(sizes)
    if not fits or any(
        entry not in (None, 1, size) for entry, size in zip(entries, sizes, strict=True)
    ):
        raise ValueError(
            "noise_shape must have one entry per dimension of input, each None, 1 or that "
            f"dimension's size. Received: noise_shape={noise_shape!r} for shape {sizes}"
        )
    return tuple(entry == 1 for entry in entries)

"""Layer 7: dropout modules that stand in for those of torch.nn."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import nn

from dropfast.torch import functional
from dropfast.torch.seeding import Seeded


class _Module(Seeded):
    """What the modules share: p and in-place flag, and where the masks come from."""

    p: float
    inplace: bool
    training: bool
    function: ClassVar[Callable[..., torch.Tensor]]

    def __init__(
        self, p: float = 0.5, inplace: bool = False, seed: int | None = None, stream: int = 0
    ) -> None:
        super().__init__(p, inplace)  # type: ignore[call-arg]
        if p != p:
            raise ValueError(f"p must be in [0, 1]. Received: p={p!r}")
        self.seed_with(seed, stream)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Dropout in training; `input` itself otherwise."""
        function = type(self).function
        if self.seed is None or not self.training:
            return function(input, self.p, self.training, self.inplace)
        output = function(input, self.p, True, self.inplace, key=self.key())
        self.count()
        return output

    def extra_repr(self) -> str:
        """P, in-place flag, and the seed where there is one."""
        text = f"p={self.p}, inplace={self.inplace}"
        return text if self.seed is None else f"{text}, seed={self.seed}, stream={self.stream}"

    def __prepare_scriptable__(self) -> nn.Module:
        """PyTorch's own module: TorchScript knows no other."""
        peer = next(base for base in type(self).__mro__ if base.__module__ == nn.Dropout.__module__)
        own: nn.Module = peer(self.p, self.inplace)
        own.train(self.training)
        return own


class Dropout(_Module, nn.Dropout):
    """Zeros elements with probability `p` in training: stands in for torch.nn.Dropout.

    Parameters
    ----------
    p
        Probability to drop, in [0, 1].
    inplace
        Whether to write into the input.
    seed, stream
        A place in dropfast's random stream of its own: call number n in training draws at
        ``dropfast.Key(seed, stream, n)``. Without a seed, masks follow `torch.manual_seed`.
        Rank r of `torch.distributed` draws in stream ``stream + 2**32 * r``; a worker of a data
        loader with the loader's own seed added to `seed`.

    Attributes
    ----------
    step
        Number of training calls so far, where there is a seed. May be set, to resume a run.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    Nothing but the key is kept for the backward pass. Activation checkpointing calls a module a
    second time in the backward pass: there leave `seed` out; a module with one refuses that call.

    Examples
    --------
    >>> import torch
    >>> from dropfast.torch import Dropout
    >>> layer = Dropout(0.5, seed=1)
    >>> first, second = layer(torch.ones(100)), layer(torch.ones(100))
    >>> bool((first == second).all()), layer.step
    (False, 2)
    >>> layer.step = 0
    >>> bool((layer(torch.ones(100)) == first).all())
    True
    """

    function = staticmethod(functional.dropout)


class Dropout1d(_Module, nn.Dropout1d):
    """Drops whole channels of (N, C, L) or (C, L); parameters as `Dropout`."""

    function = staticmethod(functional.dropout1d)


class Dropout2d(_Module, nn.Dropout2d):
    """Drops whole channels of (N, C, H, W) or (N, C, L); parameters as `Dropout`."""

    function = staticmethod(functional.dropout2d)


class Dropout3d(_Module, nn.Dropout3d):
    """Drops whole channels of (N, C, D, H, W) or (C, D, H, W); parameters as `Dropout`."""

    function = staticmethod(functional.dropout3d)


class AlphaDropout(_Module, nn.AlphaDropout):
    """Dropout that keeps mean 0 and variance 1 of SELU networks; parameters as `Dropout`."""

    function = staticmethod(functional.alpha_dropout)


class FeatureAlphaDropout(_Module, nn.FeatureAlphaDropout):
    """Alpha dropout of whole channels of (N, C, ...); parameters as `Dropout`."""

    function = staticmethod(functional.feature_alpha_dropout)

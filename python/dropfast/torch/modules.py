"""Layer 7: dropout modules that stand in for those of torch.nn."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import nn

from dropfast._core import Key
from dropfast.torch import functional


class _Seeded:
    """What the modules share: p, in-place flag, and where the masks come from.

    Without a seed of its own a module draws a key from PyTorch's default generator in each
    training call, so `torch.manual_seed`, `torch.random.fork_rng` and activation checkpointing
    work as they do with PyTorch's own dropout. With one, call number `step` draws at
    ``Key(seed, stream, step)``, and `step` moves on by one: reproducible whatever else draws.

    These three are plain attributes, not part of `state_dict`, which stays that of PyTorch's
    modules; to resume a run with seeds, set `step`. They are copied and pickled with the module.
    """

    p: float
    inplace: bool
    training: bool
    function: ClassVar[Callable[..., torch.Tensor]]

    def __init__(
        self, p: float = 0.5, inplace: bool = False, seed: int | None = None, stream: int = 0
    ) -> None:
        super().__init__(functional.check_p(p), inplace)  # type: ignore[call-arg]
        self.seed_with(seed, stream)

    def seed_with(self, seed: int | None, stream: int = 0) -> None:
        """Set seed and stream, and start counting calls anew.

        Raises
        ------
        ValueError
            If one is outside [0, 2**64).
        """
        Key(0 if seed is None else seed, stream)
        self.seed, self.stream, self.step = seed, stream, 0

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Dropout in training; `input` itself otherwise."""
        function = type(self).function
        if not self.training or self.seed is None:
            return function(input, self.p, self.training, self.inplace)
        key = Key(self.seed, self.stream, self.step)
        output = function(input, self.p, True, self.inplace, key=key)
        self.step += 1
        return output

    def extra_repr(self) -> str:
        """P, in-place flag, and the seed where there is one."""
        text = f"p={self.p}, inplace={self.inplace}"
        return text if self.seed is None else f"{text}, seed={self.seed}, stream={self.stream}"


class Dropout(_Seeded, nn.Dropout):
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
    second time in the backward pass: there leave `seed` out.

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


class Dropout1d(_Seeded, nn.Dropout1d):
    """Drops whole channels of (N, C, L) or (C, L); parameters as `Dropout`."""

    function = staticmethod(functional.dropout1d)


class Dropout2d(_Seeded, nn.Dropout2d):
    """Drops whole channels of (N, C, H, W) or (N, C, L); parameters as `Dropout`."""

    function = staticmethod(functional.dropout2d)


class Dropout3d(_Seeded, nn.Dropout3d):
    """Drops whole channels of (N, C, D, H, W) or (C, D, H, W); parameters as `Dropout`."""

    function = staticmethod(functional.dropout3d)


class AlphaDropout(_Seeded, nn.AlphaDropout):
    """Dropout that keeps mean 0 and variance 1 of SELU networks; parameters as `Dropout`."""

    function = staticmethod(functional.alpha_dropout)


class FeatureAlphaDropout(_Seeded, nn.FeatureAlphaDropout):
    """Alpha dropout of whole channels of (N, C, ...); parameters as `Dropout`."""

    function = staticmethod(functional.feature_alpha_dropout)

"""Layer 7: replace_dropout, which turns the dropout modules of a network into ours."""

from __future__ import annotations

from typing import Any

from torch import nn

from dropfast.torch import modules

_OURS: dict[type[Any], type[Any]] = {
    nn.Dropout: modules.Dropout,
    nn.Dropout1d: modules.Dropout1d,
    nn.Dropout2d: modules.Dropout2d,
    nn.Dropout3d: modules.Dropout3d,
    nn.AlphaDropout: modules.AlphaDropout,
    nn.FeatureAlphaDropout: modules.FeatureAlphaDropout,
}


def replace_dropout(module: nn.Module, seed: int | None = None) -> nn.Module:
    """Turn every dropout module of a network into dropfast's, in place.

    The objects stay the same ones and change their class, so hooks, flags, names and references
    from elsewhere stay good. Modules that derive from PyTorch's are somebody's own and left alone;
    so is dropout that is no module, such as that inside torch.nn.LSTM and
    torch.nn.MultiheadAttention.

    Parameters
    ----------
    module
        The network, or a dropout module.
    seed
        Gives each module masks of its own at (seed, place among the dropout modules); None leaves
        them to PyTorch's default generator.

    Returns
    -------
    Module
        `module`.

    Raises
    ------
    TypeError
        If `module` is not a module.
    ValueError
        If the seed is outside [0, 2**64); nothing is changed then.

    Examples
    --------
    >>> import torch
    >>> from dropfast.torch import replace_dropout
    >>> network = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.2))
    >>> type(replace_dropout(network)[1])
    <class 'dropfast.torch.modules.Dropout'>
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module. Received: {type(module).__name__}")
    modules.Dropout(seed=seed)
    place = 0
    for found in module.modules():
        if type(found) in _OURS:
            found.__class__ = _OURS[type(found)]
            found.seed_with(seed, place)
            place += 1
    return module

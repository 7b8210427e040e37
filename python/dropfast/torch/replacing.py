"""Layer 7: replace_dropout, which turns the dropout of a network into ours and reports it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dropfast.torch import attention, modules, recurrent

_OURS: dict[type[Any], type[Any]] = {
    nn.Dropout: modules.Dropout,
    nn.Dropout1d: modules.Dropout1d,
    nn.Dropout2d: modules.Dropout2d,
    nn.Dropout3d: modules.Dropout3d,
    nn.AlphaDropout: modules.AlphaDropout,
    nn.FeatureAlphaDropout: modules.FeatureAlphaDropout,
    nn.MultiheadAttention: attention.MultiheadAttention,
    nn.LSTM: recurrent.LSTM,
    nn.GRU: recurrent.GRU,
    nn.RNN: recurrent.RNN,
}
_PEERS = tuple(_OURS)


@dataclass(frozen=True)
class Replaced:
    """A module that became ours.

    Attributes
    ----------
    name
        Where it stands in the network; "" for the network itself.
    kind
        The class of PyTorch that it had.
    """

    name: str
    kind: type[Any]


@dataclass(frozen=True)
class Left:
    """Dropout that was left as it was.

    Attributes
    ----------
    name
        Where it stands in the network.
    kind
        The class of the module.
    reason
        Why.
    """

    name: str
    kind: type[Any]
    reason: str


@dataclass(frozen=True)
class ReplacementReport:
    """What `replace_dropout` did.

    Attributes
    ----------
    module
        The network.
    replaced
        Modules that became ours.
    left
        Dropout that was left as it was, each with the reason.
    """

    module: nn.Module
    replaced: tuple[Replaced, ...]
    left: tuple[Left, ...]

    def __str__(self) -> str:
        lines = [f"replaced {len(self.replaced)}, left {len(self.left)}"]
        lines += [f"  {it.name or '(itself)'}: {it.kind.__name__}" for it in self.replaced]
        lines += [
            f"  {it.name or '(itself)'}: {it.kind.__name__} left: {it.reason}" for it in self.left
        ]
        return "\n".join(lines)


def replace_dropout(module: nn.Module, seed: int | None = None) -> ReplacementReport:
    """Turn the dropout of a network into dropfast's, in place.

    Dropout modules, and those that hold dropout as a number: torch.nn.MultiheadAttention (so the
    Transformer layers too), LSTM, GRU and RNN. The objects stay the same ones and change their
    class, so hooks, flags, names and references from elsewhere stay good. Modules that derive from
    PyTorch's are somebody's own and left alone. Calls of torch.nn.functional.dropout can't be found
    by looking at modules: for them there is `patched`.

    Parameters
    ----------
    module
        The network, or a dropout module.
    seed
        Gives each module masks of its own at (seed, place among the modules replaced); None leaves
        them to PyTorch's default generator.

    Returns
    -------
    ReplacementReport
        What was replaced, and what was not and why.

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
    >>> print(replace_dropout(network))
    replaced 1, left 0
      1: Dropout
    >>> type(network[1])
    <class 'dropfast.torch.modules.Dropout'>
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module. Received: {type(module).__name__}")
    modules.Dropout(seed=seed)
    replaced, left = [], []
    for name, found in module.named_modules():
        reason = _reason_to_leave(found)
        if reason is not None:
            left.append(Left(name, type(found), reason))
        elif type(found) in _OURS and _has_dropout(found):
            replaced.append((found, Replaced(name, type(found))))
    for place, (found, _) in enumerate(replaced):
        found.__class__ = _OURS[type(found)]
        found.seed_with(seed, place)
    return ReplacementReport(module, tuple(entry for _, entry in replaced), tuple(left))


def _has_dropout(module: Any) -> bool:
    """Whether a module of PyTorch's can drop anything."""
    if isinstance(module, nn.MultiheadAttention):
        return bool(module.dropout)
    if isinstance(module, nn.RNNBase):
        return bool(module.dropout) and module.num_layers > 1
    return True


def _reason_to_leave(module: nn.Module) -> str | None:
    """Why the dropout of a module stays; None where there is none, or it can be replaced."""
    if isinstance(module, torch.jit.ScriptModule):
        kinds = {"Dropout", "AlphaDropout", *(f"Dropout{n}d" for n in (1, 2, 3))}
        known = getattr(module, "original_name", None) in kinds
        return "it is compiled by TorchScript" if known else None
    if type(module) in _OURS or isinstance(module, tuple(_OURS.values())):
        return None
    if isinstance(module, _PEERS):
        base = next(base for base in type(module).__mro__ if base in _OURS)
        return f"its class is one's own, derived from torch.nn.{base.__name__}"
    numbers = ", ".join(f"{name}={value}" for name, value in _numbers(module))
    if not numbers:
        return None
    return f"its dropout is a number ({numbers}): `with dropfast.torch.patched()` reaches it"


def _numbers(module: nn.Module) -> Iterator[tuple[str, float]]:
    for name, value in vars(module).items():
        named = "dropout" in name or name.startswith("drop") or name.endswith("_drop")
        if named and not name.startswith("_") and type(value) is float and 0.0 < value <= 1.0:
            yield name, value

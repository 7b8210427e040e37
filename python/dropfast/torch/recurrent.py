"""Layer 7: recurrent networks with our dropout between their layers."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from dropfast.torch import functional, twins
from dropfast.torch.seeding import Seeded, current, drawing_for


def _layer_by_layer(name: str) -> Callable[..., Any]:
    """PyTorch's native function `name`, a layer at a time where there is dropout in between."""
    native = getattr(torch._VF, name)

    def run(*arguments: Any) -> Any:
        # (x, states, weights, …) of tensors, (x, batch_sizes, states, weights, …) of packed ones.
        at = 2 if isinstance(arguments[3], bool) else 3
        layers, p, training, bidirectional = arguments[at + 2 : at + 6]
        if not training or p == 0.0 or layers == 1:
            return native(*arguments)
        x, before, states = arguments[0], arguments[1 : at - 1], arguments[at - 1]
        weights, bias = arguments[at : at + 2]
        per_layer, directions = len(weights) // layers, 2 if bidirectional else 1
        ends: list[Any] = []
        for layer in range(layers):
            if layer:
                x = _dropped(x, p)
            x, *last = native(
                x,
                *before,
                _part(states, layer * directions, directions),
                weights[layer * per_layer : (layer + 1) * per_layer],
                bias,
                1,
                0.0,
                training,
                bidirectional,
                *arguments[at + 6 :],
            )
            ends.append(last)
        return (x, *(torch.cat(end) for end in zip(*ends, strict=True)))

    return run


def _part(states: Any, first: int, count: int) -> Any:
    if isinstance(states, torch.Tensor):
        return states[first : first + count]
    return tuple(state[first : first + count] for state in states)


def _dropped(x: torch.Tensor, p: float) -> torch.Tensor:
    module = current()
    if module is None or module.seed is None:
        return functional.dropout(x, p)
    y = functional.dropout(x, p, key=module.key())
    module.count()
    return y


_VF = types.SimpleNamespace(
    **{name: _layer_by_layer(name) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")}
)


class LSTM(Seeded, nn.LSTM):
    """torch.nn.LSTM with our dropout between its layers: same arguments, same parameters."""

    _forward = staticmethod(twins.twin(nn.LSTM.forward, _VF=_VF))

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As torch.nn.LSTM."""
        with drawing_for(self):
            return self._forward(self, input, hx)


class GRU(Seeded, nn.GRU):
    """torch.nn.GRU with our dropout between its layers: same arguments, same parameters."""

    _forward = staticmethod(twins.twin(nn.GRU.forward, _VF=_VF))

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As torch.nn.GRU."""
        with drawing_for(self):
            return self._forward(self, input, hx)


class RNN(Seeded, nn.RNN):
    """torch.nn.RNN with our dropout between its layers: same arguments, same parameters."""

    _forward = staticmethod(twins.twin(nn.RNN.forward, _VF=_VF))

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As torch.nn.RNN."""
        with drawing_for(self):
            return self._forward(self, input, hx)

"""Layer 6: models as graphs: symbolic tensors, calls of layers, `call()` methods traced."""

from __future__ import annotations

from dropfast.graph.symbolic import Call, SymbolicTensor, is_symbolic
from dropfast.graph.tracing import Graph, connect, enter, record, trace

# The name that Keras has for it.
KerasTensor = SymbolicTensor

__all__ = [
    "Call",
    "Graph",
    "KerasTensor",
    "SymbolicTensor",
    "connect",
    "enter",
    "is_symbolic",
    "record",
    "trace",
]

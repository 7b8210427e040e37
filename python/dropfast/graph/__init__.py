"""Layer 6: models as graphs: symbolic tensors, calls of layers, `call()` methods traced."""

from __future__ import annotations

from dropfast.graph.symbolic import Call, SymbolicTensor, is_symbolic
from dropfast.graph.tracing import Graph, connect, enter, record, trace

__all__ = ["Call", "Graph", "SymbolicTensor", "connect", "enter", "is_symbolic", "record", "trace"]

"""Layer 6, reference: probabilities and their logarithms, for the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Spec = Mapping[str, Any]
EPSILON = 1e-7


def log_softmax(z: F64) -> F64:
    """Logarithm of softmax over the last axis, without overflow."""
    shifted = z - z.max(axis=-1, keepdims=True)
    result: F64 = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def clip(p: F64) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Clipped probabilities, and where the clip does not act."""
    return np.clip(p, EPSILON, 1.0 - EPSILON), (p >= EPSILON) & (p <= 1.0 - EPSILON)

"""Layer 6, reference: the max-norm constraint (Srivastava et al. 2014, section 5.1; Keras 3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
EPSILON = 1e-7


def max_norm(w: F64, max_value: float = 2.0, axis: int = 0) -> F64:
    """Scale the weights into each unit so that their Euclidean norm is at most `max_value`.

    ``w * clip(norm, 0, max_value) / (epsilon + norm)``; the epsilon shrinks allowed weights by a
    relative 1e-7 / norm too.

    Parameters
    ----------
    w : ndarray
        A kernel [inputs, units], or a bias [units], which is one vector.
    max_value : float
    axis : int
        The axis that a norm runs along.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import max_norm
    >>> max_norm(np.array([[3.0], [4.0]]), 1.0).round(6).tolist()
    [[0.6], [0.8]]
    """
    norm = np.sqrt((w**2).sum(axis=axis, keepdims=True))
    result: F64 = w * (np.clip(norm, 0.0, max_value) / (EPSILON + norm))
    return result

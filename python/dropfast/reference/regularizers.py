"""Layer 6, reference: L1 and L2 penalties on weights, each beside its gradient.

The penalty l1 * sum |w| + l2 * sum w^2 is added to the mean loss of a batch (Keras 3's L1L2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def l1_l2(w: F64, l1: float = 0.0, l2: float = 0.0) -> float:
    """The penalty.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import l1_l2
    >>> l1_l2(np.array([1.0, -2.0]), l1=1.0, l2=10.0)
    53.0
    """
    return float(l1 * np.abs(w).sum() + l2 * (w**2).sum())


def l1_l2_gradient(w: F64, l1: float = 0.0, l2: float = 0.0) -> F64:
    """Its gradient, l1 * sign(w) + 2 * l2 * w; 0 where w is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import l1_l2_gradient
    >>> l1_l2_gradient(np.array([1.0, -2.0]), l1=1.0, l2=10.0).tolist()
    [21.0, -41.0]
    """
    result: F64 = l1 * np.sign(w) + 2.0 * l2 * w
    return result

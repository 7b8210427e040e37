"""Layer 6: small data sets made from a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dropfast.checks import check_integer, check_number
from dropfast.random import check_seed


def noisy_sine(
    n: int = 200,
    noise: float = 0.2,
    gap: tuple[float, float] | None = (1.0, 2.0),
    seed: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw points of ``y = sin(2 x) + noise`` for x in [-3, 3], none of them inside a gap.

    In the gap, and outside [-3, 3], a model has seen nothing: an estimate of its uncertainty
    should grow there.

    Parameters
    ----------
    n
        Number of points, at least 1.
    noise
        Standard deviation of the normal noise, at least 0.
    gap
        Interval of x that holds no point, inside [-3, 3]; None for no gap.
    seed
        Seed of the points. The same seed gives the same points.

    Returns
    -------
    x, y
        Float32 arrays of shape (n, 1), x in ascending order.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> x, y = noisy_sine(100)
    >>> x.shape, y.shape, bool(((x > 1) & (x < 2)).any())
    ((100, 1), (100, 1), False)
    """
    low, high = -3.0, 3.0
    check_integer("n", n, least=1)
    check_number("noise", noise, 0.0)
    check_seed(seed)
    try:
        start, stop = (low, low) if gap is None else gap
        inside = bool(low <= start <= stop <= high and stop - start < high - low)
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise ValueError(f"gap must be an interval inside [-3, 3]. Received: gap={gap!r}")
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(low, high - (stop - start), size=n))
    x = np.where(x < start, x, x + (stop - start))
    y = np.sin(2 * x) + rng.normal(0, noise, size=n)
    return x[:, None].astype(np.float32), y[:, None].astype(np.float32)

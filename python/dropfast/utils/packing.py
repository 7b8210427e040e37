"""Layer 6: inputs, targets and weights of a batch, in a tuple and out of it."""

from __future__ import annotations

from typing import Any


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What a data set yields for a batch.

    Examples
    --------
    >>> import dropfast as df
    >>> df.utils.pack_x_y_sample_weight("x", "y")
    ('x', 'y')
    """
    if y is None:
        return (x,) if isinstance(x, list | tuple | dict) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of what a data set yields, None for what isn't there.

    Raises
    ------
    ValueError
        If there are more than three.

    Examples
    --------
    >>> import dropfast as df
    >>> df.utils.unpack_x_y_sample_weight(("x", "y"))
    ('x', 'y', None)
    """
    parts = tuple(data) if isinstance(data, list | tuple) else (data,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"data must hold x, y and sample_weight. Received: {len(parts)} entries")
    x, y, weights = (*parts, None, None)[:3]
    return x, y, weights

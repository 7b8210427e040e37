"""Layer 6: axes to draw into, and the look common to all pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def new_axis(ax: Axes | None) -> Any:
    """The given axes, or new ones."""
    return _pyplot().subplots(layout="constrained")[1] if ax is None else ax


def new_axes(axes: Any, count: int, sharey: bool = False) -> Any:
    """The given axes, or new ones side by side, as an array of at least `count`."""
    if axes is None:
        _, axes = _pyplot().subplots(
            1, count, figsize=(5.6 * count, 4), layout="constrained", squeeze=False, sharey=sharey
        )
    axes = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if len(axes) < count:
        raise ValueError(f"axes must be at least {count}. Received: {len(axes)}")
    return axes


def tidy(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Label the axes and take away what is not data."""
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(color="0.5", alpha=0.25)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Pictures need Matplotlib: pip install 'dropfast[plot]'") from error
    return plt

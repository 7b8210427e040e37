"""Saves a picture twice, for light and for dark pages: `name.png` and `name-dark.png`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

DARK, INK = "#16181c", "#e8e8e8"
# What is drawn in the colours of ink and paper changes; what has a colour of its own doesn't.
_PROPERTIES = ("color", "edgecolor", "facecolor", "markerfacecolor", "markeredgecolor")


def both_modes(
    path: Path, draw: Callable[[Figure], object], figsize: tuple[float, float] = (8, 4)
) -> None:
    """Draw into a new figure and save it for light and dark pages."""
    figure = Figure(figsize=figsize, layout="constrained")
    draw(figure)
    save_both(figure, path)


def save_both(figure: Figure, path: Path, dpi: float = 120) -> None:
    """Save a figure as it is, then with ink and paper changed; it stays dark."""
    figure.savefig(path, dpi=dpi)
    darken(figure)
    figure.savefig(path.with_name(f"{path.stem}-dark{path.suffix}"), dpi=dpi)


def darken(figure: Figure) -> None:
    """Turn black and white of a figure into light ink on dark paper."""
    changes = []
    for artist in figure.findobj():
        for name in _PROPERTIES:
            getter, setter = (getattr(artist, f"{how}_{name}", None) for how in ("get", "set"))
            if getter is not None and setter is not None:
                changes.append((setter, _turned(getter())))
    # All colours are read before any is set: setting one may move another.
    for setter, new in changes:
        if new is not None:
            setter(new)
    for ax in figure.axes:
        ax.tick_params(which="both", color=INK, labelcolor=INK)


def _turned(colour: object) -> object:
    """The dark page's colour for black, gray and white, else None."""
    try:
        rgba = np.atleast_2d([to_rgba(colour)] if isinstance(colour, str) else colour)
    except (TypeError, ValueError):
        return None
    if rgba.shape[0] != 1 or rgba.shape[1] not in (3, 4) or rgba.dtype.kind != "f":
        return None
    red, *_ = rgb = rgba[0, :3]
    if np.ptp(rgb) > 0.02:
        return None
    alpha = rgba[0, 3] if rgba.shape[1] == 4 else 1.0
    # 0 (ink) becomes light, 1 (paper) dark, and grays lie between.
    paper, ink = (np.array(to_rgba(c)[:3]) for c in (DARK, INK))
    return (*(ink + (paper - ink) * red), alpha)

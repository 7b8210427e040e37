"""Layer 6: what the units of a network learned, and how sparse they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from dropfast.plot.canvas import COLOURS, new_axes, new_axis, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def filters(
    kernel: ArrayLike, image_shape: tuple[int, int], count: int = 64, ax: Axes | None = None
) -> Axes:
    """Draw the incoming weights of first-layer units as small images.

    Units that adapted to each other hold noise that only their sum makes use of; units trained with
    dropout hold features that mean something alone (Srivastava et al. 2014, figure 7).

    Parameters
    ----------
    kernel
        Weights of shape (height * width, units).
    image_shape
        (height, width).
    count
        Number of units to draw: those with the largest norm, as units that died say little.
    ax
        Matplotlib axes; None makes new ones.

    Returns
    -------
    ax
        The axes. Each image is scaled by the largest magnitude of its own weights.

    Raises
    ------
    ValueError
        If the kernel's shape does not fit, or `count` is below 1.
    ImportError
        If Matplotlib is not installed.

    Examples
    --------
    >>> ax = filters(np.eye(6, 4), (2, 3))
    >>> ax.get_images()[0].get_array().shape  # 2 x 2 images with a line between them
    (5, 7)
    """
    weights = np.asarray(kernel, np.float64)
    height, width = image_shape
    if weights.ndim != 2 or weights.shape[0] != height * width:
        raise ValueError(
            f"kernel must have shape ({height * width}, units) for image_shape={image_shape}. "
            f"Received: shape {weights.shape}"
        )
    if count < 1:
        raise ValueError(f"count must be at least 1. Received: count={count}")
    chosen = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")[:count]
    images = weights[:, chosen].T.reshape(-1, height, width)
    peak = np.abs(images).max(axis=(1, 2), keepdims=True)
    images = images / np.where(peak > 0, peak, 1)
    columns = int(np.ceil(np.sqrt(len(images))))
    rows = int(np.ceil(len(images) / columns))
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for number, image in enumerate(images):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    ax = new_axis(ax)
    ax.imshow(sheet, cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    return ax


def activation_histograms(
    activations: Mapping[str, ArrayLike], bins: int = 50, axes: Any = None
) -> Any:
    """Draw how activations are distributed, one picture a name, on common scales.

    With dropout the hidden units are sparser: few are active for a row (Srivastava et al. 2014,
    figure 8).

    Parameters
    ----------
    activations
        Names (of layers, or of models) and arrays of any shape.
    bins
        Number of bins, common to all.
    axes
        A sequence of Matplotlib axes, one a name; None makes new ones.

    Returns
    -------
    axes
        NumPy array of the axes; each title tells the mean and the share of exact zeros.

    Raises
    ------
    ValueError
        If there is no array, one is empty or not finite, or the axes are too few.
    ImportError
        If Matplotlib is not installed.

    Examples
    --------
    >>> axes = activation_histograms({"hidden": [0.0, 0.0, 1.0, 3.0]})
    >>> axes[0].get_title()
    'hidden: mean 1, 50% zero'
    """
    flat = {name: np.asarray(values, np.float64).ravel() for name, values in activations.items()}
    if not flat:
        raise ValueError("activations must name at least one array. Received: activations={}")
    for name, values in flat.items():
        if values.size == 0 or not np.isfinite(values).all():
            raise ValueError(f"activations must be finite and not empty. Received: {name!r}")
    edges = np.histogram_bin_edges(np.concatenate(list(flat.values())), bins)
    axes = new_axes(axes, len(flat), sharey=True)
    for ax, (name, values) in zip(axes, flat.items(), strict=False):
        share = np.full(values.size, 1 / values.size)
        ax.hist(values, edges, weights=share, color=COLOURS[0])
        ax.set_yscale("log")
        ax.set_title(f"{name}: mean {values.mean():.3g}, {np.mean(values == 0):.0%} zero")
        tidy(ax, "activation", "share")
    return axes

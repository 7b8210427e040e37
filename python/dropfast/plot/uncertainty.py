"""Layer 6: how sure a model is, and how rightly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dropfast.calibration import reliability
from dropfast.plot.canvas import COLOURS, new_axis, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def uncertainty_band(
    x: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    points: tuple[ArrayLike, ArrayLike] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a regression's mean with bands of one and two standard deviations.

    Parameters
    ----------
    x, mean, std
        Positions, predicted means and standard deviations, each of n values (any shape).
    points
        Training points (x, y) to draw too; None for none.
    ax
        Matplotlib axes; None makes new ones.

    Returns
    -------
    ax
        The axes.

    Raises
    ------
    ValueError
        If the sizes differ or a standard deviation is negative.
    ImportError
        If Matplotlib is not installed.

    Examples
    --------
    >>> ax = uncertainty_band([0, 1, 2], [0, 1, 0], [0.1, 0.2, 0.4])
    >>> len(ax.collections)
    2
    """
    at, centre, width = (np.asarray(values, np.float64).ravel() for values in (x, mean, std))
    if not at.size == centre.size == width.size:
        raise ValueError(
            "x, mean and std must have the same size. "
            f"Received: {at.size}, {centre.size} and {width.size}"
        )
    if not (width >= 0).all():
        raise ValueError(f"std must be at least 0. Received: {width.min()}")
    order = np.argsort(at, kind="stable")
    at, centre, width = at[order], centre[order], width[order]
    ax = new_axis(ax)
    for deviations, alpha in ((2, 0.15), (1, 0.25)):
        low, high = centre - deviations * width, centre + deviations * width
        label = f"± {deviations} standard deviation{'s' * (deviations > 1)}"
        ax.fill_between(at, low, high, color=COLOURS[0], alpha=alpha, linewidth=0, label=label)
    ax.plot(at, centre, color=COLOURS[0], label="mean")
    if points is not None:
        known_x, known_y = (np.ravel(values) for values in points)
        ax.plot(known_x, known_y, ".", color="black", markersize=3, label="training points")
    tidy(ax, "x", "y")
    # Above the picture: inside it would cover points.
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


def reliability_diagram(
    y_true: ArrayLike, y_pred: ArrayLike, bins: int = 10, ax: Axes | None = None
) -> Axes:
    """Draw accuracy against confidence; a calibrated classifier follows the diagonal.

    Parameters
    ----------
    y_true
        Labels, integers of shape (n,).
    y_pred
        Predicted probabilities of shape (n, classes).
    bins
        Number of bins of equal width.
    ax
        Matplotlib axes; None makes new ones.

    Returns
    -------
    ax
        The axes; the title tells the expected calibration error, the grey bars the share of
        predictions in each bin.

    Raises
    ------
    ValueError
        As `dropfast.calibration.reliability`.
    ImportError
        If Matplotlib is not installed.

    Examples
    --------
    >>> ax = reliability_diagram([0, 1, 1], [[0.9, 0.1], [0.9, 0.1], [0.3, 0.7]])
    >>> ax.get_title()
    'expected calibration error 0.367'
    """
    table = reliability(y_true, y_pred, bins)
    filled = table.count > 0
    ax = new_axis(ax)
    share = table.count / table.count.sum()
    width = 1 / bins
    ax.bar(table.edges[:-1], share, width, align="edge", color="0.85", label="share of predictions")
    ax.plot([0, 1], [0, 1], ":", color="black", linewidth=1)
    ax.plot(
        table.confidence[filled],
        table.accuracy[filled],
        "o-",
        color=COLOURS[0],
        label="accuracy",
    )
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_title(f"expected calibration error {table.expected_calibration_error:.3f}")
    tidy(ax, "confidence", "accuracy")
    ax.legend(framealpha=0.8, edgecolor="none", loc="upper left")
    return ax

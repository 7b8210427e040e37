"""Layer 6: curves of a training run, alone and beside others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dropfast.plot.canvas import COLOURS, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class _HasHistory(Protocol):
    @property
    def history(self) -> Mapping[str, Sequence[float]]: ...


Curves = Mapping[str, Sequence[float]] | _HasHistory


def history(curves: Curves, metrics: Sequence[str] | None = None, axes: Any = None) -> Any:
    """Draw training and validation curves of one run, one picture a metric.

    Parameters
    ----------
    curves
        What ``fit`` returned, or a dict of metric names to values per epoch.
    metrics
        Names to draw, without ``val_``; None for all.
    axes
        A sequence of Matplotlib axes, one a metric; None makes new ones.

    Returns
    -------
    axes
        NumPy array of the axes.

    Raises
    ------
    ValueError
        If a metric is not in the history or the axes are too few.
    ImportError
        If Matplotlib is not installed.

    Examples
    --------
    >>> axes = history({"loss": [1.0, 0.5], "val_loss": [1.1, 0.8]})
    >>> axes[0].get_ylabel()
    'loss'
    """
    return compare({"": curves}, metrics, axes)


def compare(
    runs: Mapping[str, Curves], metrics: Sequence[str] | None = None, axes: Any = None
) -> Any:
    """Draw the curves of several runs together, for example with and without dropout.

    Each run has a colour; its training curve is dashed, its validation curve solid, and the gap
    between them, by which overfitting is seen, is shaded.

    Parameters
    ----------
    runs
        Names of the runs and their histories, as in `history`.
    metrics
        Names to draw, without ``val_``; None for all metrics of the first run.
    axes
        A sequence of Matplotlib axes, one a metric; None makes new ones.

    Returns
    -------
    axes
        NumPy array of the axes.

    Raises
    ------
    ValueError
        If there is no run, a run lacks a metric, or the axes are too few.
    ImportError
        If Matplotlib is not installed.

    Examples
    --------
    >>> axes = compare(
    ...     {
    ...         "dropout": {"loss": [1.0, 0.7], "val_loss": [1.0, 0.8]},
    ...         "none": {"loss": [0.9, 0.2], "val_loss": [1.0, 1.1]},
    ...     }
    ... )
    >>> [text.get_text() for text in axes[0].get_legend().get_texts()]
    ['dropout: training', 'dropout: validation', 'none: training', 'none: validation']
    """
    tables = {name: _table(curves) for name, curves in runs.items()}
    if not tables:
        raise ValueError("runs must name at least one run. Received: runs={}")
    if metrics is None:
        first = next(iter(tables.values()))
        metrics = [name for name in first if not name.startswith("val_")]
        metrics = [name for name in metrics if name not in ("lr", "learning_rate")]
    for name, table in tables.items():
        missing = [metric for metric in metrics if metric not in table]
        if missing:
            raise ValueError(f"metrics must be in every history. Received: {missing[0]!r}, {name=}")
    axes = new_axes(axes, len(metrics))
    for ax, metric in zip(axes, metrics, strict=False):
        for colour, (name, table) in zip(cycle(COLOURS), tables.items(), strict=False):
            _draw_pair(ax, table, metric, colour, f"{name}: " if name else "")
        tidy(ax, "epoch", metric)
        ax.legend(framealpha=0.8, edgecolor="none")
    return axes


def _draw_pair(
    ax: Axes, table: Mapping[str, NDArray[Any]], metric: str, colour: str, prefix: str
) -> None:
    training, validation = table[metric], table.get(f"val_{metric}")
    epochs = np.arange(1, len(training) + 1)
    ax.plot(epochs, training, "--", color=colour, linewidth=1.4, label=f"{prefix}training")
    if validation is not None:
        # Validation may run on some epochs only: then its curve has fewer points.
        at = np.linspace(len(training) / max(len(validation), 1), len(training), len(validation))
        ax.plot(at, validation, color=colour, linewidth=1.8, label=f"{prefix}validation")
        if len(validation) == len(training):
            ax.fill_between(epochs, training, validation, color=colour, alpha=0.12, linewidth=0)


def _table(curves: Curves) -> dict[str, NDArray[Any]]:
    table = curves if isinstance(curves, Mapping) else curves.history
    return {name: np.asarray(values, np.float64) for name, values in table.items()}

"""Layer 6: the bar and the lines that show how training goes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from dropfast.callbacks.base import Callback
from dropfast.output import printable, usable, watched, write


def resolve_verbose(verbose: str | int | bool) -> int:
    """0, 1 or 2; "auto" is a bar (1) where somebody watches, else one line an epoch (2)."""
    if verbose == "auto":
        bar = watched(sys.stderr) or "ipykernel" in sys.modules
        return 1 if bar and os.environ.get("TERM") != "dumb" else 2
    if verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2. Received: verbose={verbose!r}")
    return int(verbose)


def describe(logs: Mapping[str, float]) -> str:
    """Write logs as text: "loss: 0.4321 - accuracy: 0.8765"."""
    return " - ".join(f"{name}: {_number(value)}" for name, value in logs.items())


def _number(value: float) -> str:
    small = value != 0 and abs(value) < 1e-3
    return f"{value:.4e}" if small else f"{value:.4f}"


class Progress(Callback):
    """Shows each epoch: rows done and rows a second, loss and metrics.

    Parameters
    ----------
    verbose
        1: a bar; 2: one line an epoch.
    """

    def __init__(self, verbose: int) -> None:
        super().__init__()
        self.verbose = verbose
        self._bar: Any = None
        self._started = 0.0
        self._rows = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Open the bar."""
        self._started, self._rows = time.perf_counter(), 0
        self._title = f"Epoch {epoch + 1}/{self.params.get('epochs', '?')}"
        if self.verbose == 1 and usable(sys.stderr):
            self._show(self._open)

    def _open(self) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=self.params.get("rows"),
            desc=self._title,
            unit="row",
            unit_scale=True,
            mininterval=0.05,
        )

    def _show(self, draw: Callable[[], Any]) -> None:
        """Draw; a stream that takes nothing any more ends the bar, not the training."""
        try:
            draw()
        except (OSError, ValueError):
            self._bar = None

    def advance(self, rows: int, logs: Mapping[str, float]) -> None:
        """Rows that have been trained on since the last call."""
        self._rows += rows
        if self._bar is not None:
            bar, text = self._bar, printable(describe(logs), sys.stderr)
            self._show(lambda: (bar.set_postfix_str(text, refresh=False), bar.update(rows)))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Close the bar, or print the line."""
        seconds = time.perf_counter() - self._started
        if self._bar is not None:
            bar, text = self._bar, printable(describe(logs or {}), sys.stderr)
            self._show(lambda: bar.set_postfix_str(text))
            self.close()
        elif self.verbose == 2:
            speed = self._rows / max(seconds, 1e-9)
            write(f"{self._title} - {seconds:.2f}s - {speed:,.0f} rows/s - {describe(logs or {})}")

    def close(self) -> None:
        """Close a bar that is still open, for example after an error."""
        if self._bar is not None:
            bar, self._bar = self._bar, None
            self._show(bar.close)

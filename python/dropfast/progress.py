"""Layer 6: the bar and the lines that show how training goes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from dropfast.callbacks.base import Callback
from dropfast.output import columns, printable, usable, watched, write


def resolve_verbose(verbose: str | int | bool) -> int:
    """0, 1 or 2; "auto" is a bar (1) on a terminal, otherwise a line for each epoch (2)."""
    if isinstance(verbose, str) and verbose == "auto":
        bar = watched(sys.stderr) or "ipykernel" in sys.modules
        return 1 if bar and os.environ.get("TERM") != "dumb" else 2
    if not isinstance(verbose, bool | int) or verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2. Received: verbose={verbose!r}")
    return int(verbose)


def describe(logs: Mapping[str, float]) -> str:
    """Write logs as text: "loss: 0.4321 - accuracy: 0.8765"."""
    return " - ".join(f"{name}: {_number(value)}" for name, value in logs.items())


def _number(value: float) -> str:
    small = value != 0 and abs(value) < 1e-3
    return f"{value:.4e}" if small else f"{value:.4f}"


def line(title: str, speed: str, seconds: float, logs: Mapping[str, float], width: int) -> str:
    """An epoch in a line; where that is too wide, without its speed, then in shorter form.

    Only values that fit into no line of the width are spread over several, each of them whole.

    Examples
    --------
    >>> line("Epoch 1/5", "9 rows/s", 1.0, {"loss": 0.5}, 80)
    'Epoch 1/5 - 1.00s - 9 rows/s - loss: 0.5000'
    >>> line("Epoch 1/5", "9 rows/s", 1.0, {"loss": 0.5}, 25)
    'Epoch 1/5 - loss: 0.5000'
    """
    text = describe(logs)
    for parts in ((title, f"{seconds:.2f}s", speed), (title, f"{seconds:.2f}s"), (title,)):
        whole = " - ".join(filter(None, (*parts, text)))
        if len(whole) <= width:
            return whole
    items = [f"{name} {_number(value)}" for name, value in logs.items()]
    for name in (title, title.removeprefix("Epoch ")):
        whole = f"{name}: {', '.join(items)}"
        if len(whole) <= width:
            return whole
    lines = [f"{title}: {items[0]}"]
    for item in items[1:]:
        if len(lines[-1]) + 3 + len(item) <= width:
            lines[-1] += f", {item}"
        else:
            lines[-1] += ","
            lines.append(f"  {item}")
    return "\n".join(lines)


def first_ones(logs: Mapping[str, float], room: int) -> str:
    """As many of the logs as have room, from the first on."""
    text = ""
    for name, value in logs.items():
        longer = f"{text}{', ' if text else ''}{name}: {_number(value)}"
        if len(longer) > room:
            break
        text = longer
    return text


class Progress(Callback):
    """Shows each epoch: rows done and rows a second, loss and metrics.

    Parameters
    ----------
    verbose
        1: a bar while an epoch lasts, and its line when it is over; 2: the lines alone.
    """

    def __init__(self, verbose: int) -> None:
        super().__init__()
        self.verbose = verbose
        self._bar: Any = None
        self._page: _Page | None = None
        self._started = 0.0
        self._rows = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Open the bar."""
        self._started, self._rows = time.perf_counter(), 0
        self._title = f"Epoch {epoch + 1}/{self.params.get('epochs', '?')}"
        if self.verbose != 1:
            return
        if self._page is None:
            self._page = _page()
        if self._page is None and usable(sys.stderr):
            self._show(self._open)

    def _open(self) -> None:
        from tqdm import tqdm

        total = self.params.get("rows")
        done = "{n_fmt} rows" if total is None else "{percentage:3.0f}%|{bar}|"
        self._bar = tqdm(
            total=total,
            desc=self._title,
            unit="row",
            unit_scale=True,
            mininterval=0.05,
            leave=False,
            ncols=columns(sys.stderr),
            bar_format=f"{{desc}} {done} {{rate_fmt}}{{postfix}}",
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
        if self._page is not None:
            self._page.live(f"{self._title} - {self._rows:,} rows - {describe(logs)}")
        if self._bar is not None:
            # Beside the title the bar itself, the share and the speed.
            room = (columns(sys.stderr) or 1000) - len(self._title) - 26
            bar, text = self._bar, printable(first_ones(logs, room), sys.stderr)
            self._show(lambda: (bar.set_postfix_str(text, refresh=False), bar.update(rows)))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Close the bar, and print the line."""
        seconds = time.perf_counter() - self._started
        speed = f"{self._rows / max(seconds, 1e-9):,.0f} rows/s"
        if self._page is not None:
            self._page.add(line(self._title, speed, seconds, logs or {}, 1000))
        elif self._bar is not None:
            width = (columns(sys.stderr) or 1000) - 1
            text = printable(line(self._title, speed, seconds, logs or {}, width), sys.stderr)
            bar = self._bar
            self.close()
            self._show(lambda: bar.write(text, file=sys.stderr))
        elif self.verbose == 2:
            write(line(self._title, speed, seconds, logs or {}, sys.maxsize))

    def close(self) -> None:
        """Close a bar that is still open, for example after an error."""
        if self._bar is not None:
            bar, self._bar = self._bar, None
            self._show(bar.close)
        if self._page is not None:
            self._page.close()


class _Page:
    """The lines of a fit as one output of a notebook, which is saved with it as it is last.

    Parameters
    ----------
    display
        IPython's function.
    """

    # Seconds between changes: each sends all lines.
    pause = 0.25

    def __init__(self, display: Callable[..., Any]) -> None:
        self.lines: list[str] = []
        self._shown = 0.0
        self._handle = display(self._bundle(""), raw=True, display_id=True)

    def _bundle(self, last: str) -> dict[str, str]:
        return {"text/plain": "\n".join([*self.lines, last] if last else self.lines)}

    def live(self, last: str) -> None:
        """Show a line that will be replaced."""
        if time.perf_counter() - self._shown > self.pause:
            self._handle.update(self._bundle(last), raw=True)
            self._shown = time.perf_counter()

    def add(self, text: str) -> None:
        """Show a line that stays."""
        self.lines.append(text)
        self.live("")

    def close(self) -> None:
        """Show all lines."""
        self._handle.update(self._bundle(""), raw=True)


def _page() -> _Page | None:
    """An output of the notebook that this runs in, or None."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return None
    return _Page(import_module("IPython.display").display)

"""Layer 7: a record as one HTML page without outside parts: plots, tables, how it was measured."""

from __future__ import annotations

import html
import io
import re
from typing import Any

from dropfast.bench import table
from dropfast.bench.record import Record, is_ours

_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
_STYLE = """
:root { color-scheme: light dark; --text: #1c1c1c; --back: #ffffff; --line: #d8d8d8; --soft: #666; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e8; --back: #16181c; --line: #3a3d44; --soft: #a0a0a0; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.soft { color: var(--soft); } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; min-width: 14rem; }
td small { color: var(--soft); white-space: nowrap; } .ours { font-weight: 600; }
.lost { color: #d55e00; } figure { margin: 1rem 0; } svg { max-width: 100%; height: auto; }
svg text { fill: currentColor !important; }
"""
_HOW = (
    "Each contender runs in a process of its own with the same number of threads and is checked to "
    "give the right result before it is timed. Rounds are taken in turn, with pauses. A figure is "
    "the median of the rounds; the small one says how many times faster dropfast is, the median of "
    "the ratios of rounds taken in turn. Limits that nothing can pass, a copy and a loop of "
    "multiply-adds without memory, are measured in the same rounds. Where another library wins, "
    "its row stands first."
)


def page(record: Record) -> str:
    """The page.

    Raises
    ------
    ValueError
        If matplotlib, which draws the plots, is not installed.
    """
    machine = record.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    told = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"{machine['simd']}; Python {machine['python']}, {versions}; {machine['date']}"
    )
    parts = [
        f"<h1>dropfast {machine['dropfast']} beside others</h1>",
        f'<p class="soft">{html.escape(told)}</p>',
    ]
    if not record.complete:
        parts.append("<p><b>Interrupted:</b> figures are of the rounds that were done.</p>")
    parts += [_sizes(record), _epochs(record)]
    for suite in dict.fromkeys(cell.suite for cell in record.cells):
        parts.append(f"<h2>{html.escape(suite)}</h2>{_table(record, suite)}")
    if record.noisy:
        names = html.escape("; ".join(record.noisy))
        parts.append(f'<p class="soft">Noisy, quartiles more than 15 % apart: {names}.</p>')
    failures = [f"{c.contender} at {c.workload}: {c.why}" for c in record.cells if c.why]
    parts += [f'<p class="soft">{html.escape(line)}</p>' for line in failures]
    parts.append(f"<h2>How it was measured</h2><p>{_HOW}</p>")
    parts.append(f"<p>Again: <code>{html.escape(machine['command'])}</code></p>")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>dropfast benchmarks</title><style>{_STYLE}</style>"
        f"<body>{''.join(parts)}</body></html>"
    )


def _table(record: Record, suite: str) -> str:
    names = [name for found, name in record.workloads() if found == suite]
    names.sort(key=lambda name: -table.worst(record, suite, name))
    columns = list(dict.fromkeys(c.contender for n in names for c in record.of(suite, n)))
    heading = "".join(f"<th>{html.escape(name)}</th>" for name in ["", "unit", *columns])
    rows = []
    for name in names:
        cells = {cell.contender: cell for cell in record.of(suite, name)}
        unit = next(iter(cells.values())).unit
        shown = [f"<td>{html.escape(name)}</td><td>{html.escape(unit)}</td>"]
        for column in columns:
            cell = cells.get(column)
            if cell is None or not cell.values:
                shown.append("<td>–</td>")
                continue
            value, ratio = table.number(cell.median), record.ratio(cell)
            if is_ours(column) or ratio != ratio:
                shown.append(f'<td class="ours">{value}</td>')
                continue
            lost = ' class="lost"' if ratio < 1 and not cell.limit else ""
            shown.append(f"<td{lost}>{value} <small>{table.number(ratio)}x</small></td>")
        rows.append(f"<tr>{''.join(shown)}</tr>")
    return f'<div class="wide"><table><tr>{heading}</tr>{"".join(rows)}</table></div>'


def _sizes(record: Record) -> str:
    """Ns per element of dropout over sizes, one line a contender, a copy as the floor."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for cell in record.cells:
        match = re.match(r"dropout forward, 2\^(\d+) float32, rate 0.5", cell.workload)
        if match and cell.values:
            lines.setdefault(cell.contender, []).append((2 ** int(match[1]), cell.median))
    if not lines:
        return ""
    figure, axes = _figure()
    for number, (name, points) in enumerate(lines.items()):
        style: dict[str, Any] = {"color": _COLOURS[number % len(_COLOURS)], "label": name}
        style["linewidth"] = 2.5 if is_ours(name) else 1.5
        axes.plot(*zip(*sorted(points), strict=True), marker="o", markersize=4, **style)
    axes.set(xscale="log", yscale="log", xlabel="elements", ylabel="ns per element")
    axes.set_xscale("log", base=2)
    axes.legend(frameon=False, fontsize=9)
    return _drawn(
        figure, "Dropout forward, rate .5, float32; np.copyto is the floor of any such pass."
    )


def _epochs(record: Record) -> str:
    """Epochs of the training suite as bars."""
    names = [name for suite, name in record.workloads() if suite == "training"]
    cells = [c for name in names for c in record.of("training", name) if c.values]
    if not cells:
        return ""
    contenders = list(dict.fromkeys(cell.contender for cell in cells))
    figure, axes = _figure(height=0.9 * len(names) + 1.2)
    for number, contender in enumerate(contenders):
        height = 0.8 / len(contenders)
        mine = {c.workload: c.median for c in cells if c.contender == contender}
        places = [i + height * (number - len(contenders) / 2 + 0.5) for i in range(len(names))]
        values = [mine.get(name, 0.0) for name in names]
        colour = _COLOURS[number % len(_COLOURS)]
        axes.barh(places, values, height, color=colour, label=contender)
    axes.set_yticks(range(len(names)), [name.replace(", ", "\n", 1) for name in names], fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="seconds an epoch of 60,000 rows")
    axes.legend(frameon=False, fontsize=9)
    return _drawn(
        figure, "Seconds an epoch; shorter is better. A missing bar is a contender that can't."
    )


def _figure(height: float = 4.0) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("matplotlib must be installed for a page: dropfast[plot]") from error
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(color="#8c8c8c")
    for side in ("bottom", "left"):
        axes.spines[side].set_color("#8c8c8c")
    return figure, axes


def _drawn(figure: Any, caption: str) -> str:
    """The figure as SVG whose text takes the page's colour."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(out, format="svg", transparent=True)
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    return f'<figure>{svg}<figcaption class="soft">{html.escape(caption)}</figcaption></figure>'

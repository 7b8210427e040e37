"""Layer 7: a record as text: a table for each suite, for terminals and Markdown."""

from __future__ import annotations

import math

from dropfast.bench.record import UNSTEADY, Cell, Record, is_ours


def text(record: Record) -> str:
    """All tables; where a peer is faster, its row stands first in its suite.

    A cell is the median; in brackets how many times faster dropfast is, by the median of the
    rounds' ratios, or that its rounds differ too much for a ratio.
    """
    machine = record.machine
    lines = [
        f"dropfast {machine.get('dropfast')} on {machine.get('processor')}, "
        f"{machine.get('threads')} threads, {machine.get('simd')}, {machine.get('date')}",
    ]
    if not record.complete:
        lines.append("This run was interrupted: figures are of the rounds that were done.")
    for suite in dict.fromkeys(cell.suite for cell in record.cells):
        lines += ["", *_suite(record, suite)]
    if record.noisy:
        lines += ["", "Noisy (quartiles more than 15 % apart): " + "; ".join(record.noisy)]
    troubled = [cell for cell in record.cells if cell.why]
    for cell in troubled:
        lines.append(f"{cell.contender} at {cell.workload}: {cell.why}")
    return "\n".join(lines)


def _suite(record: Record, suite: str) -> list[str]:
    names = [name for found, name in record.workloads() if found == suite]
    # What a peer does faster comes first.
    names.sort(key=lambda name: -worst(record, suite, name))
    columns = list(dict.fromkeys(c.contender for n in names for c in record.of(suite, n)))
    heading = [suite, "unit", *columns]
    rows = [heading]
    for name in names:
        cells = {cell.contender: cell for cell in record.of(suite, name)}
        unit = next(iter(cells.values())).unit
        shown = [_shown(record, cells.get(column)) for column in columns]
        rows.append([name, unit, *shown])
    return grid(rows)


def worst(record: Record, suite: str, name: str) -> float:
    """How many times faster than dropfast the fastest peer is."""
    best = 0.0
    for cell in record.of(suite, name):
        ratio = record.ratio(cell)
        if not cell.limit and not is_ours(cell.contender) and ratio > 0:
            best = max(best, 1 / ratio)
    return best if best > 1 else 0.0


def _shown(record: Record, cell: Cell | None) -> str:
    if cell is None or not cell.values:
        return "–"
    value = number(cell.median)
    ratio = record.ratio(cell)
    if cell.spread > UNSTEADY:
        return f"{value} (unsteady)"
    if is_ours(cell.contender) or math.isnan(ratio):
        return value
    return f"{value} ({number(ratio)}x)"


def number(value: float) -> str:
    """Three digits that matter."""
    if value == 0 or not math.isfinite(value):
        return "–"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f}"


def grid(rows: list[list[str]]) -> list[str]:
    """A Markdown table with columns of even width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [lines[0], rule, *lines[1:]]


def compare(old: Record, new: Record) -> str:
    """Two records side by side: medians of dropfast, and how they moved."""
    rows = [["workload", "unit", "before", "after", "after / before"]]
    for suite, name in new.workloads():
        before, after = (
            next((c for c in record.of(suite, name) if c.contender == "dropfast"), None)
            for record in (old, new)
        )
        if before is None or after is None or not before.values or not after.values:
            continue
        steady = max(before.spread, after.spread)
        moved = after.median / before.median
        mark = "" if abs(moved - 1) > steady else " (within the spread)"
        values = [number(before.median), number(after.median), f"{moved:.2f}{mark}"]
        rows.append([name, after.unit, *values])
    return "\n".join(grid(rows))

"""Run the benchmarks and print their tables as Markdown; with --pictures FOLDER, draw them too.

`make bench` runs this; `make bench ARGS='-k dropout'` passes a choice to pytest. `--json FILE ...`
prints the tables of earlier runs instead, the best of each cell.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from results import Cell, Ratios, cells, merge, peaks

HERE = Path(__file__).parent


def run(pytest_arguments: list[str]) -> dict:
    """What pytest-benchmark wrote."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "benchmarks.json"
        # Peers warn about themselves; that is no failure of a benchmark.
        command = [sys.executable, "-m", "pytest", *map(str, sorted(HERE.glob("bench_*.py")))]
        options = ["-q", "-W", "ignore", "-p", "no:cacheprovider", "--benchmark-columns=min"]
        subprocess.run(
            [*command, *options, f"--benchmark-json={file}", *pytest_arguments], check=True
        )
        return json.loads(file.read_text())


@dataclass(frozen=True)
class Table:
    """Which cells make a table, and what its rows and values are called."""

    title: str
    heading: str
    benches: tuple[str, ...]
    label: Callable[[tuple], str]
    value: Callable[[Cell], str]
    holds: Callable[[Cell], bool] = lambda cell: True


def first(case: tuple) -> str:
    return case[0]


def dropout_table(rate: float) -> Table:
    """The copy, which has no rate, stands in every one of these."""
    return Table(
        f"Dropout forward, float32, rate {rate}: ns per element",
        "elements",
        ("bench_dropout",),
        lambda case: f"2^{case[1]}",
        lambda cell: f"{cell.seconds / cell.work * 1e9:.3f}",
        lambda cell: cell.case[0] == rate or cell.contender == "np.copyto",
    )


TABLES = (
    dropout_table(0.1),
    dropout_table(0.5),
    Table(
        "Matrix products, float32: GFLOP/s",
        "m x k x n",
        ("bench_product",),
        lambda case: " x ".join(map(str, case[:3])) + f", {case[3]}",
        lambda cell: f"{cell.gflops:.0f}",
    ),
    Table(
        "Training: seconds for an epoch of 60,000 rows",
        "network",
        ("bench_epoch",),
        first,
        lambda cell: f"{cell.seconds / cell.work * 60_000:.3f}",
    ),
    Table(
        "Prediction: µs a call",
        "call",
        ("bench_predict", "bench_monte_carlo"),
        first,
        lambda cell: f"{cell.seconds * 1e6:,.1f}",
    ),
    Table(
        "Memory of a first fit beyond data and weights, MB",
        "network",
        ("bench_memory",),
        first,
        lambda cell: f"{cell.info['bytes'] / 1e6:,.1f}",
    ),
)


def markdown(spec: Table, chosen: list[Cell]) -> str:
    """A row for each case, a column for each contender."""
    contenders = list(dict.fromkeys(cell.contender for cell in chosen))
    rows: dict[str, dict[str, str]] = {}
    for cell in chosen:
        rows.setdefault(spec.label(cell.case), {})[cell.contender] = spec.value(cell)
    lists = {
        label: [row.get(contender, "–") for contender in contenders] for label, row in rows.items()
    }
    return grid(spec.title, spec.heading, contenders, lists)


def markdown_ratios(spec: Table, chosen: list[Cell], loops: dict[str, float]) -> str | None:
    """The same rows as ratios; None where no loop bounds a cell."""
    ratios = Ratios(chosen, loops)
    if not ratios.ours:
        return None
    rows = {spec.label(cell.case): ratios.row(cell.case) for cell in chosen}
    title = f"{spec.title.split(':')[0]}: share of the multiply-add loop, and how many times faster"
    return grid(title, spec.heading, ratios.columns(), rows)


def grid(title: str, heading: str, columns: list[str], rows: dict[str, list[str]]) -> str:
    """A Markdown table under its title."""
    lines = [f"| {heading} | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    lines += [f"| {label} | {' | '.join(values)} |" for label, values in rows.items()]
    return "\n".join([f"### {title}", "", *lines])


def tables(results: dict) -> str:
    """All tables for which there are cells, their ratios, and the peaks."""
    timed, loops, parts = cells(results), peaks(results), []
    for spec in TABLES:
        chosen = [cell for cell in timed if cell.bench in spec.benches and spec.holds(cell)]
        if chosen:
            parts += [markdown(spec, chosen), markdown_ratios(spec, chosen, loops)]
    if loops:
        shown = ", ".join(f"{name}: {value:.0f}" for name, value in loops.items())
        parts.append(f"Peak without memory, GFLOP/s. {shown}.")
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, nargs="+", help="results of earlier runs")
    parser.add_argument("--save", type=Path, help="write the results to this file too")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures")
    options, pytest_arguments = parser.parse_known_args()
    earlier = [json.loads(file.read_text()) for file in options.json or ()]
    results = merge(earlier) if earlier else run(pytest_arguments)
    if options.save:
        options.save.write_text(json.dumps(results))
    machine = results["machine_info"]["cpu"]
    print(f"\n{machine['brand_raw']}, {machine['count']} cores\n\n{tables(results)}")
    if options.pictures:
        from pictures import draw

        draw(cells(results), peaks(results), options.pictures)


if __name__ == "__main__":
    main()

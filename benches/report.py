"""Run the benchmarks and print their tables as Markdown; with --pictures FOLDER, draw them too.

`make bench` runs this; `make bench ARGS='-k dropout'` passes a choice to pytest. `--json FILE`
prints the tables of an earlier run instead.
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

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Cell:
    """One contender at one case: seconds of a call at best, and what the call did."""

    bench: str
    case: tuple
    contender: str
    seconds: float
    work: float


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


def cells(results: dict) -> list[Cell]:
    """All timed cells. The best round counts: whatever else ran made the others slower."""
    return [
        Cell(
            entry["name"].split("[")[0],
            tuple(info["case"]),
            info["contender"],
            entry["stats"]["min"],
            info["work"],
        )
        for entry in results["benchmarks"]
        if "work" in (info := entry["extra_info"])
    ]


def peaks(results: dict) -> dict[str, float]:
    """GFLOP/s of the multiply-add loops, by name."""
    infos = [entry["extra_info"] for entry in results["benchmarks"]]
    return {info["contender"]: info["gflops"] for info in infos if "gflops" in info}


@dataclass(frozen=True)
class Table:
    """Which cells make a table, and what its rows and values are called."""

    title: str
    heading: str
    benches: tuple[str, ...]
    label: Callable[[tuple], str]
    value: Callable[[Cell], str]
    holds: Callable[[Cell], bool] = lambda cell: True


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
        lambda cell: f"{cell.work / cell.seconds / 1e9:.0f}",
    ),
    Table(
        "Training: seconds for an epoch of 60,000 rows",
        "network",
        ("bench_epoch",),
        lambda case: case[0],
        lambda cell: f"{cell.seconds / cell.work * 60_000:.3f}",
    ),
    Table(
        "Prediction: µs a call",
        "call",
        ("bench_predict", "bench_monte_carlo"),
        lambda case: case[0],
        lambda cell: f"{cell.seconds * 1e6:,.1f}",
    ),
)


def markdown(spec: Table, chosen: list[Cell]) -> str:
    """A row for each case, a column for each contender."""
    contenders = list(dict.fromkeys(cell.contender for cell in chosen))
    rows: dict[str, dict[str, str]] = {}
    for cell in chosen:
        rows.setdefault(spec.label(cell.case), {})[cell.contender] = spec.value(cell)
    lines = [f"| {spec.heading} | {' | '.join(contenders)} |", "|---|" + "---:|" * len(contenders)]
    lines += [
        f"| {name} | {' | '.join(row.get(contender, '–') for contender in contenders)} |"
        for name, row in rows.items()
    ]
    return "\n".join([f"### {spec.title}", "", *lines])


def tables(results: dict) -> str:
    """All tables for which there are cells, and the peaks."""
    timed, parts = cells(results), []
    for spec in TABLES:
        chosen = [cell for cell in timed if cell.bench in spec.benches and spec.holds(cell)]
        if chosen:
            parts.append(markdown(spec, chosen))
    if peaks(results):
        loops = ", ".join(f"{name}: {value:.0f}" for name, value in peaks(results).items())
        parts.append(f"Peak without memory, GFLOP/s. {loops}.")
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="results of an earlier run")
    parser.add_argument("--save", type=Path, help="write the results to this file too")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures")
    options, pytest_arguments = parser.parse_known_args()
    results = json.loads(options.json.read_text()) if options.json else run(pytest_arguments)
    if options.save:
        options.save.write_text(json.dumps(results))
    machine = results["machine_info"]["cpu"]
    print(f"\n{machine['brand_raw']}, {machine['count']} cores\n\n{tables(results)}")
    if options.pictures:
        from pictures import draw

        draw(cells(results), peaks(results), options.pictures)


if __name__ == "__main__":
    main()

"""Writes README's table and docs/performance.md from a record of `python -m dropfast.bench`.

`make records` measures and then runs this. The record is benches/records/full.json where it
exists, else quick.json.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from dropfast.bench import table
from dropfast.bench.record import UNSTEADY, Record, is_ours

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benches" / "records"
START, END = "<!-- made by benches/write_tables.py -->", "<!-- end of what is made -->"
# Workload -> what README calls it.
SHORT = {
    "dropout forward, 2^12 float32, rate 0.5": "dropout of 4,096 values",
    "dropout forward, 2^20 float32, rate 0.5": "dropout of a million values",
    "training": "epoch, {}",
    "predict 1 row, 784-200-100-60-10": "predict one row, 784-200-100-60-10",
    "Monte Carlo, 100 samples of 1,000 rows, seed network": "100 masks × 1,000 rows, same network",
}


def newest() -> Path:
    """The record that the documents stand on."""
    full = RECORDS / "full.json"
    return full if full.exists() else RECORDS / "quick.json"


def machine(record: Record) -> str:
    """One sentence: where, with what and when."""
    told = record.machine
    versions = {"torch": "PyTorch", "numpy": "NumPy", "jax": "JAX", "tensorflow": "TensorFlow"}
    peers = ", ".join(f"{versions.get(k, k)} {v}" for k, v in told["versions"].items())
    text = (
        f"{told['processor']}, {told['cores']} cores, {told['simd']}, {told['threads']} threads "
        f"for every library; dropfast {told['dropfast']}, Python {told['python']}, {peers}; "
        f"{told['date']}."
    )
    noisy, count = len(record.noisy), len(record.workloads())
    if noisy:
        text += (
            f" The machine was not quiet: in {noisy} of {count} workloads the rounds' quartiles "
            "lie more than 15 % apart."
        )
    if not record.complete:
        text += " The run was interrupted."
    return text


def ratios(record: Record) -> str:
    """README's table: our time, and how many times as long others take, where rounds agree."""
    chosen = []
    for suite, name in record.workloads():
        if suite == "training":
            chosen.append((suite, name, f"training, {name}"))
        elif name in SHORT:
            chosen.append((suite, name, SHORT[name]))
    # What a peer does faster comes first.
    chosen.sort(key=lambda row: -table.worst(record, row[0], row[1]))
    cells = {(s, n): {c.contender: c for c in record.of(s, n)} for s, n, _ in chosen}
    peers = list(
        dict.fromkeys(
            c.contender
            for found in cells.values()
            for c in found.values()
            if not is_ours(c.contender) and not c.limit and c.values
        )
    )
    heading = [
        f"| | dropfast | {' | '.join(peers)} |",
        f"|---|---:|{'---:|' * len(peers)}",
    ]
    lines: list[str] = []
    for suite, name, short in chosen:
        found = cells[suite, name]
        ours = next((c for c in found.values() if is_ours(c.contender)), None)
        if ours is None or not ours.values or ours.spread > UNSTEADY:
            continue
        shown = [short, f"{table.number(ours.median)} {ours.unit.split(' of ')[0]}"]
        for peer in peers:
            ratio = record.ratio(found[peer]) if peer in found else math.nan
            if math.isnan(ratio):
                shown.append("–")
            elif found[peer].spread > UNSTEADY:
                shown.append("unsteady")
            else:
                shown.append(f"{table.number(ratio)} ×")
        lines.append(f"| {' | '.join(shown)} |")
    missing = len(chosen) - len(lines)
    told = f"{missing} of {len(chosen)} rows are left out: the machine was too busy for them."
    parts = ["\n".join([*heading, *lines])] if lines else []
    return "\n\n".join([*parts, told] if missing else parts)


def readme(record: Record) -> str:
    """What stands between the marks in README."""
    return f"{ratios(record)}\n\n{machine(record)}"


def page(record: Record) -> str:
    """What stands between the marks in docs/performance.md."""
    parts = [f"{machine(record)} Command: `{record.machine['command']}`."]
    for suite in dict.fromkeys(cell.suite for cell in record.cells):
        of_suite = Record(
            [c for c in record.cells if c.suite == suite], record.machine, record.complete
        )
        lines = table.text(of_suite).splitlines()
        rows = [line for line in lines if line.startswith("|")]
        parts.append(f"### {suite.capitalize()}\n\n" + "\n".join(rows))
    failed = [f"* {c.contender}, {c.workload}: {c.why}" for c in record.cells if c.why]
    if failed:
        parts.append("### What did not run\n\n" + "\n".join(failed))
    return "\n\n".join(parts)


def replaced(text: str, made: str) -> str:
    """A document with the part between the marks made anew."""
    before, rest = text.split(START)
    return f"{before}{START}\n\n{made}\n\n{END}{rest.split(END)[1]}"


def documents(record: Record) -> dict[Path, str]:
    """Each document, as it should be."""
    made = {ROOT / "README.md": readme(record), ROOT / "docs" / "performance.md": page(record)}
    return {path: replaced(path.read_text(encoding="utf-8"), text) for path, text in made.items()}


def main() -> int:
    for path, text in documents(Record.load(newest())).items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())

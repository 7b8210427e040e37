"""Layer 7: arguments, progress and files of ``python -m dropfast.bench``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dropfast.bench import table
from dropfast.bench.page import page
from dropfast.bench.peers import LIBRARIES, installed
from dropfast.bench.record import Record
from dropfast.bench.rounds import check, run
from dropfast.bench.workloads import SUITES, Workload


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser(
        prog="python -m dropfast.bench",
        description="Time dropfast beside other libraries on this machine. Results are checked to "
        "agree before a time counts; contenders run in processes of their own and take turns.",
    )
    made.add_argument(
        "--suite", action="append", metavar="NAME", help=f"one of {', '.join(SUITES)}"
    )
    made.add_argument(
        "--peer",
        action="append",
        metavar="LIBRARY",
        help=f"one of {', '.join(p for p in LIBRARIES if p != 'dropfast')}; all that are installed",
    )
    made.add_argument("--quick", action="store_true", help="fewer workloads, under two minutes")
    made.add_argument("--threads", type=int, help="threads of every contender")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the record")
    made.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    made.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="two records")
    made.add_argument("--show", type=Path, metavar="FILE", help="a record instead of a run")
    made.add_argument("--list", action="store_true", help="show suites and installed peers")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as told; returns the exit status."""
    arguments_parser = parser()
    given = arguments_parser.parse_args(arguments)
    try:
        if given.list:
            print("suites:", ", ".join(SUITES))
            print("peers: ", ", ".join(p for p in installed() if p != "dropfast"))
            return 0
        if given.compare:
            print(table.compare(*map(Record.load, given.compare)))
            return 0
        if given.threads is not None and given.threads < 1:
            raise ValueError(f"--threads must be positive. Received: {given.threads}")
        check(given.suite, given.peer)
        for file in filter(None, (given.json, given.html)):
            _check_writable(file)
        if given.html and importlib.util.find_spec("matplotlib") is None:
            raise ValueError("--html needs matplotlib: pip install 'dropfast[plot]'")
        record = Record.load(given.show) if given.show else _run(given)
    except (OSError, ValueError) as error:
        arguments_parser.error(str(error))
    print(table.text(record))
    try:
        if given.json:
            record.save(given.json)
        if given.html:
            given.html.write_text(page(record), encoding="utf-8")
    except OSError as error:  # such as a full disk: the tables above are not lost
        print(f"{arguments_parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0 if record.complete else 130


def _run(given: Any) -> Record:
    with tqdm(desc="benchmarks", unit="workload", dynamic_ncols=True) as bar:

        def progress(record: Record, workload: Workload, number: int, count: int) -> None:
            bar.total, bar.n = count, number
            bar.set_postfix_str(workload.name, refresh=True)

        record = run(given.suite, given.peer, given.quick, given.threads, progress)
        bar.n = bar.total or 0
        bar.set_postfix_str("" if record.complete else "interrupted")
    return record


def _check_writable(file: Path) -> None:
    """Fail before the run, not after it."""
    folder = file.parent if file.parent != Path() else Path.cwd()
    if file.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"file must be writable in a folder that exists. Received: {file}")
    if file.exists() and not os.access(file, os.W_OK):
        raise ValueError(f"file must be writable. Received: {file}")


if __name__ == "__main__":
    sys.exit(main())

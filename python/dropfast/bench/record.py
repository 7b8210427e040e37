"""Layer 7: what a run of the benchmarks found, as data: cells, machine, JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from dropfast._core import __version__, aes_level, simd_level

VERSION = 1
# Rounds that differ more than this are no steady machine's.
NOISY = 0.15
# Ratios of rounds that differ more than this say nothing.
UNSTEADY = 0.3
_LIBRARIES = ("numpy", "torch", "jax", "tensorflow", "keras", "scikit-learn")


@dataclass
class Cell:
    """One contender at one workload.

    Attributes
    ----------
    suite, workload, unit
        What was timed, and the unit of the values.
    contender
        Who ran.
    values
        One value a round, in the order of the rounds; empty if it did not run.
    why
        Why it did not run, or "".
    limit
        Whether this is no contender but a floor that none can pass.
    lower
        Whether lower values are better.
    """

    suite: str
    workload: str
    unit: str
    contender: str
    values: list[float] = field(default_factory=list)
    why: str = ""
    limit: bool = False
    lower: bool = True

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.values) if self.values else float("nan")

    @property
    def spread(self) -> float:
        """Distance between the quartiles, as a share of the median."""
        if len(self.values) < 3 or self.median == 0:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4)
        return (high - low) / self.median


@dataclass
class Record:
    """Everything that a run found.

    Attributes
    ----------
    cells
        In the order in which they ran.
    machine
        Processor, cores, threads, versions, date.
    complete
        False if the run was interrupted: some cells have fewer rounds, or none.
    """

    cells: list[Cell] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    complete: bool = True

    def workloads(self) -> list[tuple[str, str]]:
        """(suite, workload) in order."""
        return list(dict.fromkeys((cell.suite, cell.workload) for cell in self.cells))

    def of(self, suite: str, workload: str) -> list[Cell]:
        """The cells of a workload."""
        return [c for c in self.cells if (c.suite, c.workload) == (suite, workload)]

    @property
    def noisy(self) -> list[str]:
        """Workloads whose rounds differed more than a steady machine's do."""
        return [
            workload
            for suite, workload in self.workloads()
            if any(cell.spread > NOISY for cell in self.of(suite, workload))
        ]

    def ratio(self, cell: Cell) -> float:
        """How many times faster dropfast is than a cell: the median of the rounds' ratios."""
        mine = next((c for c in self.of(cell.suite, cell.workload) if is_ours(c.contender)), None)
        if mine is None or not mine.values or not cell.values:
            return float("nan")
        pairs = zip(cell.values, mine.values, strict=False)
        ratios = [theirs / ours if cell.lower else ours / theirs for theirs, ours in pairs]
        return statistics.median(ratios)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the record as JSON."""
        content = {
            "version": VERSION,
            "complete": self.complete,
            "machine": self.machine,
            "cells": [asdict(cell) for cell in self.cells],
        }
        Path(file).write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> Record:
        """Read a record that `save` wrote.

        Raises
        ------
        ValueError
            If the file is no such record.
        """
        try:
            content = json.loads(Path(file).read_text(encoding="utf-8"))
            cells = [Cell(**cell) for cell in content["cells"]]
            machine, complete = dict(content["machine"]), bool(content["complete"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"file must be a record of dropfast.bench. Received: {os.fspath(file)!r} ({error})"
            ) from error
        return cls(cells, machine, complete)


def is_ours(contender: str) -> bool:
    """Whether a contender is dropfast itself."""
    return contender.startswith("dropfast")


def machine(threads: int) -> dict[str, Any]:
    """What the figures depend on."""
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "dropfast": __version__,
        "simd": simd_level(),
        "aes": aes_level(),
        "versions": versions,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": " ".join(["python -m dropfast.bench", *sys.argv[1:]]),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

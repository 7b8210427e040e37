"""What the benchmarks measured: cells of tables, and the loops of multiply-adds that bound them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One contender at one case: seconds of a call at best, and what the call did."""

    bench: str
    case: tuple
    contender: str
    seconds: float
    work: float
    info: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def gflops(self) -> float:
        return self.info["flops"] / self.seconds / 1e9


def merge(parts: Iterable[dict]) -> dict:
    """Results of several runs as one."""
    parts = list(parts)
    return {**parts[0], "benchmarks": [entry for part in parts for entry in part["benchmarks"]]}


def cells(results: dict) -> list[Cell]:
    """All timed cells. The best round counts: whatever else ran made the others slower."""
    best: dict[tuple, Cell] = {}
    for entry in results["benchmarks"]:
        info = entry["extra_info"]
        if "work" not in info:
            continue
        bench, case = entry["name"].split("[")[0], tuple(info["case"])
        cell = Cell(bench, case, info["contender"], entry["stats"]["min"], info["work"], info)
        place = (bench, case, cell.contender)
        if place not in best or cell.seconds < best[place].seconds:
            best[place] = cell
    return list(best.values())


def peaks(results: dict) -> dict[str, float]:
    """GFLOP/s of the multiply-add loops, by name."""
    found: dict[str, float] = {}
    for entry in results["benchmarks"]:
        info = entry["extra_info"]
        if "gflops" in info:
            found[info["contender"]] = max(info["gflops"], found.get(info["contender"], 0.0))
    return found


def is_ours(contender: str) -> bool:
    return contender.startswith("dropfast")


class Ratios:
    """What a case's cells are to the loop, to one thread, to other cases and to peers."""

    def __init__(self, chosen: list[Cell], loops: dict[str, float]) -> None:
        self.loops = loops
        self.by_place = {(cell.case, cell.contender): cell for cell in chosen}
        names = list(dict.fromkeys(cell.contender for cell in chosen))
        bounded = {
            cell.contender
            for cell in chosen
            if cell.info.get("loop") in loops and "flops" in cell.info
        }
        self.ours = [name for name in names if name in bounded]
        self.peers = [name for name in names if not is_ours(name)]

    def columns(self) -> list[str]:
        dense = ["times no dropout"] if self._has("dense") else []
        return [
            *(f"{name}: of the loop" for name in self.ours),
            "1 → all threads",
            *dense,
            *(f"times {name}" for name in self.peers),
        ]

    def row(self, case: tuple) -> list[str]:
        """One value a column, "–" where a cell is missing."""
        values = [self._share(case, name) for name in self.ours]
        all_threads, one = (self._cell(case, f"dropfast{end}") for end in ("", ", 1 thread"))
        values.append(_faster(all_threads, one, ".2f"))
        if self._has("dense"):
            values.append(_faster(all_threads, self._other(case, "dense", "dropfast"), ".2f"))
        for peer in self.peers:
            peers = self._cell(case, peer) or self._other(case, "standard", peer)
            values.append(_faster(all_threads, peers, ".1f"))
        return values

    def _has(self, name: str) -> bool:
        return any(name in cell.info for cell in self.by_place.values())

    def _cell(self, case: tuple, contender: str) -> Cell | None:
        return self.by_place.get((case, contender))

    def _other(self, case: tuple, name: str, contender: str) -> Cell | None:
        """The contender's cell at the case that ours names as one to compare with."""
        cell = self._cell(case, "dropfast")
        return self._cell((cell.info[name],), contender) if cell and name in cell.info else None

    def _share(self, case: tuple, name: str) -> str:
        cell = self._cell(case, name)
        return f"{cell.gflops / self.loops[cell.info['loop']]:.2f}" if cell else "–"


def _faster(cell: Cell | None, other: Cell | None, form: str) -> str:
    """How many times faster the first is for the same work."""
    if cell is None or other is None:
        return "–"
    return format(other.seconds / other.work / (cell.seconds / cell.work), form)

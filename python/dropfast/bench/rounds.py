"""Layer 7: the run: contenders in processes of their own take turns, round by round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from dropfast.bench.peers import LIBRARIES, installed
from dropfast.bench.record import Cell, Record, machine
from dropfast.bench.workloads import SUITES, WORKLOADS, Workload

# Threads of other libraries spin for some 25 ms after a call, on the cores of whoever comes next.
PAUSE = 0.03
# Seconds that a workload may take, all rounds and contenders together, after its first calls.
BUDGET = 6.0
QUICK_BUDGET = 1.0
LOOP = "multiply-add loop"
_THREADS = (
    "DROPFAST_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


class Contender:
    """One contender in its process."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self._threads = name, threads
        self._start()

    def _start(self) -> None:
        threads, name = self._threads, self.name
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
        command = [sys.executable, "-W", "ignore", "-m", "dropfast.bench.worker", name]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            encoding="utf-8",
        )

    def ask(self, **told: Any) -> dict[str, Any]:
        """Tell it something and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            why = f"its process ended with {self._process.wait()}"
            self.close()
            self._start()  # what ends one workload, such as too little memory, spares the next
            return {"status": "failed", "why": why}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def contenders(peers: Sequence[str] | None) -> list[str]:
    """Names of the contenders of some libraries, or of all that are installed."""
    chosen = installed() if peers is None else ["dropfast", *(p for p in peers if p != "dropfast")]
    names = [name for library in chosen for name in LIBRARIES[library][1]]
    return [name for name in names if name != "dropfast, 1 thread"]


def check(suites: Sequence[str] | None, peers: Sequence[str] | None) -> None:
    """Refuse suites and peers that don't exist.

    Raises
    ------
    ValueError
        If a name is unknown, or a peer is not installed.
    """
    for suite in suites or ():
        if suite not in SUITES:
            raise ValueError(f"suite must be one of {', '.join(SUITES)}. Received: {suite!r}")
    for peer in peers or ():
        if peer not in LIBRARIES:
            raise ValueError(f"peer must be one of {', '.join(LIBRARIES)}. Received: {peer!r}")
        if peer not in installed():
            raise ValueError(f"peer must be installed. Received: {peer!r}, which is not")


def run(
    suites: Sequence[str] | None = None,
    peers: Sequence[str] | None = None,
    quick: bool = False,
    threads: int | None = None,
    progress: Callable[[Record, Workload, int, int], None] | None = None,
) -> Record:
    """Time the workloads of some suites.

    Parameters
    ----------
    suites
        Names; None is all of them.
    peers
        Libraries beside dropfast, as they are imported; None is all that are installed.
    quick
        Fewer workloads, and fewer rounds: less than two minutes.
    threads
        Of every contender; None is what dropfast uses.
    progress
        Called with the record so far, the workload that begins, its number and their count.

    Returns
    -------
    Record
        Complete, or as far as Ctrl-C let it come.

    Raises
    ------
    ValueError
        If a suite or a peer is unknown.

    Examples
    --------
    >>> from dropfast import bench
    >>> record = bench.run(["kernels"], ["numpy"], quick=True)  # doctest: +SKIP
    >>> record.ratio(record.of("kernels", record.workloads()[0][1])[1])  # doctest: +SKIP
    1.2
    """
    from dropfast._core import get_num_threads

    check(suites, peers)
    threads = get_num_threads() if threads is None else threads
    chosen = [
        workload
        for workload in WORKLOADS
        if (suites is None or workload.suite in suites) and (workload.quick or not quick)
    ]
    record = Record(machine=machine(threads))
    running = [Contender(name, threads) for name in contenders(peers)]
    try:
        for number, workload in enumerate(chosen):
            if progress is not None:
                progress(record, workload, number, len(chosen))
            budget = QUICK_BUDGET if quick else BUDGET
            _time(record.cells, workload, running, threads, budget)
    except KeyboardInterrupt:
        record.complete = False
    finally:
        for contender in running:
            contender.close()
    return record


def _time(
    cells: list[Cell],
    workload: Workload,
    running: Sequence[Contender],
    threads: int,
    budget: float,
) -> None:
    """All rounds of one workload; cells are added as they come, so that Ctrl-C leaves them."""
    ready: list[tuple[Contender, Cell]] = []
    a_round = 0.0
    for contender in running:
        answer = contender.ask(do="prepare", suite=workload.suite, workload=workload.name)
        cell = Cell(workload.suite, workload.name, workload.unit, contender.name)
        cell.limit = contender.name == "np.copyto"
        if answer["status"] == "ready":
            ready.append((contender, cell))
            cells.append(cell)
            a_round += max(answer["seconds"], 2e-3) + PAUSE
        elif answer["status"] != "cannot":
            cell.why = answer["why"]
            cells.append(cell)
    if workload.name == "installed files":
        rounds = 1
    else:
        rounds = min(max(round(budget / max(a_round, 1e-3)), 3), 25)
    loop = Cell(workload.suite, workload.name, workload.unit, LOOP, limit=True)
    for _ in range(rounds):
        for contender, cell in ready:
            if cell.why:
                continue
            time.sleep(PAUSE)
            answer = contender.ask(do="round")
            if answer["status"] != "done":
                cell.why = answer["why"]
                continue
            cell.values.append(answer["seconds"] * workload.scale)
        if workload.flops is not None and ready:
            answer = ready[0][0].ask(do="peak", threads=threads)
            if answer["status"] == "done":
                if not loop.values:
                    cells.append(loop)
                seconds = workload.flops / (answer["gflops"] * 1e9)
                loop.values.append(seconds * workload.scale)

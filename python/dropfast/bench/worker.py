"""Layer 7: the process of one contender: makes workloads ready and times rounds, as it is told.

It reads a JSON object a line and answers with one. What libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

# A round is long enough for the clock.
ROUND = 2e-3


def main() -> None:
    """Answer until the other side closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    name = sys.argv[1]
    state: dict[str, Any] = {}
    for line in sys.stdin:
        try:
            answer = _answer(name, json.loads(line), state)
        except BaseException as error:  # the other side says what it means for the run
            if isinstance(error, KeyboardInterrupt):
                return
            answer = {"status": "failed", "why": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(name: str, told: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    if told["do"] == "prepare":
        return _prepare(name, told, state)
    if told["do"] == "peak":
        from dropfast import _core

        return {"status": "done", "gflops": _core.fma_peak_gflops(told["threads"])}
    work, repeats = state["work"], state["repeats"]
    if state["returns"]:
        return {"status": "done", "seconds": float(work())}
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return {"status": "done", "seconds": (time.perf_counter() - start) / repeats}


def _prepare(name: str, told: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    from dropfast.bench.peers import named
    from dropfast.bench.workloads import WORKLOADS, CannotError

    state.clear()
    place = told["suite"], told["workload"]
    workload = next(w for w in WORKLOADS if (w.suite, w.name) == place)
    try:
        work = workload.make(named(name))
    except CannotError as error:
        return {"status": "cannot", "why": str(error)}
    except AssertionError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return {"status": "wrong", "why": f"wrong result: {' '.join(lines[:2])}"[:300]}
    start = time.perf_counter()
    work()  # compiles, fills caches
    if time.perf_counter() - start < 1.0:
        start = time.perf_counter()
        work()
    once = max(time.perf_counter() - start, 1e-7)
    state.update(work=work, repeats=max(1, round(ROUND / once)), returns=workload.returns)
    return {"status": "ready", "seconds": once}


if __name__ == "__main__":
    main()

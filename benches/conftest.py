"""How a benchmark is timed: the same way for every contender, after its result was checked."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# Seconds: a round is long enough for the clock, a cell short enough that a table takes minutes.
ROUND = 1e-3
CELL = 0.3


@pytest.fixture
def measure(benchmark):
    """Time a function and note what it did: `measure(function, case, contender, work, **more)`.

    `work` is what a call does, in the unit of its table: elements, floating-point operations, rows.
    Of what more is known the tables use `flops`, the operations that can't be left out.
    """

    def run(function, case, contender, work, **more):
        function()  # compiles, fills caches
        start = time.perf_counter()
        function()
        once = max(time.perf_counter() - start, 1e-7)
        iterations = math.ceil(ROUND / once)
        rounds = min(max(round(CELL / (once * iterations)), 2), 100)
        loop = {"loop": contender.loop} if hasattr(contender, "loop") else {}
        benchmark.extra_info.update(case=case, contender=contender.name, work=work, **loop, **more)
        benchmark.pedantic(function, rounds=rounds, iterations=iterations)

    return run

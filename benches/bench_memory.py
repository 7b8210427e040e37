"""Memory that a fit needs beyond data and weights: the peak of a fresh process, Linux only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dropfast.bench.networks import SEED_NETWORK, WIDE_NETWORK, Case, data, initial
from dropfast.bench.peers import able_to, named

ROWS = 3840
CASES = (
    Case(SEED_NETWORK, 0.2, 0.2, optimizer=("adam", 0.001), rows=ROWS),
    Case(WIDE_NETWORK, 0.2, 0.5, batch=128, rows=ROWS),
    Case(WIDE_NETWORK, 0.2, 0.5, 32, batch=128, rows=ROWS),
)
EPOCHS = (1, 5)


def bound(case: Case) -> int:
    """Twice the activations of a batch, and the optimizer's state."""
    state = 2 if case.optimizer[0] == "adam" else 0
    return 4 * (2 * case.batch * sum(case.sizes)) + state * sum(
        a.nbytes for a in initial(case.sizes)
    )


def status(name: str) -> int:
    """Bytes of an entry of the process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


def peak_of_fit(contender, case: Case, epochs: int) -> int:
    """Bytes that the process grew by at most, from the weights' being there to the last epoch."""
    groups = {"rows_per_mask": case.rows_per_mask} if case.rows_per_mask > 1 else {}
    # Libraries load what they need.
    small = replace(case, sizes=(8, 4, 2), rows=case.batch)
    for each in (small, case):
        x, y = (array[: each.rows].copy() for array in data(each.sizes[0], each.sizes[-1]))
        data.cache_clear()
        network = contender.network(
            initial(each.sizes), each.rates, each.optimizer, each.batch, **groups
        )
        Path("/proc/self/clear_refs").write_text("5")
        before = status("VmRSS")
        for _ in range(epochs):
            network.epoch(x, y)
    return status("VmHWM") - before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("contender", able_to("network"), ids=lambda each: each.name)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("epochs", EPOCHS)
def bench_memory(benchmark, contender, case, epochs):
    if case.rows_per_mask > 1 and not hasattr(contender, "loop"):
        pytest.skip("it has no row groups")
    if not getattr(contender, "has_dropout", True):
        pytest.skip("it has no dropout")
    command = [sys.executable, __file__, contender.name, str(CASES.index(case)), str(epochs)]
    # Freed memory goes back at once, so that nothing hides in what was there before.
    allocator = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, **allocator}
    ).stdout
    label = f"{case.name}, {epochs} epoch{'s' * (epochs > 1)}"
    label += f" (twice the activations and the optimizer's state: {bound(case) / 1e6:.1f})"
    benchmark.extra_info.update(case=[label], contender=contender.name, work=1)
    benchmark.extra_info["bytes"] = json.loads(found.splitlines()[-1])
    benchmark.pedantic(lambda: None)


if __name__ == "__main__":
    name, place, number = sys.argv[1:]
    print(json.dumps(peak_of_fit(named(name), CASES[int(place)], int(number))))

"""Threads on a busy machine: the default team beside one thread, under load made here.

``python benches/busy.py`` prints the table, ``--only a,d`` parts of it, ``--scaling`` the
speed-up by threads. The load is processes of this program's own, which it ends.

A figure is the median of ``--repeats`` pairs of runs, one thread and the default team in turn.
It is a speed: of the team, with one thread's as 1; in (d) with NumPy's as 1; in (f) with that of
two threads as 1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import dropfast as df

PRODUCTS = (
    (32, 784, 200),
    (128, 784, 1024),
    (128, 1024, 1024),
    (256, 2048, 2048),
    (1024, 1024, 1024),
)
SPIN = "while True: pass"
SEED_NETWORK = (784, 200, 100, 60, 10)
WIDE_NETWORK = (784, 1024, 1024, 1024, 10)


@contextmanager
def load(processes: int, nice: int = 0) -> Iterator[None]:
    """So many processes that spin until the block ends."""
    niced = ["nice", "-n", str(nice)] if nice else []
    command = [*niced, sys.executable, "-c", SPIN]
    spinning = [subprocess.Popen(command) for _ in range(processes)]
    try:
        if spinning:
            time.sleep(0.3)
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def network(
    sizes: tuple[int, ...], rows: int, batch: int, optimizer: str = "sgd", group: int = 1
) -> Callable[[], object]:
    """A function that trains one epoch; its network keeps what it learns about teams."""
    generator = np.random.default_rng(0)
    x = generator.random((rows, sizes[0]), dtype=np.float32)
    y = generator.integers(0, sizes[-1], rows)
    layers: list[df.layers.Layer] = [df.layers.Dropout(0.2, rows_per_mask=group)]
    for units in sizes[1:-1]:
        layers.append(df.layers.Dense(units, activation="relu"))
        layers.append(df.layers.Dropout(0.2, rows_per_mask=group))
    layers.append(df.layers.Dense(sizes[-1], activation="softmax"))
    model = df.Sequential(layers, seed=0)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    return lambda: model.fit(x, y, batch_size=batch, epochs=1, verbose=0)


def sampled() -> Callable[[], object]:
    """Monte Carlo samples of a thousand rows."""
    model = df.Sequential(
        [layer for units in (200, 100, 60) for layer in _hidden(units)] + [df.layers.Dense(10)],
        seed=0,
    )
    model.build((None, 784))
    x = np.random.default_rng(0).random((1000, 784), dtype=np.float32)
    return lambda: model.predict_mc(x, samples=100)


def _hidden(units: int) -> list[df.layers.Layer]:
    return [df.layers.Dropout(0.2), df.layers.Dense(units, activation="relu")]


def product(m: int, k: int, n: int) -> Callable[[], object]:
    """Products that take some ten milliseconds together."""
    generator = np.random.default_rng(0)
    a, b = (generator.random(shape, dtype=np.float32) for shape in ((m, k), (k, n)))
    out = np.empty((m, n), np.float32)
    return lambda: df.matmul(a, b, out=out)


# Each makes a function to time; on one thread a run of it takes .05 to .5 s.
WORK: dict[str, Callable[[], Callable[[], object]]] = {
    "seed network, SGD": lambda: network(SEED_NETWORK, 16_000, 32),
    "seed network, Adam": lambda: network(SEED_NETWORK, 12_800, 32, "adam"),
    "wide": lambda: network(WIDE_NETWORK, 3_840, 128),
    "wide, row groups": lambda: network(WIDE_NETWORK, 3_840, 128, group=32),
    "steps of 5 µs": lambda: network((16, 32, 2), 400_000, 32),
    "steps of 30 µs": lambda: network((64, 64, 64, 10), 100_000, 32),
    "Monte Carlo": sampled,
    "product 1024³": lambda: product(1024, 1024, 1024),
}


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def pairs(one: Callable[[], object], other: Callable[[], object], repeats: int) -> float:
    """How many times as fast the other is."""
    one(), other()
    ratios = [seconds(one) / seconds(other) for _ in range(repeats)]
    return statistics.median(ratios)


def limited(threads: int, run: Callable[[], object]) -> Callable[[], object]:
    def bounded() -> None:
        with df.thread_limit(threads):
            run()

    return bounded


def row(name: str, *values: object) -> None:
    cells = (f"{value:.2f}" if isinstance(value, float) else str(value) for value in values)
    print("|", " | ".join([name, *cells]), "|", flush=True)


def quiet_and_loaded(repeats: int, works: list[str], loads: list[tuple[int, int]]) -> None:
    """(a) and (b): the default team beside one thread."""
    titles = [f"{n} spinning" + (f", nice {nice}" if nice else "") for n, nice in loads]
    row("(a), (b)", *titles)
    row("---", *("---" for _ in loads))
    for name in works:
        one, team = limited(1, WORK[name]()), WORK[name]()
        figures = []
        for processes, nice in loads:
            with load(processes, nice):
                figures.append(pairs(one, team, repeats))
        row(name, *figures)


def child(prefix: list[str], **variables: str) -> tuple[int, float]:
    """Threads and seconds of a run in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if "NUM_THREADS" not in key}
    command = [*prefix, sys.executable, __file__, "--child"]
    out = subprocess.run(
        command, env={**environment, **variables}, check=True, capture_output=True, text=True
    ).stdout.split()
    return int(out[0]), float(out[1])


@contextmanager
def quota(processors: float) -> Iterator[list[str] | None]:
    """How a command begins that runs under a quota of so many processors; None without rights."""
    v1, v2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    group = (v1 if v1.is_dir() else v2) / f"dropfast-busy-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        if v1.is_dir():
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text(str(int(processors * 100_000)))
        else:
            (group / "cpu.max").write_text(f"{int(processors * 100_000)} 100000")
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    except OSError:
        yield None
    finally:
        time.sleep(0.1)
        group.rmdir()


def bounded_processors(repeats: int) -> None:
    """(c): one processor, or a quota."""
    row("(c)", "threads", "speed, DROPFAST_NUM_THREADS=1 is 1")
    row("---", "---", "---")

    def compare(name: str, prefix: list[str] | None) -> None:
        if prefix is None:
            return row(name, "no rights", "")
        runs = [(child(prefix), child(prefix, DROPFAST_NUM_THREADS="1")) for _ in range(repeats)]
        ratio = statistics.median(one[1] / default[1] for default, one in runs)
        return row(name, runs[0][0][0], ratio)

    compare("taskset, one core", ["taskset", "-c", str(min(os.sched_getaffinity(0)))])
    for processors in (1.0, 0.5):
        with quota(processors) as prefix:
            compare(f"quota of {processors} processors", prefix)


def bursts(repeats: int) -> None:
    """(d): bursts of 20 ms in turn with NumPy's, and 80 ms of rest."""
    row("(d)", "speed, NumPy is 1")
    row("---", "---")
    for shape in PRODUCTS:
        row(" x ".join(map(str, shape)), burst(shape, repeats))


def burst(shape: tuple[int, int, int], repeats: int) -> float:
    """Median speed of our bursts with NumPy's before them as 1."""
    m, k, n = shape
    generator = np.random.default_rng(0)
    a, b = (generator.random(sides, dtype=np.float32) for sides in ((m, k), (k, n)))
    count = max(1, int(0.02 / min(seconds(lambda: a @ b) for _ in range(5))))
    ratios = []
    for _ in range(repeats):
        time.sleep(0.08)
        numpy = seconds(lambda: [a @ b for _ in range(count)])
        ratios.append(numpy / seconds(lambda: [df.matmul(a, b) for _ in range(count)]))
    return statistics.median(ratios)


def at_once(repeats: int) -> None:
    """(e): two fits at once."""
    row("(e)", "speed of both, two on one thread each are 1")
    row("---", "---")
    for name in ("seed network, SGD", "wide"):
        ones = [limited(1, WORK[name]()) for _ in range(2)]
        teams = [WORK[name]() for _ in range(2)]
        row(f"{name}, two threads", pairs(both(ones), both(teams), repeats))
    for name in ("seed network, SGD", "wide"):
        ratios = [throughput(name, 1) / throughput(name, 0) for _ in range(max(1, repeats // 3))]
        row(f"{name}, two processes", statistics.median(ratios))


def both(runs: list[Callable[[], object]]) -> Callable[[], object]:
    def at_the_same_time() -> None:
        threads = [threading.Thread(target=run) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return at_the_same_time


def throughput(name: str, threads: int) -> float:
    """Seconds a run of each of two processes that work at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {"DROPFAST_NUM_THREADS": str(threads)} if threads else {}
        environment = {key: value for key, value in os.environ.items() if "NUM_THREADS" not in key}
        command = [sys.executable, __file__, "--at-once", name, "--folder", folder]
        processes = [
            subprocess.Popen(command, env={**environment, **variables}, stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        return sum(float(process.communicate()[0]) for process in processes)


def one_of_two(name: str, folder: str) -> None:
    """Runs for 1.5 s, from when two processes are ready, and prints seconds a run."""
    run = WORK[name]()
    run()
    (Path(folder) / str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < 2:
        time.sleep(0.001)
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < 1.5:
        run()
        runs += 1
    print((time.perf_counter() - start) / runs)


def more_threads(repeats: int, counts: tuple[int, ...] = (4, 8, 16)) -> None:
    """(f): more threads than processors."""
    row("(f)", *(f"{count} threads" for count in counts))
    row("---", *("---" for _ in counts))
    for name in ("seed network, SGD", "wide", "Monte Carlo", "product 1024³"):
        figures = []
        for count in counts:
            two, many = WORK[name](), WORK[name]()
            figures.append(pairs(limited(2, two), many_threads(count, many), repeats))
        row(name, *figures)


def many_threads(count: int, run: Callable[[], object]) -> Callable[[], object]:
    def with_threads() -> None:
        before = df.get_num_threads()
        df.set_num_threads(count)
        run()
        df.set_num_threads(before)

    return with_threads


def scaling(repeats: int) -> None:
    """Speed-up by threads, for machines with many."""
    cores = df.get_num_threads()
    counts = [count for count in (2, 4, 8, 16, 32, 64, 128) if count <= cores]
    row("speed-up", *(f"{count} threads" for count in counts))
    row("---", *("---" for _ in counts))
    for name, make in WORK.items():
        one = limited(1, make())
        row(name, *(pairs(one, limited(count, make()), repeats) for count in counts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="a,b,c,d,e,f", help="parts of the table")
    parser.add_argument("--work", default="", help="names, or beginnings, of (a) and (b)")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--scaling", action="store_true", help="speed-up by threads instead")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--at-once", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        timed_child()
    elif options.at_once:
        one_of_two(options.at_once, options.folder)
    elif options.scaling:
        scaling(options.repeats)
    else:
        table(options)


def timed_child() -> None:
    """Prints threads and seconds of a run."""
    run = network(SEED_NETWORK, 12_800, 32)
    run()
    print(df.get_num_threads(), statistics.median(seconds(run) for _ in range(3)))


def table(options: argparse.Namespace) -> None:
    """The parts that are wanted."""
    parts = options.only.split(",")
    loads = ([(0, 0)] if "a" in parts else []) + ([(1, 19), (1, 0), (2, 0)] if "b" in parts else [])
    works = [name for name in WORK if name.startswith(tuple(options.work.split(",")))]
    if loads:
        quiet_and_loaded(options.repeats, works, loads)
    others = {"c": bounded_processors, "d": bursts, "e": at_once, "f": more_threads}
    for part in [part for part in others if part in parts]:
        print()
        others[part](options.repeats)


if __name__ == "__main__":
    main()

"""Layer 7: settings tried side by side on joblib, dask or Ray; results don't depend on which."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropfast import _core
from dropfast.checks import check_choice, check_integer
from dropfast.distributed.communication import WorkersError
from dropfast.random import SEEDS, Key, random_words

# Starts a function with its arguments in a worker; what it returns waits for the result.
Submit = Callable[..., Callable[[], Any]]
# How to submit, threads of each process, and how to end.
Engine = tuple[Submit, int, Callable[[], None]]


@dataclass(frozen=True)
class Trial:
    """One point of a sweep.

    Attributes
    ----------
    settings
        What was tried.
    seed
        What `make` was given.
    result
        What it returned.
    """

    settings: Mapping[str, Any]
    seed: int
    result: Any


def sweep(
    make: Callable[..., Any],
    grid: Mapping[str, Sequence[Any]] | Iterable[Mapping[str, Any]],
    engine: str = "joblib",
    workers: int | None = None,
    seed: int = 0,
    retries: int = 1,
    client: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Trial]:
    """Call a function for each point of a grid, in several processes.

    Each point has a seed of its own, which depends on `seed` and the number of the point alone;
    each process uses its share of the cores. So results don't depend on the engine or the number
    of processes.

    Parameters
    ----------
    make
        Called with the settings by name and ``seed``; trains, and returns a score or whatever is
        wanted. It must be one that processes can import, or that the engine can send.
    grid
        Name -> values, of which all combinations are tried in order; or the points themselves.
    engine
        "joblib", "dask" or "ray".
    workers
        How many processes; None for one a core, or all of the cluster's.
    seed
        Of the whole sweep.
    retries
        How often a point is repeated after its function raised or its process ended.
    client
        Of dask: the `Client`, or None for the latest one.
    progress
        Called with how many points are done, and how many there are.

    Returns
    -------
    list of Trial
        In the order of the points.

    Raises
    ------
    WorkersError
        If a point fails after its repetitions; the message names its settings.

    Examples
    --------
    A script, whose `train` makes, fits and scores a model::

        trials = sweep(train, {"rate": [0.1, 0.5], "units": [64, 256]}, workers=2)
        best = max(trials, key=lambda trial: trial.result)
    """
    check_choice("engine", engine, ("joblib", "dask", "ray"))
    check_integer("retries", retries)
    points = _points(grid)
    seeds = [_seed(seed, i) for i in range(len(points))]
    found: dict[int, Any] = {}
    failed: dict[int, BaseException] = {}
    for _ in range(retries + 1):
        left = [i for i in range(len(points)) if i not in found]
        if not left:
            break
        submit, threads, close = _ENGINES[engine](workers, client)
        failed = {}
        try:
            waiting = [(i, submit(_call, make, points[i], seeds[i], threads)) for i in left]
            for i, result in waiting:
                try:
                    found[i] = result()
                except Exception as error:
                    failed[i] = error
                if progress is not None:
                    progress(len(found), len(points))
        finally:
            close()
    if failed:
        i, cause = next(iter(failed.items()))
        raise WorkersError(f"{points[i]} failed: {type(cause).__name__}: {cause}") from cause
    return [Trial(points[i], seeds[i], found[i]) for i in range(len(points))]


def _points(grid: Any) -> list[dict[str, Any]]:
    if isinstance(grid, Mapping):
        names = list(grid)
        return [dict(zip(names, point, strict=True)) for point in itertools.product(*grid.values())]
    return [dict(point) for point in grid]


def _seed(seed: int, number: int) -> int:
    """The seed of a point."""
    low, high = random_words(2, Key(seed, SEEDS).fold_in(SEEDS | number + 1)).tolist()
    return int(low | (high & 0x7FFFFFFF) << 32)


def _call(make: Callable[..., Any], settings: Mapping[str, Any], seed: int, threads: int) -> Any:
    """What a process does for a point."""
    before = _core.limit_threads(threads)
    try:
        return make(**settings, seed=seed)
    finally:
        _core.limit_threads(before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _on_joblib(workers: int | None, client: Any) -> Engine:
    from joblib.externals import loky

    count = _cores() if workers is None else check_integer("workers", workers, least=1)
    # Not loky's shared executor, which joblib takes for one of its own. A process that ended takes
    # its executor along, so that each round has a new one.
    executor = loky.ProcessPoolExecutor(max_workers=count)

    def submit(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        future = executor.submit(function, *arguments)
        return lambda: future.result()

    return submit, max(_cores() // count, 1), lambda: executor.shutdown(kill_workers=True)


def _on_dask(workers: int | None, client: Any) -> Engine:
    from distributed import get_client

    client = get_client() if client is None else client
    threads = [
        worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()
    ]

    def submit(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        future = client.submit(function, *arguments, pure=False)
        return lambda: future.result()

    return submit, max(_cores() // max(sum(threads), 1), 1), _nothing


def _on_ray(workers: int | None, client: Any) -> Engine:
    import ray

    if not ray.is_initialized():
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    count = int(ray.cluster_resources().get("CPU", 1))
    remote = ray.remote(_call)

    def submit(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        reference = remote.remote(*arguments)
        return lambda: ray.get(reference)

    return submit, max(_cores() // count, 1), _nothing


def _nothing() -> None:
    """The cluster is its owner's."""


_ENGINES: dict[str, Callable[[int | None, Any], Engine]] = {
    "joblib": _on_joblib,
    "dask": _on_dask,
    "ray": _on_ray,
}

"""bfloat16 beside float32, and beside PyTorch where that is installed: products, a wide network.

    python benches/bf16.py [--rounds 7] [--steps 60] [--threads 2]

Contenders take turns within a round; what is printed is the median over rounds, and the median of
the ratios to float32 within a round. The data are random numbers: time does not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import dropfast as df
from dropfast import _core

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

PRODUCTS = ((128, 1024, 1024), (1024, 1024, 1024), (2048, 2048, 2048))
BATCH = 128


def products(m: int, k: int, n: int) -> dict[str, Callable[[], Any]]:
    """What multiplies two matrices."""
    generator = np.random.default_rng(0)
    a = generator.standard_normal((m, k), np.float32)
    b = generator.standard_normal((k, n), np.float32)
    out = np.empty((m, n), np.float32)
    found: dict[str, Callable[[], Any]] = {
        "float32": lambda: _core.matmul(a, b, out),
        "bfloat16": lambda: _core.matmul_bfloat16(a, b, out),
    }
    if torch is not None:
        x, y = (torch.from_numpy(v).to(torch.bfloat16) for v in (a, b))
        found["PyTorch bfloat16"] = lambda: torch.mm(x, y)
    return found


def network(dtype: str, rate: float, steps: int) -> Callable[[], Any]:
    """Some steps of the wide network."""
    wide = [
        layer
        for _ in range(3)
        for layer in (df.layers.Dense(1024, activation="relu"), df.layers.Dropout(rate))
    ]
    model = df.Sequential([df.layers.Input(784), *wide, df.layers.Dense(10)], 0, dtype=dtype)
    loss = df.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(df.optimizers.SGD(0.01), loss)
    x = np.random.default_rng(0).random((BATCH * steps, 784), np.float32)
    y = np.arange(len(x)) % 10
    return lambda: model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)


def torch_network(rate: float, steps: int) -> Callable[[], Any]:
    """The same in PyTorch, all in bfloat16."""
    wide = [
        part
        for inputs in (784, 1024, 1024)
        for part in (torch.nn.Linear(inputs, 1024), torch.nn.ReLU(), torch.nn.Dropout(rate))
    ]
    model = torch.nn.Sequential(*wide, torch.nn.Linear(1024, 10)).to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    x = torch.rand((BATCH * steps, 784)).to(torch.bfloat16)
    y = torch.arange(len(x)) % 10

    def run() -> None:
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]).float(), y[rows]).backward()
            optimizer.step()

    return run


def networks(rate: float, steps: int) -> dict[str, Callable[[], Any]]:
    """What trains the wide network."""
    found = {
        "float32": network("float32", rate, steps),
        "bfloat16": network("mixed_bfloat16", rate, steps),
    }
    return found if torch is None else found | {"PyTorch bfloat16": torch_network(rate, steps)}


def measure(work: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds + 1):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}


def report(title: str, seconds: dict[str, list[float]], amount: float, unit: str) -> None:
    """Print medians, and ratios to float32."""
    print(title)
    for name, times in seconds.items():
        median = statistics.median(times)
        pairs = zip(times, seconds["float32"], strict=True)
        ratio = statistics.median(own / base for own, base in pairs)
        value = amount / median if unit == "GFLOP/s" else amount * median
        print(f"  {name:18} {value:9.2f} {unit:9} {ratio:6.2f} of the time of float32")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=df.get_num_threads())
    given = parser.parse_args()
    df.set_num_threads(given.threads)
    if torch is not None:
        torch.set_num_threads(given.threads)
    print(f"threads {given.threads}, instructions for bfloat16: {_core.has_bfloat16()}")
    for m, k, n in PRODUCTS:
        found = measure(products(m, k, n), 5 * given.rounds)
        report(f"{m} x {k} x {n}", found, 2e-9 * m * k * n, "GFLOP/s")
    for rate in (0.0, 0.5):
        found = measure(networks(rate, given.steps), given.rounds)
        title = f"784-1024-1024-1024-10, {BATCH} rows, dropout {rate}, epoch of 469 steps"
        report(title, found, 469 / given.steps, "s")


if __name__ == "__main__":
    main()

"""Skip connections beside the same chain without them: 784-512, four blocks of 512, 10 classes.

    python benches/residual.py [--rounds 7] [--rows 12800] [--threads 2]

Epochs of both are timed in turn; the ratio of the fastest ones is printed last, after a check that
the residual network's weights don't depend on the number of threads.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import dropfast as df

WIDTH, BLOCKS, RATE, BATCH = 512, 4, 0.2, 128


def network(skips: bool) -> df.Model:
    """Dense, relu, dropout in each block; with skips the block's input is added."""
    x = df.Input(784)
    h = df.layers.Dense(WIDTH, "relu")(x)
    for _ in range(BLOCKS):
        inner = df.layers.Dropout(RATE)(df.layers.Dense(WIDTH, "relu")(h))
        h = h + inner if skips else inner
    model = df.Model(x, df.layers.Dense(10, "softmax")(h), seed=0)
    model.compile(df.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    return model


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Made-up rows and labels."""
    rng = np.random.default_rng(0)
    return rng.random((rows, 784), np.float32), rng.integers(0, 10, rows)


def check(threads: int) -> None:
    """The same weights on one thread."""
    x, y = data(640)
    found = []
    for count in (1, threads):
        df.set_num_threads(count)
        model = network(skips=True)
        model.fit(x, y, BATCH, epochs=1, verbose=0)
        found.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def main() -> None:
    """Time both in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=12_800)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    check(arguments.threads)
    x, y = data(arguments.rows)
    models = {"chain": network(skips=False), "residual": network(skips=True)}
    best = dict.fromkeys(models, float("inf"))
    for _ in range(arguments.rounds):
        for name, model in models.items():
            start = time.perf_counter()
            model.fit(x, y, BATCH, epochs=1, verbose=0)
            best[name] = min(best[name], time.perf_counter() - start)
    for name, seconds in best.items():
        print(f"{name:9} {seconds:.3f} s an epoch of {arguments.rows} rows")
    print(f"residual at {best['chain'] / best['residual']:.3f} of the chain's speed")


if __name__ == "__main__":
    main()

"""Dropout's calls from Python beside a copy: layouts, types, noise shapes, fresh outputs.

`benches/dropout_cases.py [threads [part of a case's name]]` prints a Markdown table: ns an element
of a copy with the same access and of dropout, in turn, the best of many rounds, and their ratio.
`DROPFAST_SIMD` picks the instruction set.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import ml_dtypes
import numpy as np

import dropfast as df

RATE = 0.1
KEY = df.Key(1, 2, 3)
SECONDS = 0.8  # a row
ROUND = 2e-4  # seconds of a round, at least

Pair = tuple[Callable[[], object], Callable[[], object]]


def best(pair: Pair) -> list[float]:
    """Seconds a call of both, taken in turn, so that both see the same machine."""
    times = [math.inf, math.inf]
    repeats = []
    for function in pair:
        function()
        start = time.perf_counter()
        function()
        repeats.append(math.ceil(ROUND / max(time.perf_counter() - start, 1e-7)))
    until = time.perf_counter() + SECONDS
    rounds = 0
    while time.perf_counter() < until or rounds < 5:
        for i, function in enumerate(pair):
            start = time.perf_counter()
            for _ in range(repeats[i]):
                function()
            times[i] = min(times[i], (time.perf_counter() - start) / repeats[i])
        rounds += 1
    return times


def plain(exponent: int, dtype=np.float32, call=df.dropout, rate=RATE, **arguments) -> Pair:
    x = np.ones(1 << exponent, dtype)
    out = np.zeros_like(x)
    return lambda: np.copyto(out, x), lambda: call(x, rate, KEY, out=out, **arguments)


def in_place(exponent: int) -> Pair:
    x = np.zeros(1 << exponent, np.float32)
    out = np.zeros_like(x)
    return lambda: np.copyto(out, x), lambda: df.dropout(x, RATE, KEY, out=x)


def shaped(exponent: int, shape: tuple[int, ...], noise: tuple[int | None, ...]) -> Pair:
    """As many rows of `shape` as make 2^exponent elements."""
    x = np.ones(((1 << exponent) // math.prod(shape), *shape), np.float32)
    out = np.zeros_like(x)
    return lambda: np.copyto(out, x), lambda: df.dropout(x, RATE, KEY, noise_shape=noise, out=out)


def strided(exponent: int) -> Pair:
    rows = (1 << exponent) // 512
    x, out = (np.ones((rows, 700), np.float32)[:, :512] for _ in range(2))
    return lambda: np.copyto(out, x), lambda: df.dropout(x, RATE, KEY, out=out)


def fresh(exponent: int) -> Pair:
    x = np.ones(1 << exponent, np.float32)
    return x.copy, lambda: df.dropout(x, RATE, KEY)


def mask(exponent: int, *, packed: bool) -> Pair:
    """Beside a copy of as many bytes as the mask has."""
    x = np.ones((1 << exponent) // (8 if packed else 1), np.uint8)
    return x.copy, lambda: df.dropout_mask(1 << exponent, RATE, KEY, packed=packed)


ROWS: list[tuple[str, tuple[int, ...], Callable[[int], Pair]]] = [
    ("a call of 2^10", (10,), plain),
    ("a call of 2^14", (14,), plain),
    ("rate 0.1", (16, 17, 18, 19, 20, 21, 22, 23, 24, 25), plain),
    *(
        (f"rate {rate}", (18, 22), lambda e, rate=rate: plain(e, rate=rate))
        for rate in (0.2, 0.5, 0.9)
    ),
    ("backward", (18, 22), lambda e: plain(e, call=df.dropout_backward)),
    ("in place", (18, 22), in_place),
    ("rows of 512 in an array of 700 columns", (18, 22), strided),
    ("offset=3", (18, 22), lambda e: plain(e, offset=3)),
    ("float64", (18, 22), lambda e: plain(e, np.float64)),
    ("float16", (18, 22), lambda e: plain(e, np.float16)),
    ("bfloat16", (18, 22), lambda e: plain(e, ml_dtypes.bfloat16)),
    ("noise (N, 1, C) of 64 x 64", (18, 22), lambda e: shaped(e, (64, 64), (None, 1, None))),
    ("noise (1, C), C = 512", (18, 22), lambda e: shaped(e, (512,), (1, None))),
    ("noise (N, C, 1), runs of 64", (18, 22), lambda e: shaped(e, (64, 64), (None, None, 1))),
    ("new output", (18, 20, 22, 23, 24, 25, 26), fresh),
    ("alpha dropout", (18, 22), lambda e: plain(e, call=df.alpha_dropout)),
    ("Gaussian dropout", (18, 22), lambda e: plain(e, call=df.gaussian_dropout)),
    ("mask of bool", (18, 22, 25), lambda e: mask(e, packed=False)),
    ("mask of bits", (18, 22, 25), lambda e: mask(e, packed=True)),
]


def main() -> None:
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    chosen = sys.argv[2] if len(sys.argv) > 2 else ""
    df.set_num_threads(threads)
    print("| case | elements | copy | dropout | ratio |\n|---|---|---|---|---|")
    for name, exponents, make in ROWS:
        for exponent in exponents if chosen in name else ():
            copy, dropout = (seconds * 1e9 / (1 << exponent) for seconds in best(make(exponent)))
            print(f"| {name} | 2^{exponent} | {copy:.3f} | {dropout:.3f} | {dropout / copy:.2f} |")


if __name__ == "__main__":
    main()

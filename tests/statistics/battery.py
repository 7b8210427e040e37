"""Feed masks and the raw random stream to Debian's dieharder, a public battery of tests.

`make statistics` runs a reduced set of tests on each source; `make statistics ARGS=--all` runs all
of them, which takes hours. Without dieharder it says how to get it.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys

import numpy as np

import dropfast as df
from dropfast import _core

# Birthdays, 5-permutations, 32x32 ranks, bitstream, craps; monobit, runs, serial; gaps.
REDUCED = ("0", "1", "2", "4", "16", "100", "101", "102", "202")
PIECE = 1 << 22
ASSESSMENTS = ("PASSED", "WEAK", "FAILED")


def raw_stream():
    """Words of one key, block after block."""
    offset = 0
    while True:
        yield _core.random_words(PIECE, df.Key(2026), offset).tobytes()
        offset += PIECE


def masks():
    """Packed decisions at rate 0.5, a new step for each piece as in training."""
    step = 0
    while True:
        yield df.dropout_mask(8 * PIECE, 0.5, df.Key(2026, 1, step), packed=True).tobytes()
        step += 1


def neighbouring_keys():
    """A few decisions from each of many keys: steps of small layers side by side."""
    step = 0
    while True:
        pieces = [
            df.dropout_mask(1024, 0.5, df.Key(i % 16, i // 16 % 16, step + i // 256), packed=True)
            for i in range(4096)
        ]
        yield np.concatenate(pieces).tobytes()
        step += 16


SOURCES = {"raw stream": raw_stream, "masks": masks, "neighbouring keys": neighbouring_keys}


def run(source, arguments):
    """One run of dieharder on a source; its table of results."""
    command = ["dieharder", "-g", "200", *arguments]  # generator 200 reads its standard input
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            for piece in source():
                process.stdin.write(piece)
        except BrokenPipeError:
            pass  # dieharder has had enough
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        return process.stdout.read().decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="all tests (hours)")
    parser.add_argument("--tests", nargs="+", default=REDUCED, help="dieharder's test numbers")
    parser.add_argument("--samples", default="100", help="p-values for each test")
    options = parser.parse_args()
    if not shutil.which("dieharder"):
        sys.exit("dieharder is missing: apt-get install dieharder")
    runs = [["-a"]] if options.all else [["-d", t, "-p", options.samples] for t in options.tests]
    failed = 0
    for name, source in SOURCES.items():
        print(f"# {name}", flush=True)
        for arguments in runs:
            output = run(source, arguments)
            lines = [line for line in output.splitlines() if line.strip().endswith(ASSESSMENTS)]
            if not lines:
                sys.exit(f"dieharder {' '.join(arguments)} gave no result:\n{output}")
            print("\n".join(lines), flush=True)
            failed += sum("FAILED" in line for line in lines)
    sys.exit(f"{failed} tests failed" if failed else 0)


if __name__ == "__main__":
    main()

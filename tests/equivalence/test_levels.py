"""Every instruction-set level and thread count gives the same bits, words to trained weights."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

SCRIPT = pathlib.Path(__file__).with_name("digests.py")
LEVELS = ("scalar", "neon", "avx2", "avx512")


@cache
def run(level: str, threads: int) -> dict[str, Any] | str:
    """The script's hashes at a level, or what it said where the processor lacks the level."""
    environment = {**os.environ, "DROPFAST_SIMD": level, "DROPFAST_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=900
    )
    if done.returncode:
        return done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["levels"]["simd"] == level
    assert found["levels"]["threads"] == threads
    return found


@pytest.mark.parametrize(("level", "threads"), [("scalar", 2), *[(x, 1) for x in LEVELS[1:]],
                                                *[(x, 3) for x in LEVELS[1:]]])  # fmt: skip
def test_same_bits(level: str, threads: int) -> None:
    expected, found = run("scalar", 1), run(level, threads)
    assert not isinstance(expected, str), expected
    if isinstance(found, str):
        assert "DROPFAST_SIMD" in found, found  # a missing level is an error that says so
        pytest.skip(f"this processor lacks {level}")
    assert len(expected["hashes"]) > 150
    different = [k for k, v in expected["hashes"].items() if found["hashes"][k] != v]
    assert found["hashes"].keys() == expected["hashes"].keys()
    assert not different


def test_bits_are_those_of_every_other_processor() -> None:
    """One file for all kinds of processor; their levels are compared with the scalar one above."""
    expected, found = json.loads(SCRIPT.with_suffix(".json").read_text()), run("scalar", 1)
    assert not isinstance(found, str), found
    different = [k for k, v in expected.items() if found["hashes"].get(k) != v]
    assert found["hashes"].keys() == expected.keys()
    assert not different


def test_hashes_tell_results_apart() -> None:
    """Otherwise the comparison above could not fail."""
    expected = run("scalar", 1)
    assert not isinstance(expected, str), expected
    values = list(expected["hashes"].values())
    # Labels and one-hot targets have one loss, and a 1 x 1 product may be dropped.
    assert len(set(values)) > 0.95 * len(values)

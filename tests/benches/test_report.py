"""The benchmark report: tables and pictures from results, whatever ran."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
BENCHES = Path(__file__).parents[2] / "benches"


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(BENCHES)
    yield importlib.import_module("report")
    for name in ("report", "results", "pictures"):
        sys.modules.pop(name, None)


def entry(bench, case, contender, seconds, work, **more):
    info = {"case": case, "contender": contender, "work": work, **more}
    if contender.startswith("dropfast"):
        info["loop"] = f"FMA loop, {1 + (contender == 'dropfast')} threads"
    return {"name": f"{bench}[x]", "stats": {"min": seconds}, "extra_info": info}


def loop(name, gflops):
    info = {"case": ["peak"], "contender": name, "gflops": gflops}
    return {"name": "bench_multiply_add_loop[1]", "stats": {"min": 1}, "extra_info": info}


def against(case):
    return {"dense": case, "standard": case}


PRODUCT = [32, 784, 200, "x·W"]
RESULTS = {
    "benchmarks": [
        entry("bench_dropout", [0.1, 10], "np.copyto", 1e-6, 1000),
        entry("bench_dropout", [0.1, 10], "dropfast", 2e-6, 1000),
        entry("bench_dropout", [0.5, 10], "dropfast", 3e-6, 1000),
        entry("bench_product", PRODUCT, "dropfast", 1e-4, 1e7, flops=1e7),
        entry("bench_product", PRODUCT, "dropfast, 1 thread", 1.5e-4, 1e7, flops=1e7),
        entry("bench_product", PRODUCT, "NumPy", 2e-4, 1e7, flops=1e7),
        loop("FMA loop, 1 threads", 100.4),
        loop("FMA loop, 2 threads", 200.4),
        entry("bench_epoch", ["small"], "dropfast", 0.2, 6_000, flops=1e10, **against("small")),
        entry("bench_epoch", ["small"], "PyTorch", 0.8, 6_000, flops=1e10, **against("small")),
        entry("bench_epoch", ["groups"], "dropfast", 0.1, 6_000, flops=5e9, **against("small")),
        entry("bench_predict", ["one row"], "dropfast", 5e-6, 1, flops=1e3),
        entry("bench_memory", ["small"], "dropfast", 1, 1, bytes=2.5e6),
    ]
}


def test_tables(report):
    text = report.tables(RESULTS)
    assert "| elements | np.copyto | dropfast |\n|---|---:|---:|\n| 2^10 | 1.000 | 2.000 |" in text
    assert "| 2^10 | 1.000 | 3.000 |" in text
    assert "| 32 x 784 x 200, x·W | 100 | 67 | 50 |" in text
    assert "FMA loop, 1 threads: 100, FMA loop, 2 threads: 200." in text
    assert "| small | 2.000 | 8.000 |" in text
    assert "| one row | 5.0 |" in text
    assert "| small | 2.5 |" in text


def test_ratios(report):
    text = report.tables(RESULTS)
    # Of both loops, from one thread to two, beside NumPy.
    assert "| 32 x 784 x 200, x·W | 0.50 | 0.66 | 1.50 | 2.0 |" in text
    # Groups stand beside dense training of our own and standard dropout of others.
    assert "| groups | 0.25 | – | 2.00 | 8.0 |" in text


def test_the_best_of_several_runs_counts(report):
    slower = [
        {**each, "stats": {"min": 2 * each["stats"]["min"]}} for each in RESULTS["benchmarks"]
    ]
    merged = report.merge([{"benchmarks": slower}, RESULTS])
    assert report.tables(merged) == report.tables(RESULTS)


def test_missing_cells_are_dashes(report):
    cells = [report.Cell("b", ("x",), "one", 1, 1), report.Cell("b", ("y",), "two", 1, 1)]
    spec = report.Table("title", "case", ("b",), lambda case: case[0], lambda cell: "1")
    lines = report.markdown(spec, cells).splitlines()
    assert lines[4:] == ["| x | 1 | – |", "| y | – | 1 |"]


def test_pictures(report, tmp_path):
    pictures = importlib.import_module("pictures")
    pictures.draw(report.cells(RESULTS), report.peaks(RESULTS), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dropout.png", "products.png"]

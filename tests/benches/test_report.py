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
    for name in ("report", "pictures"):
        sys.modules.pop(name, None)


def entry(bench, case, contender, seconds, work):
    info = {"case": case, "contender": contender, "work": work}
    return {"name": f"{bench}[x]", "stats": {"min": seconds}, "extra_info": info}


RESULTS = {
    "benchmarks": [
        entry("bench_dropout", [0.1, 10], "np.copyto", 1e-6, 1000),
        entry("bench_dropout", [0.1, 10], "dropfast", 2e-6, 1000),
        entry("bench_dropout", [0.5, 10], "dropfast", 3e-6, 1000),
        entry("bench_product", [32, 784, 200, "x·W"], "dropfast", 1e-4, 1e7),
        entry("bench_product", [32, 784, 200, "x·W"], "NumPy", 2e-4, 1e7),
        {
            "name": "bench_multiply_add_loop[1]",
            "stats": {"min": 1},
            "extra_info": {"case": ["peak"], "contender": "FMA loop, 1 thread", "gflops": 200.4},
        },
        entry("bench_epoch", ["small"], "dropfast", 0.1, 6_000),
        entry("bench_predict", ["one row"], "dropfast", 5e-6, 1),
    ]
}


def test_tables(report):
    text = report.tables(RESULTS)
    assert "| elements | np.copyto | dropfast |\n|---|---:|---:|\n| 2^10 | 1.000 | 2.000 |" in text
    assert "| 2^10 | 1.000 | 3.000 |" in text
    assert "| 32 x 784 x 200, x·W | 100 | 50 |" in text
    assert "FMA loop, 1 thread: 200." in text
    assert "| small | 1.000 |" in text
    assert "| one row | 5.0 |" in text


def test_missing_cells_are_dashes(report):
    cells = [report.Cell("b", ("x",), "one", 1, 1), report.Cell("b", ("y",), "two", 1, 1)]
    spec = report.Table("title", "case", ("b",), lambda case: case[0], lambda cell: "1")
    lines = report.markdown(spec, cells).splitlines()
    assert lines[4:] == ["| x | 1 | – |", "| y | – | 1 |"]


def test_pictures(report, tmp_path):
    pictures = importlib.import_module("pictures")
    pictures.draw(report.cells(RESULTS), report.peaks(RESULTS), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dropout.png", "products.png"]

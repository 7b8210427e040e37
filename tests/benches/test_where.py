"""The study of where dropout helps: pairs, intervals, records; pictures in two modes."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def study(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benches")
    module = importlib.import_module("study_where")
    monkeypatch.setattr(module, "RECORD", tmp_path / "record.json")
    yield module
    for name in ("study_where", "modes"):
        sys.modules.pop(name, None)


def record(study, gains):
    """Runs at the centre: accuracy .8 + seed / 100 without dropout, more by `gains` with it."""
    runs = []
    for seed, gain in enumerate(gains):
        base = {**study.CENTRE, "seed": seed, "loss": 0.5}
        runs.append({**base, "rate": 0.0, "accuracy": 0.8 + seed / 100})
        runs.append({**base, "rate": 0.5, "accuracy": 0.8 + seed / 100 + gain, "loss": 0.4})
    return {"machine": {"processor": "p", "date": "d"}, "runs": runs}


def test_gains_are_of_pairs(study):
    found = record(study, [0.01, 0.02, 0.03])
    mean, half, pairs = study.gain(found, tuple(study.CENTRE.values()), 0.5, "accuracy")
    # The spread between seeds, .01 a seed, is in both and drops out of the pairs.
    assert (mean, pairs) == (pytest.approx(0.02), 3)
    assert half == pytest.approx(4.30 * 0.01 / 3**0.5)
    saved, half, _ = study.gain(found, tuple(study.CENTRE.values()), 0.5, "loss")
    assert (saved, half) == (pytest.approx(0.1), pytest.approx(0, abs=1e-12))


def test_every_curve_goes_through_the_centre(study):
    points = study.points()
    assert points.count(study.CENTRE) == 1
    for axis, (_, values) in study.CURVES.items():
        assert study.CENTRE[axis] in values
        assert {p[axis] for p in points} == set(values)


def test_a_record_goes_on_where_it_stopped(study, monkeypatch):
    monkeypatch.setattr(study, "points", lambda: [study.CENTRE])
    monkeypatch.setattr(study.fashion_mnist, "load_data", lambda: [(np.zeros((2, 784)), None)] * 2)
    seen = []

    def run(data, point, rate, seed):
        seen.append((rate, seed))
        if len(seen) == 4:
            raise KeyboardInterrupt
        return {**point, "rate": rate, "seed": seed, "accuracy": 0.5, "loss": 1.0}

    monkeypatch.setattr(study, "one_run", run)
    with pytest.raises(KeyboardInterrupt):
        study.train(study.load(), 2, 60)
    kept = study.load()
    assert len(kept["runs"]) == 3
    study.train(kept, 2, 60)
    assert len(study.load()["runs"]) == 6
    assert [pair for pair in seen if seen.count(pair) > 1] == [seen[3]] * 2


def test_the_page_is_made_from_the_record(study):
    stored = ROOT / "benches" / "records" / "where_dropout_helps.json"
    table = study.table(json.loads(stored.read_text(encoding="utf-8")))
    assert table in study.PAGE.read_text(encoding="utf-8")
    assert "nan" not in table


def test_a_run_learns(study):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 400)
    x = 3 * np.eye(10, 784, dtype=np.float32)[y] + 0.1 * rng.random((400, 784), dtype=np.float32)
    point = {**study.CENTRE, "rows": 200, "width": 32, "steps": 300}
    found = study.one_run(((x, y), (x, y)), point, 0.2, 0)
    assert found["accuracy"] > 0.9
    assert found == study.one_run(((x, y), (x, y)), point, 0.2, 0)
    noisy = study.one_run(((x, y), (x, y)), {**point, "noise": 0.5}, 0.2, 0)
    assert noisy["loss"] > found["loss"]


def test_dark_pictures_turn_ink_and_paper_and_nothing_else(study, tmp_path):
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    modes = importlib.import_module("modes")
    figure = Figure()
    ax = figure.subplots()
    (black,) = ax.plot([0, 1], "o-", color="black", label="black")
    (blue,) = ax.plot([1, 0], color="#0072b2", label="blue")
    ax.set_title("title")
    ax.legend()
    modes.save_both(figure, tmp_path / "p.png")
    assert {p.name for p in tmp_path.glob("p*.png")} == {"p.png", "p-dark.png"}
    assert to_hex(black.get_color()) == to_hex(ax.title.get_color()) == modes.INK
    assert to_hex(black.get_markeredgecolor()) == modes.INK
    assert {to_hex(text.get_color()) for text in ax.get_xticklabels()} == {modes.INK}
    assert to_hex(ax.get_legend().get_frame().get_facecolor()) == modes.DARK
    assert to_hex(blue.get_color()) == "#0072b2"
    assert to_hex(figure.get_facecolor()) == to_hex(ax.get_facecolor()) == modes.DARK

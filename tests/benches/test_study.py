"""The studies of row groups: what is run next, and masks that are what their names say."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import dropfast as df

pytest.importorskip("matplotlib")
BENCHES = Path(__file__).parents[2] / "benches"
MODULES = ("study_row_groups", "study_report", "study_masks")


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(BENCHES)
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def few_images(study, monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.random((256, 784), np.float32), rng.integers(0, 10, 256)
    monkeypatch.setattr(study.study_row_groups, "data", lambda kind: (x, y, x, y))


def test_rates_are_tried_until_the_best_has_worse_neighbours(study):
    untried = study.study_row_groups.untried
    assert untried({}) == 0.01
    assert untried({0.01: 0.5, 0.03: 0.6}) == 0.1
    assert untried({0.01: 0.5, 0.03: 0.6, 0.1: 0.4}) is None
    assert untried({0.01: 0.5, 0.03: 0.6, 0.1: 0.7}) == 0.3
    assert untried({0.003: 0.4, 0.01: 0.5, 0.03: 0.3, 0.1: 0.2}) is None
    assert untried({0.003: 0.6, 0.01: 0.5, 0.03: 0.3, 0.1: 0.2}) is None


@pytest.mark.usefixtures("few_images")
def test_goes_on_where_it_was(study, tmp_path, capsys):
    runs = study.study_row_groups
    setting = runs.Setting("784-200-100-60-10", 0.5, 32)
    options = SimpleNamespace(seeds=2, epochs=1, most=2)
    for _ in range(4):
        runs.run(runs.Results(tmp_path / "r"), [setting], options)
    results = runs.Results(tmp_path / "r")
    assert "nothing left to do" in capsys.readouterr().out
    kinds = [record["kind"] for record in results.records]
    assert kinds.count("test") == 2
    assert 3 <= kinds.count("tuning") <= 5
    assert kinds == sorted(kinds, reverse=True)
    table = study.study_report.tables(results, [setting], 1)
    assert table.count("\n| 0.5 | 32 |") == 1


def test_masks(study):
    masks = study.study_masks
    rows, x = 4, np.ones((16, 1000), np.float32)

    def kept(kind, rate, step):
        passage = df.layers.base.Passage(training=True, key=df.Key(1, 2, step))
        layer = masks.GroupDropout(rate, rows, kind)
        y = layer.forward(x, passage)
        np.testing.assert_array_equal(layer.gradient(x, passage), y)
        groups = y.reshape(4, rows, 1000)
        assert (groups == groups[:, :1]).all()
        np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)
        return groups[:, 0] != 0

    for kind in masks.KINDS:
        mask = kept(kind, 0.25, 0)
        assert abs(mask.mean() - 0.75) < 0.05
        assert (mask != kept(kind, 0.25, 1)).any()
    assert (kept("balanced", 0.25, 0).sum(axis=1) == 750).all()
    pairs = kept("antithetic", 0.5, 3)
    assert (pairs[0::2] != pairs[1::2]).mean() > 0.999
    assert not (pairs[0] == pairs[2]).all()

"""Pictures hold what they were given, and say what does not fit."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dropfast import plot

RUN = {"loss": [3.0, 2.0, 1.0], "val_loss": [3.1, 2.5, 2.4], "accuracy": [0.1, 0.2, 0.3]}


class TestCurves:
    def test_history_object_and_dict_draw_the_same(self):
        drawn = [plot.history(run) for run in (RUN, SimpleNamespace(history=RUN))]
        for axes in drawn:
            assert [ax.get_ylabel() for ax in axes] == ["loss", "accuracy"]
            training, validation = axes[0].lines
            assert training.get_ydata().tolist() == RUN["loss"]
            assert validation.get_ydata().tolist() == RUN["val_loss"]
            assert training.get_xdata().tolist() == [1, 2, 3]
            assert len(axes[1].lines) == 1

    def test_compare_has_a_colour_for_each_run(self):
        (ax,) = plot.compare({"with": RUN, "without": RUN}, metrics=["loss"])
        colours = [line.get_color() for line in ax.lines]
        assert colours[0] == colours[1] != colours[2] == colours[3]
        assert len(ax.collections) == 2

    def test_validation_on_every_second_epoch(self):
        (ax,) = plot.history({"loss": [1.0] * 4, "val_loss": [1.0] * 2})
        assert ax.lines[1].get_xdata().tolist() == [2, 4]

    def test_given_axes_are_used(self):
        _, mine = plt.subplots(1, 2)
        axes = plot.history(RUN, axes=mine)
        assert axes[0] is mine[0]
        assert len(mine[1].lines) == 1

    @pytest.mark.parametrize(
        ("runs", "metrics", "message"),
        [({}, None, "at least one run"), ({"a": RUN}, ["mae"], "'mae', name='a'")],
    )
    def test_errors(self, runs, metrics, message):
        with pytest.raises(ValueError, match=message):
            plot.compare(runs, metrics)

    def test_too_few_axes(self):
        with pytest.raises(ValueError, match=r"at least 2\. Received: 1"):
            plot.history(RUN, axes=plt.subplots()[1])


class TestFilters:
    def test_each_unit_is_an_image_scaled_by_itself(self):
        kernel = np.zeros((4, 3))
        kernel[0, 0], kernel[3, 1], kernel[1, 2] = 1, -10, 0.1
        sheet = plot.filters(kernel, (2, 2)).get_images()[0].get_array()
        assert sheet.shape == (5, 5)
        assert sheet[1, 1] == -1
        assert sheet[0, 3] == 1
        assert sheet[3, 1] == 1
        assert sheet.mask[2].all()

    def test_count_keeps_the_largest(self):
        kernel = np.eye(4) * [1, 2, 3, 4]
        sheet = plot.filters(kernel, (2, 2), count=1).get_images()[0].get_array()
        assert np.array_equal(sheet, [[0, 0], [0, 1]])

    def test_dead_units(self):
        plot.filters(np.zeros((4, 2)), (2, 2))

    @pytest.mark.parametrize(
        ("kernel", "count", "message"),
        [(np.zeros((5, 2)), 1, r"Received: shape \(5, 2\)"), (np.zeros((4, 2)), 0, "count=0")],
    )
    def test_errors(self, kernel, count, message):
        with pytest.raises(ValueError, match=message):
            plot.filters(kernel, (2, 2), count=count)


class TestActivationHistograms:
    def test_bars_are_shares_on_common_edges(self):
        rng = np.random.default_rng(0)
        axes = plot.activation_histograms({"a": rng.random(50), "b": rng.random((20, 3)) * 4})
        assert [sum(bar.get_height() for bar in ax.patches) for ax in axes] == pytest.approx([1, 1])
        assert axes[0].patches[0].get_width() == axes[1].patches[0].get_width()

    @pytest.mark.parametrize("given", [{}, {"a": []}, {"a": [1.0, np.nan]}])
    def test_errors(self, given):
        with pytest.raises(ValueError, match="activations must"):
            plot.activation_histograms(given)


class TestUncertainty:
    def test_positions_are_sorted(self):
        x = np.array([[2.0], [0.0], [1.0]])
        ax = plot.uncertainty_band(x, 10 * x, 0 * x, points=(x, x))
        assert ax.lines[0].get_xdata().tolist() == [0, 1, 2]
        assert ax.lines[0].get_ydata().tolist() == [0, 10, 20]

    @pytest.mark.parametrize(
        ("std", "message"), [([1.0], "same size"), ([1.0, -1.0], r"Received: -1\.0")]
    )
    def test_errors(self, std, message):
        with pytest.raises(ValueError, match=message):
            plot.uncertainty_band([0, 1], [0, 1], std)

    def test_reliability_diagram_leaves_empty_bins_out(self):
        ax = plot.reliability_diagram([0, 1], [[0.95, 0.05], [0.35, 0.65]])
        assert ax.lines[1].get_xdata().tolist() == pytest.approx([0.65, 0.95])


def test_matplotlib_is_imported_by_the_first_picture_only():
    program = "import sys, dropfast, dropfast.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_missing_matplotlib_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'dropfast\[plot\]'"):
        plot.history(RUN)

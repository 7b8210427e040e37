"""Recipes: what they build, what they leave alone, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast import recipes


def plain(*layers, optimizer=None):
    model = df.Sequential(
        [df.layers.Input((20,)), *(layers or (df.layers.Dense(30, "relu"), df.layers.Dense(3)))],
        seed=0,
    )
    loss = df.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or df.optimizers.SGD(0.01, nesterov=True), loss, ["accuracy"])
    return model


class TestPracticalGuide:
    def test_every_part(self):
        recipe = recipes.practical_guide(plain(), epochs=7, batch_size=16, seed=3)
        first, hidden, second, output = recipe.model.layers
        assert (first.rate, second.rate) == (0.2, 0.5)
        assert (hidden.units, output.units) == (60, 3)
        assert hidden.kernel_constraint.max_value == 3.0
        assert output.kernel_constraint is None
        optimizer = recipe.model.optimizer
        assert optimizer.learning_rate == pytest.approx(0.1)
        assert (optimizer.momentum, optimizer.nesterov) == (0.95, True)
        assert recipe.model.loss.from_logits
        assert recipe.fit == {"epochs": 7, "batch_size": 16}
        assert recipe.model.seed == 3

    def test_each_part_can_be_switched_off(self):
        recipe = recipes.practical_guide(
            plain(optimizer=df.optimizers.SGD(0.01, momentum=0.5)),
            input_rate=0,
            hidden_rate=0,
            learning_rate_factor=1,
            momentum=None,
            max_norm=None,
        )
        hidden, output = recipe.model.layers
        assert (hidden.units, output.units) == (30, 3)
        assert hidden.kernel_constraint is None
        assert recipe.model.optimizer.learning_rate == pytest.approx(0.01)
        assert recipe.model.optimizer.momentum == 0.5

    def test_width_can_stay(self):
        recipe = recipes.practical_guide(plain(), widen=False)
        assert recipe.model.layers[1].units == 30

    def test_the_plain_model_stays_and_weights_are_not_shared(self):
        model = plain()
        before = [weight.copy() for weight in model.get_weights()]
        recipe = recipes.practical_guide(model, widen=False, epochs=2, seed=0)
        x = np.random.default_rng(0).random((64, 20), np.float32)
        recipe.model.fit(x, np.arange(64) % 3, verbose=0, **recipe.fit)
        for weight, kept in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, kept)

    @pytest.mark.parametrize(
        ("make", "arguments", "message"),
        [
            (plain, {"input_rate": 1.0}, r"input_rate must be in \[0, 1\)\. Received: .*1\.0"),
            (plain, {"hidden_rate": -0.1}, "hidden_rate must be"),
            (
                lambda: plain(df.layers.Dropout(0.5), df.layers.Dense(3)),
                {},
                r"must have no dropout yet\. Received: Dropout\(0\.5",
            ),
            (lambda: plain(df.layers.Activation("relu")), {}, "Received: no Dense layer"),
            (lambda: plain(optimizer=df.optimizers.Adam()), {}, r"SGD\. Received: Adam"),
            (lambda: df.Sequential([df.layers.Dense(3)]), {}, "without input shape"),
        ],
    )
    def test_errors(self, make, arguments, message):
        with pytest.raises(ValueError, match=message):
            recipes.practical_guide(make(), **arguments)


class TestFashionMnist:
    def test_learning_rate_ends_at_zero_with_the_last_step(self):
        recipe = recipes.fashion_mnist(epochs=3, rows=1000, seed=0)
        rate = recipe.model.optimizer.learning_rate_at
        assert rate(0) == pytest.approx(0.001)
        assert rate(3 * 8) == pytest.approx(0)
        assert 0 < rate(3 * 8 - 1) < 1e-5

    @pytest.mark.parametrize("arguments", [{"epochs": 0}, {"rows": 0}])
    def test_errors(self, arguments):
        with pytest.raises(ValueError, match="must be at least 1"):
            recipes.fashion_mnist(**arguments)

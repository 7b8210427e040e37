"""Recipes: what they build, what they leave alone, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast import recipes
from dropfast.training.engine import Native


def plain(*layers, optimizer=None):
    model = df.Sequential(
        [df.layers.Input((20,)), *(layers or (df.layers.Dense(30, "relu"), df.layers.Dense(3)))],
        seed=0,
    )
    loss = df.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or df.optimizers.SGD(0.01, nesterov=True), loss, metrics=["accuracy"])
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
        # Ten times the effective rate of 0.01, of which momentum makes 1 / (1 - 0.95).
        assert optimizer.learning_rate == pytest.approx(10 * 0.01 * (1 - 0.95))
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


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (300, 8, 6), np.uint8), np.arange(300) % 10


SMALL = {"directions": 20, "units": (16, 12), "seed": 0}


class TestFashionMnist:
    def test_learning_rate_ends_at_zero_with_the_last_step(self, images):
        recipe = recipes.fashion_mnist(images[0], epochs=3, **SMALL)
        rate = recipe.model.optimizer.learning_rate_at
        assert rate(0) == pytest.approx(0.002)
        assert rate(3 * 2) == pytest.approx(0)
        recipe.train(*images, verbose=0)
        assert recipe.model.optimizer.iterations == 6

    def test_trains_natively_on_other_images_in_each_epoch(self, images, monkeypatch):
        recipe = recipes.fashion_mnist(images[0], epochs=3, **SMALL)
        seen, fit = [], recipe.model.fit
        monkeypatch.setattr(
            recipe.model, "fit", lambda x, y, **more: seen.append(x) or fit(x, y, **more)
        )
        history = recipe.train(*images, verbose=0)
        assert type(recipe.model.trainer()) is Native
        assert history.epoch == [0, 1, 2]
        assert len(history.history["loss"]) == 3
        assert not np.array_equal(seen[0], seen[1])
        assert np.array_equal(seen[2], recipe.changed(images[0], 2))

    def test_same_seed_same_bits(self, images):
        found = []
        for _ in range(2):
            recipe = recipes.fashion_mnist(images[0], epochs=2, **SMALL)
            recipe.train(*images, verbose=0)
            found.append(recipe.predict(images[0]))
        assert np.array_equal(*found)

    def test_predictions_are_the_same_for_mirror_images(self, images):
        recipe = recipes.fashion_mnist(images[0], epochs=1, **SMALL)
        one, other = recipe.predict(images[0]), recipe.predict(images[0][:, :, ::-1])
        np.testing.assert_array_equal(one, other)

    def test_each_part_can_be_left_out(self, images):
        off = {"directions": None, "input_rate": 0, "hidden_rate": 0, "mirrored": False}
        recipe = recipes.fashion_mnist(images[0], shifted=0, **{**SMALL, **off})
        kinds = [type(layer).__name__ for layer in recipe.model.layers]
        assert kinds == ["Rescaling", "Flatten", "Dense", "Dense", "Dense"]
        assert np.array_equal(recipe.changed(images[0], 0), images[0])
        assert np.array_equal(recipe.predict(images[0]), recipe.model.predict(images[0]))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"epochs": 0}, "epochs must be at least 1. Received: epochs=0"),
            ({"x": np.ones((3, 4))}, r"x must have shape .* Received: shape \(3, 4\)"),
            ({"directions": 49}, r"count must be in \[1, 48\]. Received: count=49"),
            ({"hidden_rate": 1.5}, r"rate must be in \[0, 1\]"),
        ],
    )
    def test_errors(self, arguments, message, images):
        with pytest.raises(ValueError, match=message):
            recipes.fashion_mnist(**{"x": images[0], **SMALL, **arguments})


class TestPrincipalDirections:
    @pytest.mark.parametrize("whitening", [0.0, 0.5, 1.0])
    def test_against_the_singular_values(self, whitening, images):
        rows = images[0].reshape(300, -1) / 255
        kernel, bias = recipes.principal_directions(images[0], 10, whitening)
        found = rows @ kernel + bias
        _, singular, right = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
        expected = (rows - rows.mean(axis=0)) @ right[:10].T / singular[:10] ** whitening
        expected /= np.sqrt((expected**2).mean())
        np.testing.assert_allclose(abs(found), abs(expected), rtol=1e-2, atol=1e-3)
        assert (kernel[abs(kernel).argmax(axis=0), range(10)] > 0).all()

    def test_constant_pixels_do_no_harm(self):
        images = np.zeros((50, 4, 4), np.uint8)
        images[:, 0, 0] = np.arange(50)
        kernel, bias = recipes.principal_directions(images, 16, whitening=1.0)
        assert np.isfinite(kernel).all()
        assert np.isfinite(bias).all()

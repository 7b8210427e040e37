"""Attributes that are set after a model was built act from the next step on, or are read-only.

Every class and every constructor argument of the package is tried with values of many kinds: an
object that was changed must be one that was made so. What its constructor refuses is refused.
"""

import itertools

import numpy as np
import pytest
from public_api import CLASSES, arguments, example, fitting_input, stack_around

import dropfast as df
from dropfast.attributes import _until_built, parameters

L = df.layers
VALUES = [
    0.0,
    0.25,
    1,
    3,
    -1,
    float("nan"),
    float("inf"),
    None,
    True,
    False,
    "tanh",
    "ones",
    "no",
    "inference",
    "channels_first",
    "columns",
    (None, 1),
    [0.3, 0.2],
    df.schedules.Linear(0.0, 0.4, over=3),
    df.schedules.Linear(0.9, 0.1, over=4, unit="step"),
    df.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5),
    df.regularizers.L1(0.03),
    df.constraints.MaxNorm(0.1),
    df.constraints.NonNeg(),
    df.activations.Function("leaky_relu", 0.4),
    lambda epoch: 0.125,
]
SKIPPED = (L.Layer, L.Input, df.optimizers.Optimizer)


def cases(*kinds):
    return [
        pytest.param(cls, name, id=f"{cls.__name__}-{name}")
        for kind in kinds
        for cls in CLASSES[kind]
        if cls not in SKIPPED and cls.__name__.lower() != kind
        for name in parameters(cls)
    ]


def attempt(cls, name, value):
    """What the constructor makes of a value: an object or an exception."""
    try:
        return cls(**{**arguments(cls), name: value})
    except Exception as error:
        return error


def is_read_only(thing, name, value):
    try:
        setattr(thing, name, value)
    except AttributeError as error:
        return "read-only" in str(error)
    return False


def told(model, x):
    """All that a model says of itself."""
    lines = []
    model.summary(print_fn=lines.append)
    return lines, repr(model.explain_dropout(x)), model.get_config()


def results(model, x, y):
    """What a model computes and says over two steps, or the error it ends with."""
    found = [model.optimizer.learning_rate_at(0)]
    try:
        for _ in range(2):
            found.append(model.train_on_batch(x, y))
            found.append(told(model, x))
        found += [model.predict(x).tobytes(), model.evaluate(x, y)]
        found += [array.tobytes() for array in model.weights]
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
    return found


def check(cls, name, model_of, x, y):
    """Compare an object that was changed with one that was made so, in both engines."""
    changed = 0
    for value, stepwise in itertools.product(VALUES, (False, True)):
        if name == "name" and value is None:
            continue
        made = attempt(cls, name, value)
        thing = example(cls)
        model = model_of(thing)
        model._stepwise_only = stepwise
        model.predict(x)
        if made.__class__ is not cls:
            before = repr(thing), told(model, x)
            with pytest.raises((type(made), AttributeError)):
                setattr(thing, name, value)
            assert (repr(thing), told(model, x)) == before
            continue
        before = repr(thing)
        if is_read_only(thing, name, value):
            assert repr(thing) == before
            continue
        assert repr(thing) == repr(made)
        fresh = model_of(made)
        fresh._stepwise_only = stepwise
        assert results(model, x, y) == results(fresh, x, y), (value, stepwise)
        changed += 1
    return changed


def compiled(layers, **more):
    model = df.Sequential(layers, seed=3)
    settings = {"optimizer": df.optimizers.SGD(0.05), "loss": "mse", **more}
    model.compile(**settings)
    return model


pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(("cls", "name"), cases("layer"))
def test_layers(cls, name):
    x = fitting_input(cls)
    y = np.linspace(-1, 1, 3 * len(x)).reshape(-1, 3)
    changed = check(cls, name, lambda layer: compiled(stack_around(layer, x)), x, y)
    assert changed or name in _until_built(cls)


@pytest.mark.parametrize(("cls", "name"), cases("regularizer", "constraint"))
def test_penalties_and_constraints(cls, name):
    x, y = np.linspace(-1, 1, 24).reshape(6, 4), np.ones((6, 3))

    def model_of(thing):
        layer = L.Dense(3, **{f"kernel_{cls.kind}": thing})
        return compiled([L.Input(4), layer])

    assert check(cls, name, model_of, x, y)


@pytest.mark.parametrize(("cls", "name"), cases("loss", "optimizer"))
def test_losses_and_optimizers(cls, name):
    x, y = np.linspace(-1, 1, 24).reshape(6, 4), np.eye(3)[[0, 1, 2, 0, 1, 2]]
    if getattr(cls, "target", "") == "labels":
        y = y.argmax(axis=-1)

    def model_of(thing):
        return compiled([L.Input(4), L.Dense(3, "softmax")], **{cls.kind: thing})

    check(cls, name, model_of, x, y)


@pytest.mark.parametrize(("cls", "name"), cases("schedule"))
def test_drop_schedules(cls, name):
    x, y = np.linspace(-1, 1, 24).reshape(6, 4), np.ones((6, 3))
    check(cls, name, lambda s: compiled([L.Input(4), L.Dropout(s), L.Dense(3)]), x, y)


@pytest.mark.parametrize(("cls", "name"), cases("learning_rate_schedule"))
def test_learning_rate_schedules(cls, name):
    x, y = np.linspace(-1, 1, 24).reshape(6, 4), np.ones((6, 3))

    def model_of(thing):
        return compiled([L.Input(4), L.Dense(3)], optimizer=df.optimizers.SGD(thing))

    check(cls, name, model_of, x, y)


@pytest.mark.parametrize("name", ["name", "negative_slope", "alpha", "approximate"])
def test_shared_activations_are_read_only(name):
    with pytest.raises(AttributeError, match="read-only"):
        setattr(df.activations.relu, name, "tanh" if name == "name" else 0.5)
    assert df.activations.relu.name == "relu"


class TestWeights:
    @pytest.fixture
    def model(self):
        model = compiled([L.Input(2), L.Dense(2), L.BatchNormalization(), L.Dense(1)])
        model.predict(np.ones((1, 2)))
        return model

    def test_an_array_is_copied_into_the_weight(self, model):
        for layer in model.layers:
            for weight in layer._weights:
                own, new = weight.value, np.full(weight.value.shape, 0.5)
                setattr(layer, weight.name, new)
                assert getattr(layer, weight.name) is own is weight.value
                assert (own == 0.5).all()
        x = np.array([[1.0, 2.0]])
        assert model.predict(x)[0, 0] == pytest.approx(
            0.5 * 2 * (1.5 / 0.501**0.5 * 0.5 + 0.5) + 0.5
        )

    def test_in_place_arithmetic_works(self, model):
        kernel = model.layers[0].kernel.copy()
        model.layers[0].kernel *= 2
        assert np.array_equal(model.weights[0], 2 * kernel)

    @pytest.mark.parametrize("value", [np.ones(3), None, "no", np.ones((2, 2), complex)])
    def test_what_does_not_fit_is_refused(self, model, value):
        before = model.get_weights()
        with pytest.raises((ValueError, TypeError)):
            model.layers[0].kernel = value
        assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))

    def test_a_weight_that_is_not_there_is_refused(self):
        layer = L.Dense(2, use_bias=False)
        layer.build((None, 2))
        with pytest.raises(AttributeError, match="no weight 'bias'"):
            layer.bias = np.ones(2)

    def test_before_building_is_too_early(self):
        layer = L.Dense(2)
        layer.kernel = np.ones((2, 2))
        with pytest.raises(ValueError, match="must be set once the layer is built"):
            layer.build((None, 2))


class TestModel:
    @pytest.fixture
    def data(self):
        rng = np.random.default_rng(1)
        return rng.normal(size=(40, 6)), rng.normal(size=(40, 2))

    @pytest.fixture(params=["native", "stepwise"])
    def model(self, request):
        model = compiled([L.Input(6), L.Dropout(0.5, name="d"), L.Dense(5, "relu"), L.Dense(2)])
        model._stepwise_only = request.param == "stepwise"
        return model

    def test_a_rate_set_by_a_callback_acts_from_the_next_step(self, model, data):
        class Off(df.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 1:
                    self.model.get_layer("d").rate = 0.0

        model.fit(*data, epochs=2, verbose=0, callbacks=[Off()])
        other = compiled(
            [L.Input(6), L.Dropout(df.schedules.Early(0.5, 1)), L.Dense(5, "relu"), L.Dense(2)]
        )
        other.fit(*data, epochs=2, verbose=0)
        for one, two in zip(model.weights, other.weights, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
        assert model.explain_dropout(data[0])[0].kept.all()

    def test_a_rate_set_between_batches_acts_at_once(self, model, data):
        class Off(df.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                self.model.get_layer("d").rate = 0.5 if batch == 0 else 0.0

        model.fit(*data, batch_size=10, shuffle=False, verbose=0, callbacks=[Off()])
        rate = df.schedules.Early(0.5, 1, unit="step")
        other = compiled([L.Input(6), L.Dropout(rate), L.Dense(5, "relu"), L.Dense(2)])
        other.fit(*data, batch_size=10, shuffle=False, verbose=0)
        for one, two in zip(model.weights, other.weights, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("value", [2, -0.1, float("nan"), "no", None])
    def test_a_bad_rate_is_refused_when_it_is_set(self, model, value):
        with pytest.raises(ValueError, match="rate must be in"):
            model.layers[0].rate = value
        assert model.layers[0].rate == 0.5

    def test_trainable_of_the_model_freezes_all_layers(self, model, data):
        before = model.get_weights()
        model.trainable = False
        assert model.trainable_weights == []
        assert not any(layer.trainable for layer in model.layers)
        model.fit(*data, verbose=0)
        assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))
        assert not df.Sequential.from_config(model.get_config()).trainable
        model.trainable = True
        model.fit(*data, verbose=0)
        assert not any(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))

    def test_a_frozen_model_stays_frozen_when_one_layer_thaws(self, model, data):
        # As in Keras: a model that is frozen has no trainable weights.
        before = model.get_weights()
        model.trainable = False
        model.layers[1].trainable = True
        model.fit(*data, verbose=0)
        assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))

    def test_a_layer_frozen_by_a_callback_stands_still_at_once(self, model, data):
        kept = []

        class Freeze(df.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                self.model.layers[1].trainable = epoch != 1
                kept.append(self.model.layers[1].kernel.copy())

        model.compile(df.optimizers.Adam(), "mse")
        model.fit(*data, epochs=3, verbose=0, callbacks=[Freeze()])
        kept.append(model.layers[1].kernel)
        assert not np.array_equal(kept[0], kept[1])
        assert np.array_equal(kept[1], kept[2])
        assert not np.array_equal(kept[2], kept[3])

    def test_a_name_that_is_set_is_the_files(self, model, tmp_path):
        model.layers[0].name = "other"
        model.name = "mine"
        model.save(tmp_path / "m.safetensors")
        again = df.load_model(tmp_path / "m.safetensors")
        assert (again.name, again.layers[0].name) == ("mine", "other")
        assert "other" in repr(model.explain_dropout(np.ones((1, 6))))

    def test_names_must_differ(self, model):
        with pytest.raises(ValueError, match="names of layers must differ"):
            model.add(L.Dense(2, name="d"))
        model.layers[1].name = "d"
        with pytest.raises(ValueError, match="names of layers must differ"):
            model.predict(np.ones((1, 6)))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("seed", -1),
            ("name", 3),
            ("rows_per_mask", -1),
            ("trainable", "no"),
            ("dtype", "float64"),
        ],
    )
    def test_bad_settings_of_the_model_are_refused(self, model, name, value):
        before = getattr(model, name)
        with pytest.raises((ValueError, AttributeError, OverflowError), match=name):
            setattr(model, name, value)
        assert getattr(model, name) == before

    def test_seed_and_rows_per_mask_act(self, model, data):
        model.seed, model.rows_per_mask = 9, 4
        kept = [model.explain_dropout(data[0], row=row)[0].kept.tolist() for row in range(4)]
        assert kept[0] == kept[1] == kept[2] == kept[3]
        assert (
            kept[0]
            != compiled([L.Input(6), L.Dropout(0.5)]).explain_dropout(data[0])[0].kept.tolist()
        )
        model.train_on_batch(*data)

    def test_rescalings_and_frozen_layers_at_the_start(self, data):
        # Rows that these prepare are kept between epochs: a change makes them again.
        def model_of(first, second):
            frozen = L.Dense(6, trainable=False, kernel_initializer="ones")
            return compiled(
                [L.Input(6), L.Rescaling(first), L.Rescaling(second), frozen, L.Dense(2)]
            )

        class Change(df.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                self.model.layers[1].scale = 0.25
                self.model.layers[2].kernel = np.full((6, 6), 0.5)

        changed, made = model_of(1.0, 1.0), model_of(1.0, 0.25)
        made.layers[2].kernel = np.full((6, 6), 0.5)
        changed.fit(*data, verbose=0, callbacks=[Change()])
        made.fit(*data, verbose=0)
        assert all(np.array_equal(a, b) for a, b in zip(changed.weights, made.weights, strict=True))

    def test_an_optimizer_belongs_to_one_model(self, model, data):
        model.fit(*data, verbose=0)
        other = df.Sequential([L.Input(6), L.Dense(2)], seed=0)
        other.compile(model.optimizer, "mse")
        before = other.get_weights()
        with pytest.raises(ValueError, match="optimizer must be new"):
            other.fit(*data, verbose=0)
        assert all(np.array_equal(a, b) for a, b in zip(before, other.weights, strict=True))

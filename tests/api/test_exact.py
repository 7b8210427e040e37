"""What the engine computes is what the objects say: classes of one's own run their own code.

The lists of classes are taken from the package, so a new one is tested without being named here.
"""

import types

import numpy as np
import pytest
from public_api import CLASSES, example, fitting_input, stack_around

import dropfast as df
from dropfast.training.engine import Native
from dropfast.training.exact import why_not
from dropfast.training.stepwise import Stepwise

L = df.layers


def concrete(kind):
    """Classes that do something by themselves."""
    abstract = (L.Layer, L.Input, df.losses.Loss, df.metrics.Metric, df.metrics.Mean)
    abstract += (df.optimizers.Optimizer, df.constraints.Constraint, df.regularizers.Regularizer)
    return [cls for cls in CLASSES[kind] if cls not in abstract]


def spying(cls, name, seen):
    """A subclass that does the same but is seen doing it."""

    def method(self, *arguments, **more):
        seen.append(name)
        return getattr(super(mine, self), name)(*arguments, **more)

    mine = types.new_class(f"Own{cls.__name__}", (cls,))
    setattr(mine, name, method)
    return mine


def compiled(layers, **more):
    model = df.Sequential(layers, seed=3)
    settings = {"optimizer": df.optimizers.SGD(0.05), "loss": "mse", **more}
    model.compile(**settings)
    return model


def subclass(cls, seen, patch):
    return example(spying(cls, "forward", seen))


def replaced_on_the_object(cls, seen, patch):
    layer = example(cls)
    inner = layer.forward
    layer.forward = lambda x, passage: seen.append("forward") or inner(x, passage)
    return layer


def replaced_on_the_class(cls, seen, patch):
    inner = cls.forward
    patch.setattr(cls, "forward", lambda *rest: seen.append("forward") or inner(*rest))
    return example(cls)


@pytest.mark.parametrize("cls", concrete("layer"), ids=lambda cls: cls.__name__)
@pytest.mark.filterwarnings("ignore:dropout cannot act")
def test_a_subclass_of_a_layer_runs_its_own_code(cls):
    x = fitting_input(cls)
    plain = compiled(stack_around(example(cls), x))
    expected = plain.predict(x)
    y = np.zeros(expected.shape)
    for make in (subclass, replaced_on_the_object, replaced_on_the_class):
        seen = []
        with pytest.MonkeyPatch.context() as patch:
            model = compiled(stack_around(make(cls, seen, patch), x))
            assert type(model.engine()) is Stepwise
            text = summary_of(model)
            assert "layer by layer" in text[-1]
            assert cls.__name__ in text[-1]
            np.testing.assert_allclose(model.predict(x), expected, atol=1e-6)
            assert len(seen) >= 1
            model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0)
            assert len(seen) >= 2
    assert "native engine" in summary_of(plain)[-1] or plain.plan.obstacle


def summary_of(model):
    lines = []
    model.summary(print_fn=lines.append)
    return lines


@pytest.mark.parametrize("cls", concrete("loss"), ids=lambda cls: cls.__name__)
def test_a_subclass_of_a_loss_runs_its_own_code(cls):
    seen = []
    own = spying(spying(cls, "call", seen), "gradient", seen)
    x, rng = np.ones((8, 4)), np.random.default_rng(0)
    y = rng.integers(0, 2, 8) if cls.target == "labels" else rng.integers(0, 2, (8, 3)) * 1.0
    found = []
    for kind in (cls, own):
        loss = example(kind)
        # Mean and variance of each target.
        units = 6 if cls.__name__ == "GaussianNLL" else 3
        model = compiled([L.Input(4), L.Dense(units, "softmax")], loss=loss)
        model.fit(x, y, epochs=2, verbose=0)
        found.append(model.predict(x))
        assert type(model.trainer()) is Stepwise or kind is cls
    assert {"call", "gradient"} <= set(seen)
    assert own.__name__ in summary_of(model)[-1]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_a_loss_with_another_value_needs_its_gradient_too():
    own = spying(df.losses.MeanSquaredError, "call", [])
    model = df.Sequential([L.Dense(1)], seed=0)
    with pytest.raises(TypeError, match="must define gradient\\(\\) beside call"):
        model.compile("sgd", own())
    assert not model.compiled


def test_a_penalty_with_another_value_needs_its_gradient_too():
    own = spying(df.regularizers.L2, "__call__", [])
    with pytest.raises(TypeError, match="must define gradient\\(\\) beside __call__"):
        L.Dense(1, kernel_regularizer=own())


@pytest.mark.parametrize("cls", concrete("metric"), ids=lambda cls: cls.__name__)
def test_a_subclass_of_a_metric_runs_its_own_code(cls):
    seen = []
    own = example(spying(cls, "update_state", seen))
    labels = cls.__name__.startswith("Sparse")
    loss = "sparse_categorical_crossentropy" if labels else "categorical_crossentropy"
    model = compiled([L.Input(4), L.Dense(3, "softmax")], loss=loss, metrics=[own])
    y = np.arange(6) % 3
    model.fit(np.ones((6, 4)), y if labels else np.eye(3)[y], batch_size=2, verbose=0)
    assert len(seen) == 3


@pytest.mark.parametrize("cls", concrete("optimizer"), ids=lambda cls: cls.__name__)
def test_a_subclass_of_an_optimizer_runs_its_own_code(cls):
    x, y, found = np.ones((8, 4)), np.ones((8, 3)), []
    for name in ("update", "clip", ""):
        seen = []
        kind = spying(cls, name, seen) if name else cls
        model = compiled([L.Input(4), L.Dense(3)], optimizer=example(kind))
        model.fit(x, y, epochs=2, verbose=0)
        assert (type(model.trainer()) is Stepwise) == bool(name)
        assert bool(seen) == bool(name)
        found.append(model.predict(x))
    np.testing.assert_allclose(found[0], found[2], atol=1e-6)
    np.testing.assert_allclose(found[1], found[2], atol=1e-6)


@pytest.mark.parametrize("kind", ["constraint", "regularizer"])
def test_subclasses_in_dense_run_their_own_code(kind):
    for cls in concrete(kind):
        seen = []
        own = spying(cls, "__call__", seen)
        if kind == "regularizer":
            own = spying(own, "gradient", seen)
        layer = L.Dense(3, **{f"kernel_{kind}": example(own)})
        model = compiled([L.Input(4), layer])
        model.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
        assert type(model.engine()) is Stepwise
        assert seen


def test_a_subclass_of_an_activation_runs_its_own_code():
    seen = []
    function = df.activations.Function
    own = spying(spying(function, "__call__", seen), "backward", seen)
    model = compiled([L.Input(4), L.Dense(3, own("tanh")), L.Activation(own("relu"))])
    model.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    assert type(model.engine()) is Stepwise
    assert seen.count("__call__") == seen.count("backward") == 2
    with pytest.raises(TypeError, match="backward"):
        L.Dense(3, spying(function, "__call__", [])("tanh"))


def test_the_monte_carlo_idiom_acts_everywhere():
    class Always(L.Dropout):
        def forward(self, x, passage):
            passage.training = True
            return super().forward(x, passage)

    layer, x = Always(0.5), np.ones((4, 500))
    model = df.Sequential([L.Input(500), layer], seed=0)
    for act in (model.predict, model, layer):
        first, second = act(x), act(x)
        assert 0.4 < (first == 0).mean() < 0.6
        assert not np.array_equal(first, second)
    again = df.Sequential([L.Input(500), Always(0.5)], seed=0)
    assert np.array_equal(again.predict(x), df.Sequential([Always(0.5)], seed=0).predict(x))


@pytest.mark.parametrize("base", [L.Dropout, L.Dense, L.Layer, L.Flatten])
def test_a_layer_with_a_call_of_pythons_is_refused_by_name(base):
    own, name = types.new_class("Mine", (base,)), "__call__"
    setattr(own, name, lambda self, x, training=None: x)
    layer = example(own) if base is not L.Layer else own()
    with pytest.raises(TypeError, match=f"class Mine must not define {name}"):
        df.Sequential([layer])


@pytest.mark.parametrize("name", ["train_step", "compute_loss"])
def test_a_model_with_keras_steps_is_refused_by_name(name):
    own = types.new_class("Mine", (df.Sequential,))
    setattr(own, name, lambda self, *rest: None)
    with pytest.raises(TypeError, match=f"class Mine must not define {name}"):
        own([L.Dense(1)])


def test_exact_classes_run_natively():
    model = compiled([L.Input(4), L.Dropout(0.5), L.Dense(3)])
    assert type(model.engine()) is type(model.trainer()) is Native
    assert summary_of(model)[-1] == "Runs in the native engine"
    assert not why_not(L.Dropout(0.5))

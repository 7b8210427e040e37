"""Names and spellings that scripts written for Keras use: aliases, old arguments, attributes."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import dropfast as df

L = df.layers
X, Y = np.ones((8, 4), np.float32), np.zeros((8, 1), np.float32)


def small():
    model = df.Sequential([L.Dense(3, "relu"), L.Dense(1)], seed=0)
    model.build((None, 4))
    return model


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (df.regularizers, "l1 l2 l1_l2 orthogonal_regularizer"),
        (df.constraints, "max_norm min_max_norm non_neg unit_norm"),
        (
            df.initializers,
            "constant identity ones zeros glorot_normal glorot_uniform he_normal he_uniform "
            "lecun_normal lecun_uniform orthogonal random_normal random_uniform truncated_normal "
            "variance_scaling",
        ),
    ],
)
def test_lower_case_names_are_the_classes(module, names):
    for name in names.split():
        found = module.get(name)
        assert type(found) is getattr(module, name)


def test_schedules_is_a_module():
    from dropfast.optimizers.schedules import ExponentialDecay

    assert ExponentialDecay is df.optimizers.schedules.ExponentialDecay


@pytest.mark.parametrize(
    "layer",
    [
        lambda: L.Dense(2, input_shape=(4,)),
        lambda: L.Dense(2, batch_input_shape=(None, 4)),
        lambda: L.Dropout(0.5, input_shape=(4,)),
        lambda: L.Flatten(input_shape=(4,)),
    ],
)
def test_the_first_layers_input_shape_builds(layer):
    model = df.Sequential([layer(), L.Dense(1)], seed=0)
    assert model.input_shape == (None, 4)


def test_input_dim_warns_and_builds():
    with pytest.warns(DeprecationWarning, match=r"input_dim is now called input_shape"):
        model = df.Sequential([L.Dense(12, input_dim=8, activation="relu")], seed=0)
    assert model.input_shape == (None, 8)
    assert "input_dim" not in repr(model.layers[0])


def test_input_shape_counts_for_the_first_layer_only():
    model = df.Sequential([L.Input(4), L.Dense(2, input_shape=(9,))], seed=0)
    assert model.input_shape == (None, 4)


def test_a_first_layer_that_does_not_fit_changes_nothing():
    model = df.Sequential(seed=0)
    with pytest.raises(ValueError, match="axis must be the last"):
        model.add(L.BatchNormalization(axis=1, input_shape=(4, 3)))
    model.add(L.Dense(1, input_shape=(4,)))
    assert model.input_shape == (None, 4)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_lr(optimizer):
    make = getattr(df.optimizers, optimizer)
    with pytest.warns(DeprecationWarning, match="lr is now called learning_rate"):
        assert make(lr=0.25).learning_rate == 0.25
    with pytest.raises(ValueError, match=r"decay must be a schedule.*Received: decay=0.1"):
        make(decay=0.1)
    with pytest.raises(TypeError, match=r"got an unexpected argument\. Received: momentun"):
        make(momentun=0.1)


def test_alpha_of_leaky_relu():
    with pytest.warns(DeprecationWarning, match="alpha of LeakyReLU is now called negative_slope"):
        layer = L.LeakyReLU(alpha=0.5)
    assert layer(np.array([[-2.0, 1.0]])).tolist() == [[-1.0, 1.0]]
    assert L.LeakyReLU.from_config(layer.get_config()).negative_slope == 0.5


def test_axes():
    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    y = L.Softmax(axis=0)(x)
    np.testing.assert_allclose(y.sum(axis=0), 1.0)
    np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum(axis=0))
    for layer in (L.BatchNormalization(axis=-1), L.LayerNormalization(axis=[-1])):
        assert layer(x, training=True).shape == (2, 2)
    with pytest.raises(ValueError, match=r"axis must be the last .*Received: axis=1"):
        L.BatchNormalization(axis=1)(np.zeros((2, 3, 4)))


def test_a_misspelled_argument_is_named():
    with pytest.raises(TypeError, match=r"Dense got an unexpected argument\. Received: unitz=3"):
        L.Dense(3, unitz=3)


def test_history_has_metrics_as_they_were_given():
    model = small()
    model.compile("sgd", "mse", metrics=["mae", "mse", "mean_squared_error"])
    history = model.fit(X, Y, verbose=0)
    assert list(history.history) == ["loss", "mae", "mse", "mean_squared_error"]
    assert model.history is history


def test_arguments_without_effect():
    model = small()
    model.compile(
        "sgd",
        "mse",
        metrics=["mae"],
        weighted_metrics=None,
        run_eagerly=True,
        steps_per_execution=10,
        jit_compile=False,
        auto_scale_loss=False,
    )
    model.fit(X, Y, verbose=0)


def test_one_callback_and_nested_ones():
    seen = []
    tell = df.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    model = small()
    model.compile("sgd", "mse")
    for callbacks in (tell, [tell], (tell,), [[tell], None]):
        model.fit(X, Y, verbose=0, callbacks=callbacks)
        model.evaluate(X, Y, callbacks=callbacks)
        model.predict(X, callbacks=callbacks)
    assert seen == [0] * 4
    with pytest.raises(TypeError, match="callbacks must hold"):
        model.fit(X, Y, verbose=0, callbacks=3)


def test_asking_for_what_is_not_there_yet():
    model = df.Sequential([L.Dense(1)], seed=0)
    assert not hasattr(model, "input_shape")
    assert getattr(model, "optimizer", None) is None
    assert model.history is None
    with pytest.raises(ValueError, match="must be compiled"):
        _ = model.optimizer


def test_variables_and_penalties():
    model = df.Sequential(
        [
            L.Input(4),
            L.Dense(3, kernel_regularizer=df.regularizers.l2(0.5), kernel_initializer="ones"),
            L.BatchNormalization(),
            L.Dense(1, trainable=False),
        ],
        seed=0,
    )
    assert len(model.variables) == len(model.weights) == 8
    assert len(model.trainable_variables) == 4
    assert len(model.non_trainable_variables) == len(model.non_trainable_weights) == 4
    assert model.losses == [6.0]
    model.layers[0].trainable = False
    assert model.losses == []


def test_json_clone_and_compile_config():
    model = small()
    model.compile(df.optimizers.SGD(0.5), "mse", metrics=["mae"])
    config = json.loads(json.dumps(model.get_compile_config()))
    twin = df.models.model_from_json(model.to_json())
    twin.compile_from_config(config)
    assert twin.optimizer.learning_rate == 0.5
    assert twin.evaluate(X, Y) == model.evaluate(X, Y)
    frozen = df.models.clone_model(
        model, lambda layer: type(layer).from_config({**layer.get_config(), "trainable": False})
    )
    assert frozen.trainable_weights == []
    assert frozen.weights[0] is not model.weights[0]
    with pytest.raises(ValueError, match="json_string must be what to_json returned"):
        df.models.model_from_json("[]")


def test_a_clone_keeps_classes_of_ones_own():
    class Twice(L.Dense):
        pass

    model = df.Sequential([L.Input(2), Twice(2)], seed=0)
    assert type(df.models.clone_model(model).layers[0]) is Twice


def test_orthogonal_weights():
    for shape in ((40, 70), (70, 40), (5, 6, 7)):
        w = df.initializers.Orthogonal(2.0, seed=1)(shape, "float64").reshape(-1, shape[-1])
        gram = w @ w.T if len(w) < w.shape[1] else w.T @ w
        np.testing.assert_allclose(gram, 4.0 * np.eye(len(gram)), atol=1e-12)
    with pytest.raises(ValueError, match="shape must have at least 2 sizes"):
        df.initializers.Orthogonal()((3,))


def test_gradient_of_the_orthogonal_penalty():
    w = np.random.default_rng(0).normal(size=(4, 3))
    for mode in ("rows", "columns"):
        penalty = df.regularizers.OrthogonalRegularizer(0.7, mode)
        numeric = np.empty_like(w)
        for index in np.ndindex(w.shape):
            moved = w.copy()
            moved[index] += 1e-6
            above = penalty(moved)
            moved[index] -= 2e-6
            numeric[index] = (above - penalty(moved)) / 2e-6
        np.testing.assert_allclose(penalty.gradient(w), numeric, atol=1e-8)


def test_utils():
    assert df.utils.to_categorical([[1], [0]]).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    for bad in ([-1], [0.5], ["a"]):
        with pytest.raises(ValueError, match="x must hold integer labels"):
            df.utils.to_categorical(bad)
    with pytest.raises(ValueError, match=r"below num_classes=2\. Received: 2"):
        df.utils.to_categorical([2], 2)


def test_no_warnings_for_todays_names():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        df.Sequential([L.Dense(1, input_shape=(3,))], seed=0).compile(
            df.optimizers.SGD(learning_rate=0.1), "mse"
        )

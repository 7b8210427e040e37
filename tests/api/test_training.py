"""Training: the two engines agree, runs repeat and resume to the bit, data in many forms."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast.training.engine import Native
from dropfast.training.stepwise import Stepwise

L = df.layers


def close(a, b, tolerance=2e-5):
    for one, other in zip(a.weights, b.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


STACKS = {
    "standard": lambda: None,
    "groups": lambda: [
        L.Dropout(0.3, rows_per_mask=4),
        L.Dense(8, "tanh"),
        L.Dropout(0.5, noise_shape=(1, None)),
        L.Dense(3, "softmax"),
    ],
    "rows": lambda: [L.Dense(8), L.Dropout(0.3, noise_shape=(None, 1)), L.Dense(3, "softmax")],
    "classic": lambda: [
        L.Dense(8, "sigmoid"),
        L.Dropout(0.3, scale_at="inference"),
        L.Dense(3),
        L.Activation("softmax"),
    ],
    "alpha": lambda: [L.Dense(8, "selu"), L.AlphaDropout(0.2), L.Dense(3, "softmax")],
    "gaussian": lambda: [L.GaussianDropout(0.2), L.Dense(8, "elu"), L.Dense(3, "softmax")],
    "penalties": lambda: [
        L.Dense(8, "silu", kernel_regularizer=df.regularizers.L1L2(1e-3, 1e-2)),
        L.Dropout(0.5),
        L.Dense(3, "softmax", bias_regularizer="l2", kernel_constraint=df.constraints.MaxNorm(1.0)),
    ],
    "schedule": lambda: [
        L.Dropout(df.schedules.Linear(0.0, 0.6, over=10, unit="step")),
        L.Dense(8, "gelu"),
        L.Dropout(df.schedules.Late(0.5, start=1)),
        L.Dense(3, "softmax"),
    ],
}
OPTIMIZERS = {
    "sgd": lambda: df.optimizers.SGD(0.05),
    "momentum": lambda: df.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: df.optimizers.Adam(0.01, amsgrad=True, clipnorm=0.1),
    "adamw": lambda: df.optimizers.AdamW(0.01, global_clipnorm=0.2),
    "rmsprop": lambda: df.optimizers.RMSprop(0.005, centered=True, momentum=0.5, clipvalue=0.05),
    "decay": lambda: df.optimizers.SGD(df.optimizers.schedules.CosineDecay(0.1, 20)),
}


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_native_and_stepwise_agree_on_layers(stack, make, stepwise, data):
    a, b = (make(layers=stack(), dtype="float64") for _ in range(2))
    stepwise(b)
    first, second = (m.fit(*data, epochs=3, verbose=0, batch_size=48) for m in (a, b))
    assert type(a.trainer()) is Native
    assert type(b.trainer()) is Stepwise
    close(a, b, 1e-9)
    for name, values in first.history.items():
        np.testing.assert_allclose(values, second.history[name], rtol=1e-9)
    np.testing.assert_allclose(a.predict(data[0]), b.predict(data[0]), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_native_and_stepwise_agree_on_optimizers(optimizer, make, stepwise, data):
    a, b = (make(optimizer(), dtype="float64") for _ in range(2))
    stepwise(b)
    for model in (a, b):
        model.fit(*data, epochs=2, verbose=0)
    close(a, b, 1e-9)
    assert a.optimizer.iterations == b.optimizer.iterations == 14


LOSSES = {
    "mse": ("linear", lambda y: np.eye(3)[y]),
    "mae": ("linear", lambda y: np.eye(3)[y]),
    "huber": ("linear", lambda y: 3 * np.eye(3)[y]),
    "binary_crossentropy": ("sigmoid", lambda y: np.eye(3)[y]),
    "categorical_crossentropy": ("softmax", lambda y: np.eye(3)[y]),
    "smoothed": ("softmax", lambda y: y),
    "logits": ("linear", lambda y: y),
}


@pytest.mark.parametrize("name", LOSSES)
def test_native_and_stepwise_agree_on_losses(name, make, stepwise, data):
    head, target = LOSSES[name]
    loss = {
        "smoothed": df.losses.SparseCategoricalCrossentropy(label_smoothing=0.1),
        "logits": df.losses.SparseCategoricalCrossentropy(from_logits=True),
    }.get(name, name)
    x, y = data[0], target(data[1])
    weights = np.linspace(0.1, 2.0, len(x))
    models = []
    for _ in range(2):
        layers = [L.Dropout(0.2), L.Dense(8, "relu"), L.Dense(3, head)]
        models.append(
            make(
                loss=loss,
                layers=layers,
                metrics=["accuracy", "mae"][: name != "smoothed"],
                dtype="float64",
            )
        )
    stepwise(models[1])
    logs = [m.fit(x, y, epochs=2, verbose=0, sample_weight=weights).history for m in models]
    close(*models, 1e-9)
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-9)
    for model in models:
        assert np.isfinite(model.evaluate(x, y, verbose=0)).all()


def test_float32_engines_agree_within_rounding(make, stepwise, data):
    a, b = make(), stepwise(make())
    for model in (a, b):
        model.fit(*data, epochs=2, verbose=0)
    close(a, b)


def test_same_seed_same_bits(make, same, data):
    a, b, c = make(), make(), make(seed=6)
    for model in (a, b, c):
        model.fit(*data, epochs=2, verbose=0)
    assert same(a, b)
    assert not same(a, c)


@pytest.mark.parametrize("engine", ["native", "stepwise"])
def test_interrupted_run_goes_on_to_the_same_bits(engine, make, stepwise, same, data, tmp_path):
    whole, parts = make("adam"), make("adam")
    if engine == "stepwise":
        stepwise(whole)
        stepwise(parts)
    whole.fit(*data, epochs=4, verbose=0)
    parts.fit(*data, epochs=2, verbose=0)
    parts.save(tmp_path / "half.safetensors")
    loaded = df.load_model(tmp_path / "half.safetensors")
    if engine == "stepwise":
        stepwise(loaded)
    parts.fit(*data, epochs=4, initial_epoch=2, verbose=0)
    loaded.fit(*data, epochs=4, initial_epoch=2, verbose=0)
    assert same(whole, parts)
    assert same(whole, loaded)


def test_batch_callbacks_change_no_bit(make, same, data):
    class Watch(df.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.batches = []

        def on_train_batch_end(self, batch, logs=None):
            self.batches.append((batch, logs["loss"]))

    a, b, watch = make(), make(), Watch()
    first = a.fit(*data, epochs=2, verbose=0)
    second = b.fit(*data, epochs=2, verbose=0, callbacks=[watch])
    assert same(a, b)
    assert [batch for batch, _ in watch.batches] == [*range(7), *range(7)]
    np.testing.assert_allclose(first.history["loss"], second.history["loss"], rtol=1e-12)
    assert watch.batches[-1][1] == second.history["loss"][-1]


def test_train_on_batch_is_one_step_of_fit(make, same, data):
    x, y = data
    a, b = make(), make()
    a.fit(x, y, batch_size=50, shuffle=False, epochs=1, verbose=0)
    for start in range(0, 200, 50):
        logs = b.train_on_batch(x[start : start + 50], y[start : start + 50], return_dict=True)
        assert set(logs) == {"loss", "accuracy"}
    assert same(a, b)


def test_metrics_of_training_come_from_training_outputs(make, data):
    def mine(y_true, y_pred):
        return y_pred.argmax(axis=1) == y_true

    history = make(metrics=["accuracy"]).fit(*data, epochs=2, verbose=0).history
    again = make(metrics=[mine, "accuracy"]).fit(*data, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["accuracy"], again["mine"])
    np.testing.assert_allclose(history["accuracy"], again["accuracy"])


def test_class_weight_is_a_sample_weight(make, same, data):
    x, y = data
    a, b = make(), make()
    a.fit(x, y, epochs=1, verbose=0, class_weight={0: 2.0, 2: 0.5})
    b.fit(x, y, epochs=1, verbose=0, sample_weight=np.array([2.0, 1.0, 0.5])[y])
    assert same(a, b)


def test_validation_split_holds_out_the_last_rows(make, same, data):
    x, y = data
    a, b = make(), make()
    first = a.fit(x, y, epochs=2, verbose=0, validation_split=0.25)
    second = b.fit(x[:150], y[:150], epochs=2, verbose=0, validation_data=(x[150:], y[150:]))
    assert same(a, b)
    assert first.history == second.history


def test_validation_freq(make, data):
    history = make().fit(*data, epochs=5, verbose=0, validation_split=0.2, validation_freq=2)
    assert len(history.history["loss"]) == 5
    assert len(history.history["val_loss"]) == 2


def test_batch_larger_than_the_data_is_one_short_batch(make, same, data):
    a, b = make(), make()
    a.fit(*data, batch_size=10_000, epochs=2, verbose=0)
    b.fit(*data, batch_size=200, epochs=2, verbose=0)
    assert same(a, b)
    assert a.optimizer.iterations == 2


def test_last_batch_may_be_short(make, stepwise, data):
    a, b = make(dtype="float64"), stepwise(make(dtype="float64"))
    for model in (a, b):
        model.fit(*data, batch_size=64, epochs=1, verbose=0)
        assert model.optimizer.iterations == 4
    close(a, b, 1e-9)


def test_steps_per_epoch_limits_arrays(make, data):
    model = make()
    model.fit(*data, epochs=2, steps_per_epoch=3, verbose=0)
    assert model.optimizer.iterations == 6


def test_rows_per_mask_of_compile_is_the_default_of_dropout_layers(make, same, data):
    layers = lambda rows: [L.Dropout(0.4, rows_per_mask=rows), L.Dense(3, "softmax")]  # noqa: E731
    a = make(layers=layers(None), rows_per_mask=8)
    b, c = make(layers=layers(8)), make(layers=layers(1), rows_per_mask=8)
    for model in (a, b, c):
        model.fit(*data, epochs=1, verbose=0)
    assert same(a, b)
    assert not same(a, c)


def test_shared_dense_adds_up_its_gradients(data):
    x, y = data[0].astype(np.float64), np.eye(6)[data[1]]
    shared = L.Dense(6, "tanh")
    model = df.Sequential([shared, L.Dropout(0.3), shared], seed=1, dtype="float64")
    model.compile(df.optimizers.SGD(1.0), "mse")
    model.build((None, 6))
    assert len(model.weights) == 2
    assert "shares weights" in model.plan.obstacle
    before = model.get_weights()

    def loss():
        keys = model.plan.keys(model.seed)
        return df.losses.MeanSquaredError()(y, model.engine().forward(x, keys))

    numeric = np.empty_like(before[0])
    for index in np.ndindex(numeric.shape):
        shared.kernel[index] += 1e-6
        above = loss()
        shared.kernel[index] -= 2e-6
        numeric[index] = (above - loss()) / 2e-6
        shared.kernel[index] += 1e-6
    model.set_weights(before)
    model.train_on_batch(x, y)
    np.testing.assert_allclose(before[0] - shared.kernel, numeric, rtol=1e-5, atol=1e-8)


def test_one_dropout_object_at_two_places_draws_two_masks():
    drop = L.Dropout(0.5)
    model = df.Sequential([drop, drop], seed=4)
    x = np.ones((8, 64), np.float32)
    y = model(x, training=True)
    masks = [df.dropout_mask(x.shape, 0.5, df.Key(4, (5 << 48) | i)) for i in (0, 1)]
    assert not np.array_equal(*masks)
    assert np.array_equal(y, np.where(masks[0] & masks[1], np.float32(4), np.float32(0)))


def test_masks_of_training_are_those_of_the_stream(data):
    """One step of a linear model by hand, with the mask that the stream documents."""
    x, y = data[0], data[1].astype(np.float32)[:, None]
    model = df.Sequential([L.Dropout(0.5), L.Dense(1, use_bias=False)], seed=11)
    model.compile(df.optimizers.SGD(0.1), "mse")
    model.build((None, 6))
    kernel = model.weights[0].astype(np.float64)
    for step in range(2):
        kept = df.dropout(x, 0.5, df.Key(11, 0, step)).astype(np.float64)
        kernel -= 0.1 * 2 / len(x) * kept.T @ (kept @ kernel - y)
        model.train_on_batch(x, y)
    np.testing.assert_allclose(model.weights[0], kernel, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", [L.BatchNormalization, L.LayerNormalization])
def test_normalisation_trains(layer, make, data):
    model = make(
        df.optimizers.Adam(0.01),
        layers=[L.Dense(16, "relu"), layer(), L.Dropout(0.2), L.Dense(3, "softmax")],
    )
    model.fit(*data, epochs=20, verbose=0)
    assert layer.__name__.lower()[:5] in model.plan.obstacle
    assert model.evaluate(*data, verbose=0)[1] > 0.8


def test_frozen_layers_stay(make, data):
    model = make("adam")
    model.build((None, 6))
    model.layers[1].trainable = False
    before = model.get_weights()
    model.fit(*data, epochs=1, verbose=0)
    after = model.get_weights()
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_frozen_layers_at_the_start_are_computed_once(dtype, make, stepwise, data):
    x = (np.abs(data[0]) * 50).astype(dtype)

    def model():
        head = [L.Rescaling(1 / 50), L.Dense(5, trainable=False), L.Dense(4, "tanh")]
        head[2].trainable = False
        tail = [L.Dropout(0.2), L.Dense(8, "relu"), L.Dense(3, "softmax")]
        return make("adam", layers=[*head, *tail], dtype="float64")

    a, b = model(), stepwise(model())
    for one in (a, b):
        one.fit(x, data[1], epochs=2, verbose=0)
    assert type(a.trainer()) is Native
    assert type(b.trainer()) is Stepwise
    assert a.plan.preparation == 3
    close(a, b, 1e-9)
    np.testing.assert_allclose(a.predict(x), b.predict(x), rtol=1e-9)
    a.layers[1].trainable = True
    before = a.get_weights()
    a.fit(x, data[1], epochs=3, initial_epoch=2, verbose=0)
    moved = [not np.array_equal(one, two) for one, two in zip(before, a.weights, strict=True)]
    assert moved == [True, True, False, False, True, True, True, True]


def test_custom_losses_and_layers_train(data):
    class Squares(df.losses.Loss):
        def call(self, y_true, y_pred):
            return ((y_pred - y_true) ** 2).mean(axis=-1)

        def gradient(self, y_true, y_pred, weights):
            return 2 * (y_pred - y_true) / y_pred.shape[1] * weights[:, None]

    class Double(L.Layer):
        def forward(self, x, passage):
            return 2 * x

        def gradient(self, grad, passage):
            return 2 * grad

    x, y = data[0].astype(np.float64), np.eye(3)[data[1]]
    weights = []
    for loss, extra in ((Squares(), []), ("mse", [Double()])):
        start = "ones" if extra else df.initializers.Constant(2.0)
        layers = [*extra, L.Dense(3, kernel_initializer=start, use_bias=False)]
        model = df.Sequential(layers, seed=0, dtype="float64")
        model.compile(df.optimizers.SGD(0.05), loss)
        model.fit(x, y, epochs=1, verbose=0)
        assert type(model.trainer()) is Stepwise
        weights.append(model)
    assert np.isfinite(weights[0].weights[0]).all()
    reference = df.Sequential(
        [L.Dense(3, kernel_initializer=df.initializers.Constant(2.0), use_bias=False)],
        seed=0,
        dtype="float64",
    )
    reference.compile(df.optimizers.SGD(0.05), "mse")
    reference.fit(x, y, epochs=1, verbose=0)
    close(weights[0], reference, 1e-9)


def test_a_callback_that_stops_training(make, data):
    class Stop(df.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    model = make()
    history = model.fit(*data, epochs=5, verbose=0, callbacks=[Stop()])
    assert model.optimizer.iterations == 3
    assert len(history.epoch) == 1
    model.fit(*data, epochs=1, verbose=0)
    assert model.optimizer.iterations == 10


def test_fit_goes_on_after_an_interrupt(make, same, data):
    class Interrupt(df.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    model = make()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, epochs=1, verbose=1, callbacks=[Interrupt()])
    assert model.optimizer.iterations == 2
    assert np.isfinite(model.evaluate(*data, verbose=0)[0])
    model.fit(*data, epochs=1, verbose=0)


def test_the_bar_shows_loss_metric_and_throughput(make, data, capsys):
    make().fit(*data, epochs=2, verbose=1)
    shown = capsys.readouterr().err
    assert "Epoch 2/2" in shown
    assert "row/s" in shown
    assert "accuracy: 0." in shown
    make().fit(*data, epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Epoch 2/2 - ")
    assert "rows/s" in lines[1]
    assert "loss: " in lines[1]

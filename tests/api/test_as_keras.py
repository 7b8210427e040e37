"""Values, shapes and orders of arguments as Keras 3.15 gives them (with its NumPy backend)."""

import json
import warnings

import numpy as np
import pytest
from keras_signatures import FILE, table

import dropfast as df

L, LO, M, C = df.layers, df.losses, df.metrics, df.callbacks
ONE_HOT = np.eye(3)
LABELS = np.array([0, 1, 2])
P = np.array([[0.9, 0.05, 0.05], [0.5, 0.89, 0.6], [0.05, 0.01, 0.94]])
A = np.array([[1, 9, 2], [-5, -2, 6.0]])
B = np.array([[4, 8, 12], [8, 1, 3.0]])
Y = np.array([[1.0], [0], [1]])
Q = np.array([[0.8], [0.3], [0.4]])
W = np.array([1.0, 2.0, 0.5])

# Where the order differs on purpose: a base class and what a fit uses itself.
APART = {"metrics.Metric", "callbacks.CallbackList", "Keras"}


def test_positional_arguments_stand_in_keras_order():
    keras = json.loads(FILE.read_text())
    found = table(df, df.Sequential)
    shared = sorted(set(found) & set(keras) - APART)
    assert len(shared) > 90
    for name in shared:
        ours, theirs = found[name], keras[name]
        most = min(len(ours), len(theirs))
        assert ours[:most] == theirs[:most], name


LOSSES = [
    (LO.CategoricalCrossentropy, ONE_HOT, P, None, 0.32396814),
    (LO.SparseCategoricalCrossentropy, LABELS, P, None, 0.32396814),
    (LO.SparseCategoricalCrossentropy, LABELS[:, None], P, None, 0.32396814),
    (LO.MeanSquaredError, A, B, [[1.2], [3.4]], 127.96667),
    (LO.MeanAbsoluteError, A, B, [[1.2], [3.4]], 13.566667),
    (LO.Huber, A, B, [[1.2], [3.4]], 12.416667),
    (LO.BinaryCrossentropy, Y, Q, [1.0, 2, 3], 1.2284552),
    (LO.BinaryCrossentropy, Y[:, 0], Q, [1.0, 2, 3], 1.2284552),
]


@pytest.mark.parametrize(("loss", "true", "pred", "weights", "value"), LOSSES)
def test_losses(loss, true, pred, weights, value):
    for change in (lambda x: x, np.ndarray.tolist, np.float32):
        assert loss()(change(true), change(pred), weights) == pytest.approx(value, rel=1e-6)


# Metric, targets, predictions; unweighted, and with weights 1, 2, 0.5 as (n,) and (n, 1).
METRICS = [
    (M.SparseCategoricalAccuracy(), [0, 1, 1], P, 0.6666667, 0.85714287),
    (M.SparseCategoricalAccuracy(), [[0], [1], [1]], P, 0.6666667, 0.85714287),
    (M.CategoricalAccuracy(), ONE_HOT, P, 1.0, 1.0),
    (M.BinaryAccuracy(), Y, Q, 0.6666667, 0.85714287),
    (M.MeanSquaredError(), A, B, 49.5, 53.777775),
    (M.MeanAbsoluteError(), A, B, 5.5, 5.7777781),
    (M.RootMeanSquaredError(), A, B, 7.0356236, 7.333333),
    (M.CategoricalCrossentropy(), ONE_HOT, P, 0.32396814, 0.49875289),
    (M.SparseCategoricalCrossentropy(), [0, 1, 1], P, 1.8383998, 1.147795),
    (M.BinaryCrossentropy(), Y, Q, 0.49870309, 0.39846823),
    (M.Precision(), Y, Q, 1.0, 1.0),
    (M.Recall(), Y, Q, 0.5, 0.66666669),
    (M.R2Score(), A, B, -6.8930593, -7.5854549),
    (M.TopKCategoricalAccuracy(2), ONE_HOT, P, 1.0, 1.0),
]


@pytest.mark.parametrize(("metric", "true", "pred", "plain", "weighted"), METRICS)
def test_metrics(metric, true, pred, plain, weighted):
    weights = W[: len(pred)]
    for given, value in ((None, plain), (weights, weighted), (weights[:, None], weighted)):
        metric.reset_state()
        metric.update_state(true, pred, given)
        assert metric.result() == pytest.approx(value, rel=1e-6)


BAD = [
    (ONE_HOT[:2], P, None),
    (ONE_HOT[:, :2], P, None),
    (ONE_HOT.T[:2], P.T, None),
    (A.T, B, None),
    (A.ravel(), B, None),
    (A[:, :1], B, None),
    (A, B[:, :1], None),
    (A, B, [[1.0, 2.0]]),
    (A, B, np.ones((2, 3))),
    (A, B, [1.0]),
    (A, B, [1.0, -1.0]),
    (A, B, [1.0, np.nan]),
    (A[None], B[None], None),
]


@pytest.mark.parametrize(("true", "pred", "weights"), BAD)
def test_nothing_is_broadcast_or_reshaped(true, pred, weights):
    things = [cls() for cls in (LO.MeanSquaredError, LO.MeanAbsoluteError, LO.Huber)]
    updates = [M.MeanSquaredError(), M.RootMeanSquaredError(), M.R2Score()]
    for call in [*things, *(metric.update_state for metric in updates)]:
        with pytest.raises(ValueError, match=r"must .*Received: "):
            call(true, pred, weights)
    assert all(metric.count == 0 for metric in updates)


@pytest.mark.parametrize("labels", [[0, 1, 3], [0, -1, 2], [0.7, 1, 2], [0, 1], [[0, 1, 2]]])
@pytest.mark.parametrize(
    "make",
    [
        LO.SparseCategoricalCrossentropy,
        lambda: M.SparseCategoricalAccuracy().update_state,
        lambda: M.SparseTopKCategoricalAccuracy(2).update_state,
        lambda: M.SparseCategoricalCrossentropy().update_state,
    ],
)
def test_labels_are_checked(make, labels):
    with pytest.raises(ValueError, match="y_true must hold"):
        make()(labels, P)


@pytest.mark.parametrize("y", [[-1.0, 1, 1], [1.0, 2, 2], [255.0, 0, 255]])
def test_targets_of_cross_entropies_are_probabilities(y):
    column = np.array(y)[:, None]
    with pytest.raises(ValueError, match=r"y_true must hold probabilities in \[0, 1\]"):
        LO.BinaryCrossentropy()(column, Q)
    model = df.Sequential([L.Dense(1, "sigmoid")], seed=0)
    model.compile("sgd", "binary_crossentropy")
    with pytest.raises(ValueError, match=r"y must hold probabilities in \[0, 1\]"):
        model.fit(np.ones((3, 2)), column, verbose=0)
    assert model.optimizer.iterations == 0


def test_sigmoid_outputs_with_categorical_cross_entropy_do_not_train_to_ones():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = np.eye(3)[(x[:, :3]).argmax(axis=1)]
    model = df.Sequential([L.Dense(3, "sigmoid")], seed=0)
    model.compile(df.optimizers.Adam(0.05), "categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=30, verbose=0)
    assert model.evaluate(x, y)[1] > 0.9
    assert "outputs that are no softmax" in model.training_obstacle


def test_gradient_of_shares():
    loss, rng = LO.CategoricalCrossentropy(), np.random.default_rng(1)
    y, t = rng.uniform(0.1, 2, (4, 3)), rng.dirichlet(np.ones(3), 4)
    found = loss.gradient(t, y, np.ones(4))
    for index in np.ndindex(y.shape):
        moved = y.copy()
        moved[index] += 1e-6
        slope = (loss.call(t, moved).sum() - loss.call(t, y).sum()) / 1e-6
        assert found[index] == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_weights_set_by_hand():
    dense = L.Dense(2)
    dense.build((1, 2))
    dense.set_weights([[[1, -2], [3, -4]], [5, -6]])
    assert dense([[-1, 2]]).tolist() == [[10.0, -12.0]]
    assert df.Sequential([dense]).predict(np.array([[-1.0, 2.0]])).tolist() == [[10.0, -12.0]]


class TestModel:
    @pytest.fixture
    def data(self):
        rng = np.random.default_rng(0)
        return rng.normal(size=(70, 5)), rng.normal(size=(70, 3))

    def model(self, *layers, metrics=(), **more):
        model = df.Sequential([*(layers or [L.Dropout(0.5), L.Dense(3)])], seed=4)
        model.compile(df.optimizers.SGD(0.05), "mse", metrics=list(metrics), **more)
        return model

    def test_a_loop_of_fits_is_one_fit(self, data):
        one, other = (
            self.model(L.Dropout(df.schedules.Linear(0, 0.5, 4)), L.Dense(3)) for _ in "ab"
        )
        one.fit(*data, epochs=5, verbose=0)
        for _ in range(5):
            history = other.fit(*data, verbose=0)
            assert history.epoch == [0]
        assert all(np.array_equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))
        assert other.epochs_done == 5
        assert not other.explain_dropout(data[0])[0].kept.all()

    def test_initial_epoch_says_where_to_go_on(self, data):
        one, other = self.model(), self.model()
        one.fit(*data, epochs=2, verbose=0)
        other.fit(*data, epochs=2, verbose=0)
        one.fit(*data, epochs=1, initial_epoch=0, verbose=0)
        other.fit(*data, epochs=1, verbose=0)
        assert not np.array_equal(one.weights[0], other.weights[0])

    def test_train_on_batch_warns_of_schedules_in_epochs(self, data):
        model = self.model(L.Dropout(df.schedules.Linear(0, 0.5, 4)), L.Dense(3))
        with pytest.warns(UserWarning, match="train_on_batch does not count"):
            model.train_on_batch(*data)

    def test_steps_per_epoch_goes_on_through_the_data(self, data):
        one, other = self.model(), self.model()
        one.fit(*data, batch_size=10, epochs=3, verbose=0)
        other.fit(*data, batch_size=10, epochs=7, steps_per_epoch=3, verbose=0)
        assert one.optimizer.iterations == other.optimizer.iterations == 21
        assert all(np.array_equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))

    def test_step_limits_of_evaluate_and_predict(self, data):
        x, y = data
        model = self.model(metrics=["mae"])
        model.predict(x)
        assert model.evaluate(x, y, steps=2) == model.evaluate(x[:64], y[:64])
        assert model.evaluate(x, y, batch_size=10, steps=3) == model.evaluate(x[:30], y[:30])
        assert len(model.predict(x, steps=2)) == 64
        assert len(model.predict(x, batch_size=5, steps=3)) == 15
        for steps in (-1, 0, 1.5, "2"):
            with pytest.raises(ValueError, match="steps must be a positive integer"):
                model.predict(x, batch_size=5, steps=steps)
            with pytest.raises(ValueError, match="steps must be a positive integer"):
                model.evaluate(x, y, steps=steps)
        history = model.fit(
            x, y, validation_data=(x, y), validation_steps=2, validation_batch_size=10, verbose=0
        )
        assert history.history["val_loss"] == [model.evaluate(x[:20], y[:20])[0]]

    def test_all_hooks_are_called_with_logs(self, data):
        seen = []

        class Watch(C.Callback):
            pass

        for name in [name for name in dir(C.Callback) if name.startswith("on_")]:

            def hook(self, *arguments, name=name):
                seen.append((name, *(type(a).__name__ for a in arguments)))

            setattr(Watch, name, hook)
        model, watch = self.model(), Watch()
        model.fit(*data, batch_size=35, validation_data=data, verbose=0, callbacks=[watch])
        assert seen == [
            ("on_train_begin", "dict"),
            ("on_epoch_begin", "int", "dict"),
            *[("on_train_batch_begin", "int", "dict"), ("on_train_batch_end", "int", "dict")] * 2,
            ("on_test_begin", "dict"),
            *[("on_test_batch_begin", "int", "dict"), ("on_test_batch_end", "int", "dict")] * 2,
            ("on_test_end", "dict"),
            ("on_epoch_end", "int", "dict"),
            ("on_train_end", "dict"),
        ]
        seen.clear()
        model.predict(data[0], batch_size=35, callbacks=[watch])
        assert [name for name, *_ in seen] == [
            "on_predict_begin",
            *["on_predict_batch_begin", "on_predict_batch_end"] * 2,
            "on_predict_end",
        ]

    def test_batches_of_predictions_and_tests_give_the_same(self, data):
        model = self.model(metrics=["mae"])
        plain = model.predict(data[0]), model.evaluate(*data)
        outputs = []
        watch = C.LambdaCallback(
            on_predict_batch_end=lambda batch, logs: outputs.append(logs["outputs"]),
            on_test_batch_end=lambda batch, logs: outputs.append(logs["loss"]),
        )
        assert np.array_equal(model.predict(data[0], batch_size=20, callbacks=[watch]), plain[0])
        assert np.array_equal(np.concatenate(outputs), plain[0])
        told = model.evaluate(*data, batch_size=20, callbacks=[watch])
        np.testing.assert_allclose(told, plain[1], rtol=1e-12)
        assert outputs[-1] == told[0]

    def test_lambda_callbacks_have_all_hooks(self):
        with pytest.raises(TypeError, match="on_nothing must be a hook"):
            C.LambdaCallback(on_nothing=print)
        with pytest.raises(TypeError, match="on_train_end must be a function"):
            C.LambdaCallback(on_train_end=3)

    def test_evaluating_in_a_callback_leaves_the_metrics_of_the_fit(self, data):
        def fitted(*callbacks):
            model = self.model(metrics=["mae"])
            return model.fit(*data, batch_size=10, verbose=0, callbacks=list(callbacks)).history

        class Evaluate(C.Callback):
            def on_train_batch_end(self, batch, logs=None):
                self.model.evaluate(*data)

        quiet = C.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
        assert fitted(Evaluate()) == fitted(quiet)

    def test_a_sequence_is_told_that_its_epoch_is_over(self, data):
        class Batches:
            ended = 0

            def __len__(self):
                return 2

            def __iter__(self):
                return iter([(data[0][:35], data[1][:35]), (data[0][35:], data[1][35:])])

            def on_epoch_end(self):
                self.ended += 1

        batches = Batches()
        self.model().fit(batches, epochs=3, verbose=0)
        assert batches.ended == 3

    def test_a_generator_that_ends_early_is_told(self, data):
        with pytest.warns(UserWarning, match="ran out of batches: 2 of 5"):
            self.model().fit(iter([data, data]), steps_per_epoch=5, verbose=0)

    def test_penalties_of_frozen_layers_count_nowhere(self, data):
        frozen = L.Dense(4, kernel_regularizer="l2", trainable=False)
        model = self.model(L.Dense(5), frozen, L.Dense(3))
        plain = self.model(L.Dense(5), L.Dense(4, trainable=False), L.Dense(3))
        found = [m.fit(*data, validation_data=data, verbose=0).history for m in (model, plain)]
        assert found[0] == found[1]

    def test_csv_logger_has_columns_for_later_validation(self, data, tmp_path):
        log = C.CSVLogger(tmp_path / "log.csv")
        self.model().fit(
            *data, epochs=4, validation_data=data, validation_freq=2, verbose=0, callbacks=[log]
        )
        lines = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
        assert lines[0] == ["epoch", "loss", "val_loss"]
        assert [line[2] == "NA" for line in lines[1:]] == [True, False, True, False]

    def test_a_function_as_metric_is_a_mean_over_batches(self, data):
        def largest(y_true, y_pred):
            return abs(y_pred - y_true).max()

        model = self.model(L.Dense(3, kernel_initializer="zeros"), metrics=[largest])
        model.compile(df.optimizers.SGD(0.0), "mse", metrics=[largest])
        history = model.fit(*data, batch_size=32, shuffle=False, verbose=0).history
        parts = [abs(data[1][i : i + 32]).max() for i in (0, 32, 64)]
        expected = np.average(parts, weights=[32, 32, 6])
        assert history["largest"] == [pytest.approx(expected, rel=1e-6)]

    @pytest.mark.parametrize(
        ("layers", "loss", "message"),
        [
            ([L.Dense(1, "softmax")], "categorical_crossentropy", "over one unit"),
            ([L.Dense(1), L.Softmax()], "categorical_crossentropy", "over one unit"),
            (
                [L.Dense(3, "softmax")],
                LO.CategoricalCrossentropy(from_logits=True),
                "takes outputs before softmax",
            ),
        ],
    )
    def test_softmax_that_cannot_act_is_warned_of(self, layers, loss, message):
        model = df.Sequential(layers, seed=0)
        model.compile("sgd", loss)
        y = np.ones((4, model.layers[0].units))
        with pytest.warns(UserWarning, match=message):
            model.fit(np.ones((4, 2)), y, verbose=0)

    @pytest.mark.parametrize("shape", [(20, 1.5, 10), (0, 1), ("a", 1), 3, (True, 1)])
    def test_noise_shapes_are_whole_numbers(self, shape):
        with pytest.raises(ValueError, match="noise_shape must hold positive integers and None"):
            L.Dropout(0.5, noise_shape=shape)

    def test_masked_arrays_are_refused(self, data):
        x = np.ma.masked_array(data[0], mask=data[0] > 1)
        with pytest.raises(ValueError, match="x must have no masked entries"):
            self.model().fit(x, data[1], verbose=0)
        self.model().fit(np.ma.masked_array(data[0]), data[1], verbose=0)


class TestClassWeights:
    def fit(self, class_weight, loss="sparse_categorical_crossentropy", y=(0, 1, 2, 0)):
        units = 1 if loss in ("mse", "binary_crossentropy") else 3
        model = df.Sequential([L.Dense(units, "sigmoid" if units == 1 else "softmax")], seed=0)
        model.compile("sgd", loss)
        target = np.array(y, np.float64 if loss == "mse" else np.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(np.ones((4, 2)), target, class_weight=class_weight, verbose=0)

    @pytest.mark.parametrize(
        ("class_weight", "message"),
        [
            ({3: 1.0}, r"class_weight must have labels in \[0, 2\] as keys. Received: 3"),
            ({300_000_000: 1.0}, "class_weight must have labels in"),
            ({0.5: 1.0}, "class_weight must have labels in"),
            ({-1: 1.0}, "class_weight must have labels in"),
            ({"a": 1.0}, "class_weight must have labels in"),
            ({0: -1.0}, "class_weight must be at least 0"),
            ({0: "no"}, "class_weight must be at least 0"),
            ([1.0, 2.0, 3.0], "class_weight must be a dict"),
        ],
    )
    def test_bad_ones_are_named(self, class_weight, message):
        with pytest.raises(ValueError, match=message):
            self.fit(class_weight)

    @pytest.mark.parametrize("y", [(0.5, 1, 2, 0), (-1, 1, 0, 0)])
    def test_regression_has_no_classes(self, y):
        with pytest.raises(ValueError, match="class_weight must be None where y holds no classes"):
            self.fit({0: 1.0}, "mse", y)

    def test_good_ones(self):
        self.fit({0: 1.0, 2: 3})
        self.fit({np.int64(1): np.float32(2)}, "binary_crossentropy", (0, 1, 1, 0))

"""Losses, metrics, optimizers, initializers, regularizers against Keras 3's formulas."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.full(4, 1.2), 6)
LABELS = RNG.integers(0, 4, 6)
ONE_HOT = np.eye(4)[LABELS]
Z = RNG.normal(size=(6, 4))
T = RNG.normal(size=(6, 4))
B = RNG.integers(0, 2, (6, 4)).astype(float)


def smooth(t, s):
    return t * (1 - s) + s / t.shape[1]


def ce(t, p):
    return -(t * np.log(p)).sum(axis=1)


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def bce(t, p):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=1)


LO = df.losses
CASES = [
    (LO.SparseCategoricalCrossentropy(), LABELS, P, ce(ONE_HOT, P)),
    (LO.SparseCategoricalCrossentropy(from_logits=True), LABELS, Z, ce(ONE_HOT, softmax(Z))),
    (LO.CategoricalCrossentropy(label_smoothing=0.2), ONE_HOT, P, ce(smooth(ONE_HOT, 0.2), P)),
    (LO.BinaryCrossentropy(), B, P, bce(B, P)),
    (LO.BinaryCrossentropy(from_logits=True), B, Z, bce(B, 1 / (1 + np.exp(-Z)))),
    (LO.BinaryCrossentropy(label_smoothing=0.2), B, P, bce(B * 0.8 + 0.1, P)),
    (LO.MeanSquaredError(), T, Z, ((Z - T) ** 2).mean(axis=1)),
    (LO.MeanAbsoluteError(), T, Z, abs(Z - T).mean(axis=1)),
    (
        LO.Huber(0.7),
        T,
        Z,
        np.where(abs(Z - T) <= 0.7, (Z - T) ** 2 / 2, 0.7 * abs(Z - T) - 0.245).mean(axis=1),
    ),
]


@pytest.mark.parametrize(("loss", "true", "pred", "rows"), CASES, ids=lambda c: type(c).__name__)
def test_losses(loss, true, pred, rows):
    np.testing.assert_allclose(loss.call(true, pred), rows, rtol=1e-9)
    assert loss(true, pred) == pytest.approx(rows.mean())
    weights = np.linspace(0, 1, 6)
    assert loss(true, pred, weights) == pytest.approx((rows * weights).mean())
    again = type(loss).from_config(loss.get_config())
    assert repr(again) == repr(loss)


@pytest.mark.parametrize(("loss", "true", "pred", "rows"), CASES, ids=lambda c: type(c).__name__)
def test_gradients_of_losses(loss, true, pred, rows):
    weights = np.linspace(0.1, 1, 6)
    found = loss.gradient(true, pred, weights)
    numeric = np.empty_like(pred)
    for index in np.ndindex(pred.shape):
        moved = pred.copy()
        moved[index] += 1e-6
        above = (loss.call(true, moved) * weights).sum()
        moved[index] -= 2e-6
        numeric[index] = (above - (loss.call(true, moved) * weights).sum()) / 2e-6
    np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-7)


def test_functional_losses():
    assert np.allclose(LO.mean_squared_error([[1.0, 2.0]], [[2.0, 4.0]]), [2.5])
    assert np.allclose(LO.mean_absolute_error([[1]], [[3]]), [2.0])
    assert np.allclose(LO.huber([[0.0]], [[3.0]]), [2.5])
    assert np.allclose(LO.binary_crossentropy([[1.0]], [[0.5]]), [np.log(2)])
    assert np.allclose(LO.categorical_crossentropy(ONE_HOT, P), ce(ONE_HOT, P))
    assert np.allclose(LO.sparse_categorical_crossentropy(LABELS, P), ce(ONE_HOT, P))


@pytest.mark.parametrize(
    ("name", "cls"),
    [("mse", LO.MeanSquaredError), ("MAE", LO.MeanAbsoluteError), ("huber", LO.Huber)],
)
def test_names_of_losses(name, cls):
    assert type(LO.get(name)) is cls
    assert type(LO.get(cls)) is cls


M = df.metrics
METRICS = [
    (M.SparseCategoricalAccuracy(), LABELS, P, np.mean(P.argmax(1) == LABELS)),
    (M.CategoricalAccuracy(), ONE_HOT, P, np.mean(P.argmax(1) == LABELS)),
    (M.BinaryAccuracy(), B, P, np.mean((P > 0.5) == B)),
    (
        M.SparseTopKCategoricalAccuracy(2),
        LABELS,
        P,
        np.mean([label in row.argsort()[-2:] for label, row in zip(LABELS, P, strict=True)]),
    ),
    (
        M.TopKCategoricalAccuracy(3),
        ONE_HOT,
        P,
        np.mean([label in row.argsort()[-3:] for label, row in zip(LABELS, P, strict=True)]),
    ),
    (M.MeanSquaredError(), T, Z, ((Z - T) ** 2).mean()),
    (M.MeanAbsoluteError(), T, Z, abs(Z - T).mean()),
    (M.RootMeanSquaredError(), T, Z, np.sqrt(((Z - T) ** 2).mean())),
    (M.SparseCategoricalCrossentropy(), LABELS, P, ce(ONE_HOT, P).mean()),
    (M.CategoricalCrossentropy(), ONE_HOT, P, ce(ONE_HOT, P).mean()),
    (M.BinaryCrossentropy(), B, P, bce(B, P).mean()),
    (
        M.R2Score(),
        T,
        Z,
        np.mean(1 - ((Z - T) ** 2).sum(0) / ((T - T.mean(0)) ** 2).sum(0)),
    ),
    (M.Precision(), B, P, ((P > 0.5) & (B > 0.5)).sum() / (P > 0.5).sum()),
    (M.Recall(), B, P, ((P > 0.5) & (B > 0.5)).sum() / B.sum()),
]


@pytest.mark.parametrize(
    ("metric", "true", "pred", "value"), METRICS, ids=lambda m: getattr(m, "name", None)
)
def test_metrics_batch_by_batch(metric, true, pred, value):
    for _ in range(2):
        metric.reset_state()
        metric.update_state(true[:2], pred[:2])
        metric.update_state(true[2:], pred[2:])
        assert metric.result() == pytest.approx(value)
    assert repr(type(metric).from_config(metric.get_config())) == repr(metric)


@pytest.mark.parametrize(
    ("metric", "true", "pred", "value"), METRICS, ids=lambda m: getattr(m, "name", None)
)
def test_weights_of_metrics_repeat_rows(metric, true, pred, value):
    counts = np.array([1, 2, 0, 3, 1, 1])
    metric.reset_state()
    metric.update_state(np.repeat(true, counts, axis=0), np.repeat(pred, counts, axis=0))
    expected = metric.result()
    metric.reset_state()
    metric.update_state(true, pred, counts)
    assert metric.result() == pytest.approx(expected)


def test_metrics_of_nothing_are_zero():
    for metric, *_ in METRICS:
        metric.reset_state()
        assert metric.result() == 0.0


def test_the_mean_of_values():
    mean = M.Mean()
    mean.update_state([1.0, 2.0])
    mean.update_state(6.0)
    assert mean.result() == 3.0


def test_accuracy_takes_the_form_of_the_loss():
    pick = M.for_loss
    assert type(pick("accuracy", LO.SparseCategoricalCrossentropy(), 3)) is (
        M.SparseCategoricalAccuracy
    )
    assert type(pick("acc", LO.CategoricalCrossentropy(), 3)) is M.CategoricalAccuracy
    # Keras 3 goes by shapes: only a single unit is binary.
    assert type(pick("accuracy", LO.BinaryCrossentropy(), 3)) is M.CategoricalAccuracy
    assert type(pick("accuracy", LO.BinaryCrossentropy(), 1)) is M.BinaryAccuracy
    assert type(pick("accuracy", LO.MeanSquaredError(), 1)) is M.BinaryAccuracy
    assert pick("acc", LO.CategoricalCrossentropy(), 3).name == "acc"


def test_a_metric_must_return_one_value_a_row():
    metric = M.get(lambda y_true, y_pred: np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"metric '<lambda>' must return one value a row, shape"):
        metric.update_state(np.ones(6), P)


OPTIMIZERS = {
    "sgd": (df.optimizers.SGD(0.1), 0),
    "momentum": (df.optimizers.SGD(0.1, momentum=0.9), 1),
    "adam": (df.optimizers.Adam(), 2),
    "amsgrad": (df.optimizers.Adam(amsgrad=True), 3),
    "adamw": (df.optimizers.AdamW(), 2),
    "rmsprop": (df.optimizers.RMSprop(), 1),
    "all of rmsprop": (df.optimizers.RMSprop(momentum=0.5, centered=True), 3),
}


@pytest.mark.parametrize(("optimizer", "slots"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_state_and_configs_of_optimizers(optimizer, slots):
    optimizer.build([np.ones(3), np.ones((2, 2))])
    assert len(optimizer.state) == slots
    assert all(slot[1].shape == (2, 2) for slot in optimizer.state)
    again = type(optimizer).from_config(optimizer.get_config())
    assert repr(again) == repr(optimizer)
    assert again.spec() == optimizer.spec()


def test_defaults_are_keras():
    spec = df.optimizers.AdamW().spec()
    assert spec == {
        "name": "adamw",
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "amsgrad": False,
        "weight_decay": 0.004,
    }
    assert df.optimizers.SGD().learning_rate == 0.01
    assert df.optimizers.RMSprop().learning_rate == 0.001


def test_clipping():
    gradients = [np.array([3.0, 4.0]), np.array([12.0])]
    each = df.optimizers.SGD(clipnorm=1.0).clip(gradients)
    together = df.optimizers.SGD(global_clipnorm=6.5).clip(gradients)
    value = df.optimizers.SGD(clipvalue=3.5).clip(gradients)
    np.testing.assert_allclose(np.concatenate(each), [0.6, 0.8, 1.0])
    np.testing.assert_allclose(np.concatenate(together), [1.5, 2.0, 6.0])
    np.testing.assert_allclose(np.concatenate(value), [3.0, 3.5, 3.5])


I = df.initializers  # noqa: E741
SPREADS = [
    (I.GlorotUniform(0), np.sqrt(2 / 500)),
    (I.GlorotNormal(0), np.sqrt(2 / 500)),
    (I.HeUniform(0), np.sqrt(2 / 200)),
    (I.HeNormal(0), np.sqrt(2 / 200)),
    (I.LecunUniform(0), np.sqrt(1 / 200)),
    (I.LecunNormal(0), np.sqrt(1 / 200)),
    (I.RandomNormal(stddev=0.3, seed=0), 0.3),
    (I.RandomUniform(-1, 1, seed=0), np.sqrt(1 / 3)),
    (I.TruncatedNormal(stddev=1.0, seed=0), 0.8796),
    (I.VarianceScaling(2.0, "fan_out", "untruncated_normal", seed=0), np.sqrt(2 / 300)),
]


@pytest.mark.parametrize(("initializer", "spread"), SPREADS, ids=lambda i: type(i).__name__)
def test_initializers_have_their_variance(initializer, spread):
    w = initializer((200, 300), "float64")
    assert w.std() == pytest.approx(spread, rel=0.02)
    assert abs(w.mean()) < 0.02 * spread * 2
    assert np.array_equal(w, initializer((200, 300), "float64"))
    assert np.array_equal(
        w, type(initializer).from_config(initializer.get_config())((200, 300), "float64")
    )


def test_constant_initializers():
    assert I.get("zeros")((2,)).tolist() == [0.0, 0.0]
    assert I.get("ones")((2,)).tolist() == [1.0, 1.0]
    assert I.Constant(3)((1,)).tolist() == [3.0]


def test_penalties_and_constraints():
    w = np.array([[3.0, -0.3], [-4.0, 0.4]])
    assert df.regularizers.L1(0.5)(w) == pytest.approx(3.85)
    assert df.regularizers.L2(0.5)(w) == pytest.approx(12.625)
    gradient = df.regularizers.L1L2(1.0, 10.0).gradient(w)
    np.testing.assert_allclose(gradient, np.sign(w) + 20 * w)
    limited = df.constraints.MaxNorm(1.0)(w)
    np.testing.assert_allclose(np.linalg.norm(limited, axis=0), [1.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(df.constraints.UnitNorm()(w), axis=0), 1, rtol=1e-6)
    assert df.constraints.NonNeg()(w).min() == 0.0
    assert repr(df.constraints.get("max_norm")) == "MaxNorm()"


@pytest.mark.parametrize(
    "constraint", ["unit_norm", "non_neg", df.constraints.MaxNorm(1.0, axis=1)]
)
def test_constraints_hold_in_training(constraint, data):
    layer = df.layers.Dense(3, "softmax", kernel_constraint=constraint)
    model = df.Sequential([layer], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(*data, epochs=1, verbose=0)
    again = df.constraints.get(constraint)(layer.kernel)
    np.testing.assert_allclose(layer.kernel, again, rtol=1e-5)

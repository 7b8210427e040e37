"""Metrics that count rows by their weights, beside those that don't; losses given as functions."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df

L = df.layers


def classifier(metrics=("accuracy",), weighted=("accuracy",), rate=0.0, stepwise=()):
    layers = [L.Dropout(rate)] if rate else []
    model = df.Sequential([*layers, *stepwise, L.Dense(3, "softmax")], seed=1)
    model.compile(
        df.optimizers.SGD(0.0),
        "sparse_categorical_crossentropy",
        metrics=list(metrics),
        weighted_metrics=list(weighted),
    )
    return model


@pytest.fixture
def weights():
    return np.random.default_rng(3).uniform(0, 3, 200)


def shares(model, x, y, weights):
    right = model.predict(x).argmax(axis=1) == y
    return right.mean(), (right * weights).sum() / weights.sum()


def test_evaluate_weighs_the_weighted_ones_only(data, weights):
    model = classifier()
    logs = model.evaluate(*data, sample_weight=weights, return_dict=True)
    plain, weighted = shares(model, *data, weights)
    assert list(logs) == ["loss", "accuracy", "weighted_accuracy"]
    assert model.metrics_names == list(logs)
    assert logs["accuracy"] == pytest.approx(plain)
    assert logs["weighted_accuracy"] == pytest.approx(weighted, rel=1e-6)
    assert abs(plain - weighted) > 1e-3


@pytest.mark.parametrize("stepwise", [(), (L.LayerNormalization(scale=False, center=False),)])
def test_training_and_validation_weigh_alike(stepwise, data, weights):
    model = classifier(stepwise=stepwise)
    history = model.fit(
        *data,
        batch_size=32,
        sample_weight=weights,
        class_weight={1: 2.0},
        validation_data=(*data, weights),
        verbose=0,
    ).history
    by_class = np.where(data[1] == 1, 2.0, 1.0)
    plain, weighted = shares(model, *data, weights * by_class)
    assert history["accuracy"][0] == pytest.approx(plain)
    assert history["weighted_accuracy"][0] == pytest.approx(weighted, rel=1e-6)
    assert history["val_weighted_accuracy"][0] == pytest.approx(shares(model, *data, weights)[1])


def test_a_name_that_is_free_stays(data, weights):
    model = classifier(
        metrics=(), weighted=["accuracy", df.metrics.SparseCategoricalCrossentropy()]
    )
    model.fit(*data, sample_weight=weights, verbose=0)
    assert model.metrics_names == ["loss", "accuracy", "sparse_categorical_crossentropy"]
    _, accuracy, _ = model.evaluate(*data)
    assert accuracy == pytest.approx(shares(model, *data, np.ones(200))[1])


def test_they_come_back_from_a_file(data, weights, tmp_path):
    model = classifier()
    model.fit(*data, verbose=0)
    model.save(tmp_path / "m.safetensors")
    again = df.load_model(tmp_path / "m.safetensors")
    arguments = {"sample_weight": weights, "return_dict": True}
    assert again.evaluate(*data, **arguments) == model.evaluate(*data, **arguments)


@pytest.mark.parametrize(
    ("weighted", "message"),
    [
        ("mae", "weighted_metrics must be a list. Received: weighted_metrics='mae'"),
        (["accuracyy"], "metric must be an object of that kind or one of"),
    ],
)
def test_bad_ones_leave_the_model_as_it_was(weighted, message):
    model = classifier()
    before = model.loss
    with pytest.raises(ValueError, match=message):
        model.compile("sgd", "mse", weighted_metrics=weighted)
    assert model.loss is before


def test_a_name_twice_is_named():
    model = classifier(metrics=(), weighted=["accuracy", "accuracy", "accuracy"])
    model.build((None, 6))
    with pytest.raises(ValueError, match="Received: 'weighted_accuracy' twice"):
        _ = model.metrics


@pytest.mark.parametrize(
    "function", [df.losses.mean_squared_error, df.losses.binary_crossentropy, df.losses.huber]
)
def test_functions_of_the_package_stand_for_their_losses(function):
    found, named = df.losses.get(function), df.losses.get(function.__name__)
    assert type(found) is type(named)
    assert found.get_config() == named.get_config()


def test_functions_without_a_gradient_are_refused():
    with pytest.raises(
        ValueError, match=r"loss must have a gradient: .*with call\(.*\) and gradient\(.*Received"
    ):
        classifier().compile("sgd", lambda y_true, y_pred: (y_true - y_pred) ** 2)

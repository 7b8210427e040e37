"""Models with several inputs and outputs: lists and dicts of arrays, losses, metrics."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df

L = df.layers


def make(form="list", seed=0):
    """Two inputs; classes and a number come out."""
    a, b = df.Input(3, name="a"), df.Input((2, 2), name="b")
    h = L.Concatenate()([L.Dense(8, "relu")(a), L.Dense(8, "relu")(L.Flatten()(b))])
    h = L.Dropout(0.2)(h)
    kind = L.Dense(3, "softmax", name="kind")(h)
    size = L.Dense(1, name="size")(h)
    inputs = [a, b] if form == "list" else {"a": a, "b": b}
    outputs = [kind, size] if form == "list" else {"kind": kind, "size": size}
    return df.Model(inputs, outputs, seed=seed)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(80, 3)), "b": rng.normal(size=(80, 2, 2))}
    y = {"kind": rng.integers(0, 3, 80), "size": rng.normal(size=80)}
    return x, y


LOSSES = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
METRICS = {"kind": ["accuracy"], "size": "mae"}


def as_list(named):
    return list(named.values())


def compiled(form="list", **settings):
    model = make(form)
    loss, metrics = (as_list(LOSSES), as_list(METRICS)) if form == "list" else (LOSSES, METRICS)
    model.compile("adam", loss, metrics=metrics, **settings)
    return model


def test_lists_and_dicts_are_the_same_model(data):
    x, y = data
    logs = []
    for form in ("list", "dict"):
        model = compiled(form)
        given = (x, y) if form == "dict" else (as_list(x), as_list(y))
        history = model.fit(*given, epochs=2, verbose=0, validation_split=0.25)
        logs.append(history.history)
        told = model.predict(given[0])
        assert isinstance(told, dict if form == "dict" else list)
        kind, size = told.values() if form == "dict" else told
        assert kind.shape == (80, 3)
        assert size.shape == (80, 1)
        assert np.allclose(kind.sum(axis=1), 1)
    assert logs[0] == logs[1]
    assert list(logs[0])[:4] == ["loss", "kind_loss", "size_loss", "kind_accuracy"]


def test_the_loss_is_the_weighted_sum_of_the_outputs_losses(data):
    x, y = data
    model = compiled("dict", loss_weights={"kind": 1.0, "size": 0.25})
    model.fit(x, y, epochs=1, verbose=0)
    logs = model.evaluate(x, y, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["kind_loss"] + 0.25 * logs["size_loss"])
    told = model.predict(x)
    mse = float(((told["size"][:, 0] - y["size"]) ** 2).mean())
    assert logs["size_loss"] == pytest.approx(mse, rel=1e-5)
    nll = -np.log(told["kind"][np.arange(80), y["kind"]]).mean()
    assert logs["kind_loss"] == pytest.approx(nll, rel=1e-5)
    assert logs["kind_accuracy"] == pytest.approx((told["kind"].argmax(1) == y["kind"]).mean())


def test_an_output_without_loss_is_not_trained_and_needs_no_targets(data):
    x, y = data
    model = make("dict")
    model.compile("adam", {"kind": LOSSES["kind"], "size": None})
    before = model.get_layer("size").get_weights()
    model.fit(x, {"kind": y["kind"]}, epochs=1, verbose=0)
    after = model.get_layer("size").get_weights()
    assert np.array_equal(before[0], after[0])


def test_monte_carlo_and_explanations_and_files(data, tmp_path):
    x, y = data
    model = compiled("dict", loss_weights={"kind": 1.0, "size": 0.25})
    model.fit(x, y, epochs=1, verbose=0)
    told = model.predict_mc(x, samples=4, return_samples=True)
    assert told["size"].mean.shape == (80, 1)
    assert told["kind"].samples.shape == (4, 80, 3)
    assert np.allclose(told["kind"].samples.mean(axis=0), told["kind"].mean, atol=1e-6)
    assert len(model.explain_dropout(x, step=0)) == 1
    model.save(tmp_path / "m.safetensors")
    again = df.load_model(tmp_path / "m.safetensors")
    assert np.array_equal(again.predict(x)["kind"], model.predict(x)["kind"])
    for one in (model, again):
        one.fit(x, y, epochs=2, initial_epoch=1, verbose=0)
    assert again.evaluate(x, y) == model.evaluate(x, y)


def test_batches_of_a_generator_and_a_subclass(data):
    x, y = data

    class Two(df.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.mix, self.kind, self.size = L.Concatenate(), L.Dense(3, "softmax"), L.Dense(1)

        def call(self, inputs, training=None):
            h = self.mix([inputs["a"], L.Flatten()(inputs["b"])])
            return {"kind": self.kind(h), "size": self.size(h)}

    def batches():
        while True:
            yield {k: v[:20] for k, v in x.items()}, {k: v[:20] for k, v in y.items()}

    model = Two(seed=1)
    model.compile("sgd", LOSSES)
    history = model.fit(batches(), steps_per_epoch=3, epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    assert set(model.predict(x)) == {"kind", "size"}


def test_gradients_of_both_outputs(data):
    x, y = data
    a, b = df.Input(3, name="a"), df.Input((2, 2), name="b")
    shared = L.Dense(3, "tanh")
    u, v = shared(a), shared(L.Dense(3)(L.Flatten()(b)))
    outputs = {"kind": L.Softmax()(u - v), "size": L.Dense(1)(u * v)}
    model = df.Model([a, b], outputs, seed=0, dtype="float64")
    model.compile(df.optimizers.SGD(1e-3), LOSSES, loss_weights={"kind": 0.5, "size": 2.0})
    before = model.get_weights()
    model.train_on_batch(x, y)
    steps = [(new - old) / -1e-3 for new, old in zip(model.get_weights(), before, strict=True)]
    for i, step in enumerate(steps):
        for j in range(step.size):
            values = []
            for sign in (1, -1):
                moved = [array.copy() for array in before]
                moved[i].ravel()[j] += sign * 1e-6
                model.set_weights(moved)
                values.append(model.evaluate(x, y, return_dict=True)["loss"])
            slope = (values[0] - values[1]) / 2e-6
            assert slope == pytest.approx(step.ravel()[j], rel=1e-4, abs=1e-7)


X_OF = {
    "missing input": (lambda x: {"a": x["a"]}, "Received: a dict without 'b'"),
    "unknown input": (lambda x: {**x, "c": x["a"]}, "Received: a dict with 'c'"),
    "one array": (lambda x: x["a"], "must be a list of 2 arrays"),
    "rows": (lambda x: {**x, "a": x["a"][:3]}, "rows in each array. Received: a 3, b 80"),
    "shape": (lambda x: {**x, "a": x["b"]}, r"x\['a'\] must have shape"),
    "NaN": (lambda x: {**x, "a": x["a"] * np.nan}, r"x\['a'\] must be finite"),
}
Y_OF = {
    "missing": (lambda y: {"kind": y["kind"]}, "dict without 'size'"),
    "one array": (lambda y: y["size"], "y must be a list of 2 arrays"),
    "shape": (lambda y: {**y, "size": np.ones((80, 2))}, r"y\['size'\] must have shape"),
    "label": (lambda y: {**y, "kind": y["kind"] + 7}, r"y\['kind'\] must hold labels"),
}
SETTINGS = {
    "missing loss": ({"loss": {"kind": "mse"}}, "loss must have .*without 'size'"),
    "no loss": ({"loss": [None, None]}, "loss must be given for one output"),
    "loss count": ({"loss": ["mse"]}, "loss must be a list of 2"),
    "weights": ({"loss_weights": ["a", 1]}, "loss_weights must be numbers"),
    "metrics": ({"metrics": {"other": "mae"}}, "Received: 'other'"),
    "metric count": ({"metrics": ["mae"]}, "one entry for each"),
}
WRONG = {
    **{f"x: {k}": (lambda m, x, y, f=f: m.fit(f(x), y), text) for k, (f, text) in X_OF.items()},
    **{f"y: {k}": (lambda m, x, y, f=f: m.fit(x, f(y)), text) for k, (f, text) in Y_OF.items()},
    **{
        k: (lambda m, x, y, given=given: m.compile("sgd", **{"loss": LOSSES, **given}), text)
        for k, (given, text) in SETTINGS.items()
    },
    "class_weight": (lambda m, x, y: m.fit(x, y, class_weight={0: 1.0}), "must be None"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_wrong_structures_are_named_and_change_nothing(wrong, message, data):
    x, y = data
    model = compiled("dict")
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        wrong(model, x, y)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.fit(x, y, epochs=1, verbose=0)


def test_metrics_in_the_third_place_are_taken_with_a_warning():
    model = df.Sequential([df.Input(3), L.Dense(1)], seed=0)
    with pytest.warns(DeprecationWarning, match="give metrics by name"):
        model.compile("sgd", "mse", ["mae"])
    assert len(model.metrics) == 1
    model.compile("sgd", "mse", [2.0])
    x, y = np.ones((4, 3)), np.zeros((4, 1))
    weighted = model.evaluate(x, y)
    model.compile("sgd", "mse")
    assert weighted == pytest.approx(2 * model.evaluate(x, y))

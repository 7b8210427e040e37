"""Penalties on the outputs of layers, of the mean row as in Keras 3."""

import numpy as np
import pytest

import dropfast as df

L = df.layers
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 2))


def make(penalized):
    hidden = [L.Dense(4, "tanh"), L.ActivityRegularization(0.3, 0.2)]
    if penalized == "dense":
        hidden = [L.Dense(4, "tanh", activity_regularizer=df.regularizers.L1L2(0.3, 0.2))]
    if penalized == "nothing":
        hidden = [L.Dense(4, "tanh")]
    last = L.Dense(2, activity_regularizer="l2") if penalized == "outputs" else L.Dense(2)
    model = df.Sequential([*hidden[:1], *hidden[1:], last], seed=0, dtype="float64")
    model.build((None, 3))
    model.compile(df.optimizers.SGD(0.01), "mse")
    return model


def value(model, x, y):
    """The loss with penalties, by hand."""
    kernel, bias, kernel2, bias2 = model.weights
    hidden = np.tanh(x @ kernel + bias)
    outputs = hidden @ kernel2 + bias2
    loss = ((outputs - y) ** 2).mean()
    penalty = 0.3 * abs(hidden).sum() + 0.2 * (hidden**2).sum()
    if model.layers[-1].activity_regularizer is not None:
        penalty += 0.01 * (outputs**2).sum()
    return loss + penalty / len(x)


@pytest.mark.parametrize("penalized", ["layer", "dense", "outputs"])
def test_values_and_gradients(penalized):
    model = make(penalized)
    assert model.evaluate(X, Y) == pytest.approx(value(model, X, Y))
    assert model.evaluate(X, Y, batch_size=5, steps=2) == pytest.approx(
        value(model, X[:10], Y[:10])
    )
    before = model.get_weights()
    loss = model.train_on_batch(X, Y)
    moved = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
    model.set_weights(before)
    assert loss == pytest.approx(value(model, X, Y))
    for weight, move in zip(model.weights, moved, strict=True):
        for place in np.ndindex(weight.shape):
            old, values = weight[place], []
            for shift in (1e-6, -1e-6):
                weight[place] = old + shift
                values.append(value(model, X, Y))
            weight[place] = old
            slope = (values[0] - values[1]) / 2e-6
            assert move[place] == pytest.approx(0.01 * slope, rel=1e-5, abs=1e-9)


def test_training_goes_down_and_files_keep_it(tmp_path):
    for penalized in ("layer", "dense"):
        model = make(penalized)
        history = model.fit(X, Y, epochs=5, batch_size=4, verbose=0, validation_data=(X, Y)).history
        assert history["val_loss"][-1] == pytest.approx(value(model, X, Y))
        assert history["val_loss"][-1] < history["val_loss"][0]
        model.save(tmp_path / "m")
        assert df.load_model(tmp_path / "m").evaluate(X, Y) == model.evaluate(X, Y)
        lines = []
        model.summary(print_fn=lines.append)
        assert "Runs layer by layer" in "\n".join(lines)


def test_penalties_that_are_set_later_act():
    model = make("dense")
    plain = make("nothing").evaluate(X, Y)
    assert model.evaluate(X, Y) > plain
    model.layers[0].activity_regularizer = None
    assert model.evaluate(X, Y) == pytest.approx(plain)
    model = make("layer")
    model.layers[1].l1 = model.layers[1].l2 = 0.0
    assert model.evaluate(X, Y) == pytest.approx(plain)


def test_softmax_with_a_penalty_and_positions():
    model = df.Sequential([L.Dense(3, "softmax", activity_regularizer="l2")], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = np.arange(12) % 3
    found = model.evaluate(X, labels)[0]
    p = model.predict(X).astype(np.float64)
    penalty = 0.01 * (p**2).sum(axis=1).mean()
    assert found == pytest.approx(penalty - np.log(p[np.arange(12), labels]).mean(), rel=1e-5)
    assert model.train_on_batch(X, labels)[0] == pytest.approx(found, rel=1e-5)
    layer = L.Dense(3, None, True, "ones", "zeros", "l1", "l2", "l1", "non_neg", "max_norm")
    assert type(layer.activity_regularizer) is df.regularizers.L1
    with pytest.raises(ValueError, match="activity_regularizer"):
        L.Dense(3, activity_regularizer="l3")
    with pytest.raises(ValueError, match="l1 must be"):
        L.ActivityRegularization(-1)

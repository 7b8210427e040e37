"""Models as graphs: symbolic tensors, subclasses with `call`, merging, nesting, files."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from graphs import Block, compiled, residual

import dropfast as df
from dropfast.training.engine import Native
from dropfast.training.stepwise import Stepwise

L = df.layers


class Article(df.Model):
    """The network of the articles: one Dropout object at four places, once without `training`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_layer = L.Flatten()
        self.hidden1 = L.Dense(20, activation="relu")
        self.hidden2 = L.Dense(10, activation="relu")
        self.hidden3 = L.Dense(6, activation="relu")
        self.output_layer = L.Dense(3, activation="softmax")
        self.dropout_layer = L.Dropout(rate=0.2)

    def call(self, input, training=None):
        x = self.input_layer(input)
        x = self.dropout_layer(x)
        x = self.hidden1(x)
        x = self.dropout_layer(x, training=training)
        x = self.hidden2(x)
        x = self.dropout_layer(x, training=training)
        x = self.hidden3(x)
        x = self.dropout_layer(x, training=training)
        return self.output_layer(x)


def as_sequential(seed):
    widths = (20, 10, 6)
    hidden = [part for n in widths for part in (L.Dropout(0.2), L.Dense(n, "relu"))]
    return df.Sequential([L.Flatten(), *hidden, L.Dropout(0.2), L.Dense(3, "softmax")], seed=seed)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.random((90, 5, 4)), rng.integers(0, 3, 90)


def same_weights(a, b):
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def test_the_articles_subclass_is_the_sequential_bit_by_bit_on_the_native_engine(data):
    x, y = data
    own, row = compiled(Article(seed=3)), compiled(as_sequential(3))
    for model in (own, row):
        model.fit(x, y, epochs=3, verbose=0, validation_data=(x, y))
    assert type(own.engine()) is Native
    assert same_weights(own, row)
    assert own.evaluate(x, y) == row.evaluate(x, y)
    masks = own.explain_dropout(x, step=2)
    assert [entry.place for entry in masks] == [1, 3, 5, 7]
    assert all(
        np.array_equal(a.kept, b.kept)
        for a, b in zip(masks, row.explain_dropout(x, step=2), strict=True)
    )
    a, b = own.predict_mc(x, samples=5), row.predict_mc(x, samples=5)
    assert np.array_equal(a.std, b.std)
    assert (a.std > 0).any()


def test_functional_chain_is_the_sequential_bit_by_bit(data):
    x, y = data
    at = start = df.Input((5, 4))
    for layer in as_sequential(3).layers:
        at = layer(at)
    model, row = compiled(df.Model(start, at, seed=3)), compiled(as_sequential(3))
    for one in (model, row):
        one.fit(x, y, epochs=2, verbose=0)
    assert type(model.engine()) is Native
    assert same_weights(model, row)


def test_composite_layers_are_what_they_call():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)
    plain, made = compiled(residual()), compiled(residual(composite=True))
    for model in (plain, made):
        model.fit(x, y, epochs=2, verbose=0)
    assert same_weights(plain, made)
    assert [type(layer).__name__ for layer in made.layers] == ["Dense", "Block", "Block", "Dense"]
    assert made.layers[1].count_params() == 72


def test_gradients_of_a_graph_with_shared_layers_and_values():
    shared = L.Dense(4, "tanh")
    start = df.Input((4,))
    a, b = L.Dense(4)(start), L.Dense(4, "sigmoid")(start)
    u, v = shared(a), shared(b)
    w = L.Concatenate()(
        [u * v, u - v, L.Maximum()([u, v]), L.Average()([u, v]), L.Minimum()([u, b])]
    )
    w = L.Add()([w, L.Dense(20)(u), L.Dense(20)(w)])
    out = L.Dense(1)(L.Concatenate()([w, L.Dot(axes=1, normalize=True)([u, v]), -u / 2 + 1.0]))
    model = df.Model(start, out, seed=0, dtype="float64")
    model.compile("sgd", "mse")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 4)), rng.normal(size=(7, 1))
    before = model.get_weights()
    model.optimizer.learning_rate = 1e-3
    model.train_on_batch(x, y)
    steps = [(new - old) / -1e-3 for new, old in zip(model.get_weights(), before, strict=True)]
    for i, step in enumerate(steps):
        flat = np.zeros(step.size)
        for j in range(step.size):
            values = []
            for sign in (1, -1):
                moved = [array.copy() for array in before]
                moved[i].ravel()[j] += sign * 1e-6
                model.set_weights(moved)
                values.append(model.evaluate(x, y))
            flat[j] = (values[0] - values[1]) / 2e-6
        assert np.allclose(flat, step.ravel(), rtol=1e-5, atol=1e-7), i


def test_training_given_to_a_layer_is_kept():
    class Always(df.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dropout, self.dense = L.Dropout(0.5), L.Dense(2)

        def call(self, x):
            return self.dense(self.dropout(x, training=True))

    x = np.ones((4, 50))
    model = Always(seed=0)
    first, second = model.predict(x), model.predict(x)
    assert not np.array_equal(first, second)
    assert type(model.engine()) is Stepwise
    again = Always(seed=0)
    assert np.array_equal(first, again.predict(x))
    start = df.Input((50,))
    off = df.Model(start, L.Dense(2)(L.Dropout(0.5)(start, training=False)), seed=0)
    assert np.array_equal(off(x, training=True), off.predict(x))
    assert not off.plan.stochastic


def test_a_monte_carlo_dropout_class_acts_at_inference():
    class MCDropout(L.Dropout):
        def call(self, inputs):
            return super().call(inputs, training=True)

    x = np.ones((4, 50))
    model = df.Sequential([MCDropout(0.5), L.Dense(2)], seed=0)
    assert not np.array_equal(model.predict(x), model.predict(x))
    assert (MCDropout(0.5)(x) == 0).any()


def test_dropout_under_an_if_is_the_same_graph():
    class Under(df.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dropout, self.dense = L.Dropout(0.5), L.Dense(2)

        def call(self, x, training=False):
            if training:
                x = self.dropout(x, training=True)
            return self.dense(x)

    model = Under(seed=0)
    model.build((None, 6))
    assert type(model.engine()) is Native
    x = np.ones((3, 6))
    assert np.array_equal(model.predict(x), model.predict(x))
    assert not np.array_equal(model(x, training=True), model.predict(x))


def test_two_graphs_where_call_says_two_things():
    class Two(df.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.a, self.b = L.Dense(2, kernel_initializer="ones"), L.Dense(2)

        def call(self, x, training=None):
            return self.b(x) if training else self.a(x)

    model = Two(seed=0)
    assert model.predict(np.ones((1, 3))).tolist() == [[3.0, 3.0]]
    assert model(np.ones((1, 3)), training=True).tolist() != [[3.0, 3.0]]


def test_nested_models_are_part_of_the_graph(data):
    x, y = data
    inner = df.Sequential([L.Flatten(), L.Dropout(0.2), L.Dense(20, "relu")], name="inner")
    outer = df.Sequential([inner, L.Dropout(0.2), L.Dense(3, "softmax")], seed=3)
    row = df.Sequential(
        [*inner.layers[:2], L.Dense(20, "relu"), *outer.layers[1:2], L.Dense(3, "softmax")], seed=3
    )
    for model in (compiled(outer), compiled(row)):
        model.fit(x, y, epochs=1, verbose=0)
    assert same_weights(outer, row)
    assert outer.get_layer("inner") is inner
    start = df.Input((5, 4))
    functional = df.Model(start, outer(start), seed=0)
    assert np.array_equal(functional.predict(x), outer.predict(x))
    inner.trainable = False
    before = functional.get_weights()
    compiled(functional).fit(x, y, epochs=1, verbose=0)
    after = functional.get_weights()
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])


@pytest.mark.parametrize("make", [lambda: Article(seed=3), as_sequential, residual])
def test_files_pickle_and_resumption(make, data, tmp_path):
    x, y = data
    model = make() if make is not as_sequential else as_sequential(3)
    if make is residual:
        x = x.reshape(90, -1)[:, :6]
    compiled(model).fit(x, y, epochs=2, verbose=0)
    path = tmp_path / "m.safetensors"
    model.save(path)
    copies = (
        [df.load_model(path), pickle.loads(pickle.dumps(model))]
        if make is not Article
        else [df.load_model(path)]
    )
    model.fit(x, y, epochs=4, initial_epoch=2, verbose=0)
    for copy in copies:
        assert copy.name == model.name
        copy.fit(x, y, epochs=4, initial_epoch=2, verbose=0)
        assert same_weights(copy, model)
        assert np.array_equal(copy.predict(x), model.predict(x))
    assert "dense" in model._repr_html_()
    model.summary(print_fn=lambda line: None)
    weights = tmp_path / "w.safetensors"
    model.save_weights(weights)
    copies[0].load_weights(weights)


X = df.Input((4,), name="x")
WRONG = {
    "if": (lambda x: L.Dense(1)(x) if x else x, "has no values"),
    "comparison": (lambda x: L.Dense(1)(x) if x > 0 else x, "has no values"),
    "loop": (lambda x: list(x), "has no values"),
    "index": (lambda x: x[:, :2], "has no values"),
    "NumPy": (lambda x: np.mean(x), "has no values"),
    "array": (lambda x: x + np.ones(4), "must be a symbolic tensor or a number. Received: ndarray"),
    "mixed": (lambda x: L.Add()([x, np.ones((2, 4))]), "must be called on symbolic tensors alone"),
    "shapes": (
        lambda x: L.Add()([x, L.Dense(3)(x)]),
        r"shapes that merge. Received: shapes \(None, 4\), \(None, 3\)",
    ),
    "one": (lambda x: L.Add()(x), "must be called on a list of at least 2 tensors. Received: 1"),
    "three": (
        lambda x: L.Subtract()([x, x, x]),
        "on a list of 2 tensors. Received: 3",
    ),
    "many": (lambda x: L.Dense(2)([x, x]), "must be called on one tensor"),
    "axis": (lambda x: L.Concatenate(axis=2)([x, x]), "must have an axis 2"),
    "training": (
        lambda x: L.Dropout(0.5)(x, training=x),
        "has no values",
    ),
    "disconnected": (
        lambda x: df.Model(df.Input(4, name="z"), L.Dense(1)(x)),
        "inputs without <SymbolicTensor x",
    ),
    "idle input": (
        lambda x: df.Model([x, df.Input(4, name="z")], L.Dense(1)(x)),
        "z, .* which is disconnected",
    ),
    "outputs": (lambda x: df.Model(x, 3), "outputs must be symbolic tensors"),
    "no outputs": (lambda x: df.Model(x), "outputs must be given"),
    "nothing": (lambda x: df.Model(), "inputs and outputs must be given"),
    "dtype": (
        lambda x: df.Model(x, L.Dense(1, dtype="float64")(x)),
        "must be the model's, float32",
    ),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_what_makes_no_graph_is_refused(wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        wrong(X)


def test_a_model_inside_itself_is_a_cycle():
    class Loop(df.Model):
        def call(self, x):
            return self(x)

    with pytest.raises(ValueError, match=r"a graph must have no cycle. Received: 'loop'"):
        Loop().build((None, 3))


def test_call_must_return_symbolic_tensors():
    class Nothing(df.Model):
        def call(self, x):
            return None

    with pytest.raises(TypeError, match=r"call.. of 'nothing' must return what layers made"):
        Nothing().predict(np.ones((2, 3)))


def test_merge_layers_on_arrays_as_keras():
    a, b = np.array([[1.0, -2.0]]), np.array([[3.0, 0.5]])
    for name, right in {
        "Add": [[4.0, -1.5]],
        "Subtract": [[-2.0, -2.5]],
        "Multiply": [[3.0, -1.0]],
        "Average": [[2.0, -0.75]],
        "Maximum": [[3.0, 0.5]],
        "Minimum": [[1.0, -2.0]],
        "Concatenate": [[1.0, -2.0, 3.0, 0.5]],
    }.items():
        assert getattr(L, name)()([a, b]).tolist() == right
    assert L.Dot(1)([a, b]).tolist() == [[2.0]]
    layer = L.Add()
    layer([np.ones((2, 3)), np.ones((2, 1))])
    assert [part.shape for part in layer.backward(np.ones((2, 3)))] == [(2, 3), (2, 1)]


def test_composite_layers_on_arrays_go_back_too():
    block = Block(3)
    x = np.ones((2, 3))
    y = block(x, training=True)
    assert y.shape == (2, 3)
    assert block.backward(np.ones((2, 3))).shape == (2, 3)
    assert block.dense.gradients["kernel"].shape == (3, 3)
    assert len(block.get_weights()) == 2


def test_summary_and_drawing_say_what_is_connected():
    model, lines = residual(), []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "Connected to" in text
    assert "dense, dropout" in text
    assert "dense, dropout → add" in model._repr_html_()
    lines.clear()
    Article(seed=0).summary(print_fn=lines.append)
    assert "Connected to" not in "\n".join(lines)


def test_changed_attributes_act_in_graphs_from_the_next_step_on():
    x, y = np.ones((8, 6)), np.zeros(8, int)
    model = compiled(residual(composite=True))
    model.fit(x, y, epochs=1, verbose=0)
    model.layers[1].dropout.rate = 0.0
    model.layers[2].dropout.rate = 0.0
    assert np.array_equal(model(x, training=True), model.predict(x))

    class Switched(df.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.double, self.dense = False, L.Dense(2)

        def call(self, x):
            h = self.dense(x)
            return h + h if self.double else h

    switched = Switched(seed=0)
    once = switched.predict(x)
    switched.double = True
    np.testing.assert_allclose(switched.predict(x), 2 * once, rtol=1e-6)
    merged = L.Concatenate()
    with pytest.raises(ValueError, match="axis must be an integer other than 0"):
        merged.axis = 0
    assert merged.axis == -1


def test_idioms_of_keras_scripts(data):
    class Late(L.Layer):
        def build(self, input_shape):
            self.dense = L.Dense(input_shape[-1])
            super().build(input_shape)

        def call(self, x):
            return L.add([x, df.activations.relu(self.dense(x))])

    x, y = data
    start = df.Input(shape=(5, 4))
    h = Late(name="late")(L.Flatten()(start))
    model = compiled(df.models.Model(inputs=start, outputs=L.Dense(3, "softmax")(h), seed=0))
    model.fit(x, y, epochs=1, verbose=0)
    assert model.count_params() == 21 * 20 + 63
    assert Late()(x[:, 0]).shape == (90, 4)
    inner = df.Model(inputs=model.input, outputs=model.layers[1].dense.output)
    assert inner.predict(x).shape == (90, 20)
    last = model.layers[-1]
    np.testing.assert_allclose(
        last(df.Model(model.input, last.input).predict(x)), model.predict(x), rtol=1e-5, atol=1e-6
    )
    with pytest.raises(AttributeError, match="must be part of a built model"):
        _ = L.Dense(2).output
    assert L.concatenate([x[:, 0], x[:, 1]]).shape == (90, 8)

"""Every error of models: its message, and that nothing was changed."""

from __future__ import annotations

import re

import numpy as np
import pytest

import dropfast as df

L = df.layers
X = np.ones((10, 3), np.float32)
Y = np.arange(10) % 2


def model(compiled=True, built=True, loss="sparse_categorical_crossentropy", units=2, **more):
    made = df.Sequential([L.Dropout(0.5), L.Dense(units, "softmax")], seed=0, **more)
    if compiled:
        made.compile("adam", loss, metrics=["accuracy"])
    if built:
        made.build((None, 3))
    return made


def with_nan(array, row, value=np.nan):
    out = array.astype(np.float64)
    out.reshape(len(out), -1)[row, -1] = value
    return out


FIT = {
    "not compiled": (
        lambda: model(compiled=False),
        {"x": X, "y": Y},
        "model 'sequential' must be compiled: call compile first.",
    ),
    "no y": (model, {"x": X}, "y must be given. Received: y=None"),
    "no x": (model, {"y": Y}, "x must be given. Received: x=None"),
    "lengths": (
        model,
        {"x": X, "y": Y[:9]},
        "y must have as many rows as x, 10. Received: 9 rows",
    ),
    "scalar y": (model, {"x": X, "y": 3}, "y must have as many rows as x, 10. Received: a scalar"),
    "no rows": (model, {"x": X[:0], "y": Y[:0]}, "x must have at least one row. Received: 0 rows"),
    "shape": (
        model,
        {"x": np.ones((10, 4)), "y": Y},
        "x must have shape (None, 3). Received: shape (10, 4)",
    ),
    "vector": (model, {"x": np.ones(10), "y": Y}, "x must have a first axis of rows and at least"),
    "NaN in x": (
        model,
        {"x": with_nan(X, 7), "y": Y},
        "x must be finite. Received: NaN or infinity in row 7",
    ),
    "infinity in x": (
        model,
        {"x": with_nan(X, 0, -np.inf).astype(np.float32), "y": Y},
        "x must be finite. Received: NaN or infinity in row 0",
    ),
    "NaN in float16": (
        model,
        {"x": with_nan(X, 4).astype(np.float16), "y": Y},
        "x must be finite. Received: NaN or infinity in row 4",
    ),
    "NaN in y": (
        model,
        {"x": X, "y": with_nan(Y, 3)},
        "y must be finite. Received: NaN or infinity in row 3",
    ),
    "label too large": (
        model,
        {"x": X, "y": np.where(np.arange(10) == 6, 2, Y)},
        "y must hold labels in [0, 1]. Received: 2 in row 6",
    ),
    "negative label": (
        model,
        {"x": X, "y": np.where(np.arange(10) == 1, -1, Y)},
        "y must hold labels in [0, 1]. Received: -1 in row 1",
    ),
    "half a label": (
        model,
        {"x": X, "y": Y + 0.5},
        "y must hold labels in [0, 1]. Received: 0.5 in",
    ),
    "one-hot labels": (
        model,
        {"x": X, "y": np.eye(2)[Y]},
        "y must hold one label a row; rows of probabilities go with categorical_crossentropy.",
    ),
    "labels for one-hot": (
        lambda: model(loss="categorical_crossentropy"),
        {"x": X, "y": Y},
        "y must have shape (None, 2); labels go with sparse_categorical_crossentropy. Received",
    ),
    "batch size": (
        model,
        {"x": X, "y": Y, "batch_size": 0},
        "batch_size must be a positive integer. Received: batch_size=0",
    ),
    "epochs": (
        model,
        {"x": X, "y": Y, "epochs": -1},
        "epochs must be an integer >= 0. Received: epochs=-1",
    ),
    "verbose": (
        model,
        {"x": X, "y": Y, "verbose": 3},
        "verbose must be 'auto', 0, 1 or 2. Received: verbose=3",
    ),
    "validation split": (
        model,
        {"x": X, "y": Y, "validation_split": 1.0},
        "validation_split must be in [0, 1). Received: validation_split=1.0",
    ),
    "empty split": (
        model,
        {"x": X[:1], "y": Y[:1], "validation_split": 0.1},
        "validation_split must leave rows on both sides. Received: validation_split=0.1 of 1 rows",
    ),
    "validation data": (
        model,
        {"x": X, "y": Y, "validation_data": (X, Y, Y, Y)},
        "validation_data must be (x, y) or (x, y, sample_weight). Received: 4 entries",
    ),
    "validation labels": (
        model,
        {"x": X, "y": Y, "validation_data": (X, Y + 5)},
        "validation y must hold labels in [0, 1]. Received: 5 in row 0",
    ),
    "sample weights": (
        model,
        {"x": X, "y": Y, "sample_weight": np.ones(9)},
        "sample_weight must have shape (10,). Received: shape (9,)",
    ),
    "negative weight": (
        model,
        {"x": X, "y": Y, "sample_weight": -np.ones(10)},
        "sample_weight must be at least 0 and finite. Received: -1.0 in row 0",
    ),
    "class weights": (
        model,
        {"x": X, "y": Y, "class_weight": {0: -2.0}},
        "class_weight must be at least 0 and finite. Received: -2.0 for class 0",
    ),
    "callbacks": (
        model,
        {"x": X, "y": Y, "callbacks": [lambda: None]},
        "callbacks must hold dropfast.callbacks.Callback objects.",
    ),
    "generator and y": (
        model,
        {"x": iter([(X, Y)]), "y": Y},
        "y and sample_weight must come from the generator. Received: both kinds",
    ),
    "generator of arrays": (
        model,
        {"x": iter([X])},
        "a generator must yield tuples (x, y) or (x, y, sample_weight). Received: ndarray",
    ),
    "empty generator": (model, {"x": iter([])}, "x must yield at least one batch an epoch:"),
    "strings": (model, {"x": X.astype(str), "y": Y}, "x must hold numbers, not strings: "),
}


@pytest.mark.parametrize(("make", "arguments", "message"), FIT.values(), ids=FIT)
def test_fit_names_bad_input_and_changes_nothing(make, arguments, message):
    made = make()
    before = made.get_weights()
    with pytest.raises((ValueError, TypeError), match=r"\A" + re.escape(message)):
        made.fit(**{"verbose": 0, **arguments})
    assert all(np.array_equal(a, b) for a, b in zip(before, made.get_weights(), strict=True))
    assert not made.compiled or made.optimizer.iterations == 0


OTHERS = {
    "evaluate before compile": (
        lambda: model(compiled=False).evaluate(X, Y),
        "model 'sequential' must be compiled: call compile first.",
    ),
    "optimizer before compile": (
        lambda: model(compiled=False).optimizer,
        "model 'sequential' must be compiled: call compile first.",
    ),
    "summary of shapes": (
        lambda: model(built=False).output_shape,
        "model 'sequential' must be built: call build, fit or predict.",
    ),
    "weights before building": (
        lambda: model(built=False).set_weights([]),
        "model 'sequential' must be built: call build, fit or predict.",
    ),
    "number of weights": (
        lambda: model().set_weights([X]),
        "weights of model 'sequential' must be 2 arrays. Received: 1 arrays",
    ),
    "shape of weights": (
        lambda: model().set_weights([X, X]),
        "weights[0] of model 'sequential' (kernel) must have shape (3, 2). Received: shape (10, 3)",
    ),
    "no layers": (lambda: df.Sequential().build((None, 3)), "model must have layers before"),
    "no shape": (
        lambda: df.Sequential([L.Dense(1)]).build(),
        "input_shape must be given where no Input is. Received: None",
    ),
    "bad shape": (
        lambda: model(built=False).build((None, 0)),
        "input_shape must be (None, sizes...), sizes positive. Received: input_shape=(None, 0)",
    ),
    "other shape": (
        lambda: model().build((None, 4)),
        "input_shape must be (None, 3), for which the model is built.",
    ),
    "late input": (
        lambda: df.Sequential([L.Dense(1), L.Input(2)]),
        "an Input must be the first layer.",
    ),
    "pop of nothing": (lambda: df.Sequential().pop(), "model must have a layer to remove."),
    "unknown name": (
        lambda: model().get_layer("x"),
        "name must be one of dropout, dense. Received: name='x'",
    ),
    "unknown index": (
        lambda: model().get_layer(index=2),
        "index must be below 2. Received: index=",
    ),
    "name and index": (lambda: model().get_layer(), "one of name and index must be given."),
    "seed": (lambda: df.Sequential(seed=-1), "seed must be"),
    "dtype": (
        lambda: df.Sequential(dtype="float16"),
        "dtype must be 'float32', 'float64' or 'mixed_bfloat16'. Received: dtype='float16'",
    ),
    "dtype of a layer": (
        lambda: df.Sequential([L.Input(2), L.Dense(1, dtype="float64")]),
        "dtype of layer 'dense' must be the model's, float32. Received: dtype='float64'",
    ),
    "no loss": (lambda: model().compile("sgd"), "loss must be given. Received: loss=None"),
    "unknown loss": (
        lambda: model().compile("sgd", "mean"),
        "loss must be an object of that kind or one of binary_crossentropy, binary_focal_crossen",
    ),
    "unknown optimizer": (
        lambda: model().compile("sgdd", "mse"),
        "optimizer must be an object of that kind or one of adadelta, adagrad, adam, adamax, ad",
    ),
    "unknown metric": (
        lambda: model().compile("sgd", "mse", metrics=["accuracyy"]),
        "metrics: metric must be an object of that kind or one of accuracy, auc",
    ),
    "metrics as a string": (
        lambda: model().compile("sgd", "mse", metrics="mae"),
        "metrics must be a list. Received: metrics='mae'",
    ),
    "rows per mask": (
        lambda: model().compile("sgd", "mse", rows_per_mask=-2),
        "rows_per_mask must be an integer >= 0. Received: rows_per_mask=-2",
    ),
    "metric twice": (
        lambda: twice().metrics,
        "metrics must have different names. Received: 'accuracy' twice",
    ),
    "prediction of nothing": (
        lambda: model().predict(X[:0]),
        "x must have at least one row. Received: 0 rows",
    ),
    "prediction of a shape": (
        lambda: model().predict(np.ones((2, 4), np.float32)),
        "x must have shape (None, 3). Received: shape (2, 4)",
    ),
    "learning rate": (
        lambda: df.optimizers.SGD(-1.0),
        "learning_rate must be at least 0 and finite. Received: learning_rate=-1.0",
    ),
    "learning rate of words": (
        lambda: df.optimizers.SGD("fast"),
        "learning_rate must be a number or a LearningRateSchedule. Received: learning_rate='fast'",
    ),
    "momentum": (
        lambda: df.optimizers.SGD(momentum=1.0),
        "momentum must be in [0, 1). Received: momentum=1.0",
    ),
    "two kinds of clipping": (
        lambda: df.optimizers.Adam(clipnorm=1.0, clipvalue=1.0),
        "only one of clipnorm, clipvalue and global_clipnorm must be given.",
    ),
    "clipping": (
        lambda: df.optimizers.Adam(clipnorm=0.0),
        "clipnorm must be positive. Received: clipnorm=0.0",
    ),
    "smoothing": (
        lambda: df.losses.CategoricalCrossentropy(label_smoothing=1.0),
        "label_smoothing must be in [0, 1). Received: label_smoothing=1.0",
    ),
    "delta": (lambda: df.losses.Huber(0), "delta must be positive. Received: delta=0"),
    "penalty": (
        lambda: df.regularizers.L2(-1.0),
        "l2 must be at least 0 and finite. Received: l2=-1.0",
    ),
    "norm": (
        lambda: df.constraints.MaxNorm(0),
        "max_value must be positive. Received: max_value=0",
    ),
    "samples": (
        lambda: model().predict_mc(X, samples=0),
        "samples must be a positive integer. Received: samples=0",
    ),
    "quantiles": (
        lambda: model().predict_mc(X, samples=2, quantiles=[1.5]),
        "quantiles must be in [0, 1]. Received: 1.5",
    ),
    "information": (
        lambda: model().predict_mc(X, samples=2).mutual_information,
        "information must be True in predict_mc for mutual_information. Received: False",
    ),
    "entropy": (
        lambda: regression().predict_mc(X, samples=2).entropy,
        "outputs must be probabilities in [0, 1] for an entropy.",
    ),
    "initializer's scale": (
        lambda: df.initializers.VarianceScaling(0),
        "scale must be positive. Received: scale=0",
    ),
    "initializer's mode": (
        lambda: df.initializers.VarianceScaling(mode="fan"),
        "mode must be 'fan_in', 'fan_out' or 'fan_avg'. Received: mode='fan'",
    ),
    "initializer's shape": (
        lambda: L.Dense(2, kernel_initializer=lambda shape, dtype: np.ones(3))(X),
        "initializer must return shape (3, 2). Received: shape (3,)",
    ),
    "monitor": (
        lambda: model().fit(X, Y, verbose=0, callbacks=[df.callbacks.EarlyStopping("val_los")]),
        "monitor must be one of loss, accuracy. Received: monitor='val_los'",
    ),
    "decay": (
        lambda: df.optimizers.schedules.CosineDecay(0.1, 0),
        "decay_steps must be positive. Received: decay_steps=0",
    ),
    "pieces": (
        lambda: df.optimizers.schedules.PiecewiseConstantDecay([1, 2], [0.1]),
        "values must have 3 entries, one more than boundaries. Received: 1",
    ),
}


def twice():
    made = df.Sequential([L.Dense(2, "softmax")], seed=0)
    made.compile("sgd", "mse", metrics=["accuracy", "accuracy"])
    made.build((None, 3))
    return made


def regression():
    return df.Sequential([L.Dropout(0.5), L.Dense(1, kernel_initializer="ones")], seed=0)


@pytest.mark.parametrize(("call", "message"), OTHERS.values(), ids=OTHERS)
def test_errors_are_named(call, message):
    with pytest.raises(ValueError, match=r"\A" + re.escape(message)):
        call()


def test_a_layer_must_be_a_layer():
    with pytest.raises(TypeError, match=r"layer must be a Layer\. Received: layer='dense'"):
        df.Sequential(["dense"])


def test_compile_that_fails_leaves_the_model_as_it_was():
    made = model()
    optimizer = made.optimizer
    with pytest.raises(ValueError, match="loss must be"):
        made.compile("sgd", "nonsense")
    assert made.optimizer is optimizer
    made.fit(X, Y, verbose=0)

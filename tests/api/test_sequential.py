"""Building, weights, names, calls, summary."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import dropfast as df

L = df.layers


def small(**settings):
    layers = [L.Dropout(0.5), L.Dense(4, "relu"), L.Dense(2)]
    return df.Sequential(layers, seed=0, **settings)


def test_input_builds_at_once_and_is_no_layer():
    model = df.Sequential([L.Input((3,)), L.Dense(2)], seed=0)
    assert model.built
    assert [layer.name for layer in model.layers] == ["dense"]
    assert model.input_shape == (None, 3)
    assert model.output_shape == (None, 2)


def test_building_by_data_by_shape_and_by_input_gives_the_same_weights():
    models = [small() for _ in range(2)]
    models[0].build((None, 3))
    models[1].predict(np.ones((2, 3)))
    models.append(df.Sequential([L.Input(3), L.Dropout(0.5), L.Dense(4, "relu")], seed=0))
    models[2].add(L.Dense(2))
    for model in models[1:]:
        for a, b in zip(models[0].weights, model.weights, strict=True):
            assert np.array_equal(a, b)


def test_initial_weights_come_from_the_documented_stream():
    model = small()
    model.build((None, 3))
    for index, shape in ((0, (3, 4)), (2, (4, 2))):
        key = df.Key(0, (3 << 48) | index)
        limit = np.sqrt(6 / sum(shape))
        unit = df.random.random_uniform(np.prod(shape), key).reshape(shape)
        expected = (limit * (2 * unit - 1)).astype(np.float32)
        np.testing.assert_allclose(model.weights[index], expected, rtol=1e-6)
        assert not model.weights[index + 1].any()


def test_names_are_made_unique():
    model = df.Sequential([L.Dense(1), L.Dense(1), L.Dense(1, name="mine")], seed=0)
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "mine"]
    assert model.get_layer("dense_1") is model.layers[1]
    assert model.get_layer(index=-1).name == "mine"


def test_add_and_pop():
    model = small()
    last = model.pop()
    assert isinstance(last, L.Dense)
    assert len(model.layers) == 2
    model.build((None, 3))
    model.add(L.Dense(7))
    assert model.output_shape == (None, 7)
    model.pop()
    assert model.output_shape == (None, 4)


def test_a_layer_that_does_not_fit_is_not_added():
    model = df.Sequential([L.Input((4, 4, 2)), L.Flatten()], seed=0)
    with pytest.raises(ValueError, match="must have 4 axes"):
        model.add(L.SpatialDropout2D(0.5))
    assert len(model.layers) == 1
    assert model.output_shape == (None, 32)


def test_weights_are_the_layers_own_arrays():
    model = small()
    model.build((None, 3))
    assert model.weights[0] is model.layers[1].kernel
    copies = model.get_weights()
    model.layers[1].kernel[...] = 0
    assert copies[0].any()
    model.set_weights(copies)
    assert np.array_equal(model.layers[1].kernel, copies[0])
    assert model.count_params() == 3 * 4 + 4 + 4 * 2 + 2


def test_calls_in_training_mode_draw_anew_each_time():
    model, again = small(), small()
    x = np.ones((5, 3), np.float32)
    first, second = model(x, training=True), model(x, training=True)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, again(x, training=True))
    assert np.array_equal(model(x), model.predict(x))


def test_float64_models_compute_in_float64():
    model = small(dtype="float64")
    assert model.predict(np.ones((1, 3), np.float32)).dtype == np.float64
    assert model.weights[0].dtype == np.float64


def test_predict_of_many_forms(tmp_path):
    model = small()
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    expected = model.predict(x)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float32, "r", shape=x.shape)
    for form in (x.astype(np.float64), x.tolist(), np.asfortranarray(x), mapped):
        assert np.array_equal(model.predict(form), expected)
    assert np.array_equal(model.predict(x, batch_size=7), expected)
    assert np.array_equal(model.predict(x[3:4]), expected[3:4])
    assert model.predict(x, batch_size=8, steps=2).shape == (16, 2)
    assert np.array_equal(model.predict_on_batch(x), expected)


def test_weights_and_state_start_on_lines_of_the_cache():
    model = df.Sequential([L.Dense(7), L.Dense(3)], seed=0)
    model.compile("adam", "mse")
    model.fit(np.ones((4, 5)), np.ones((4, 3)), verbose=0)
    arrays = [*model.weights, *(array for slot in model.optimizer.state for array in slot)]
    assert len(arrays) == 12
    assert all(array.ctypes.data % 64 == 0 and array.flags.c_contiguous for array in arrays)


def test_summary_before_and_after_training(capsys):
    model = df.Sequential([L.Dropout(0.25), L.Dense(8, "relu"), L.LayerNormalization()], seed=0)
    model.summary()
    assert "Not built" in capsys.readouterr().out
    model.compile("sgd", "mse")
    model.fit(np.ones((64, 32)), np.ones((64, 8)), verbose=0)
    lines = []
    model.summary(print_fn=lines.append, line_length=90)
    text = "\n".join(lines)
    assert "(None, 8)" in text
    assert "0.25" in text
    assert "because of layer 2 (layer_normalization)" in text
    dropped = float(text.split(" %")[0].split()[-1])
    assert abs(dropped - 25) < 1
    assert max(map(len, lines)) == 90


def test_reprs():
    model = df.Sequential([L.Dropout(0.5, seed=3), L.Dense(2, "relu", name="x")], seed=0)
    expected = "Sequential([Dropout(0.5, seed=3), Dense(2, activation='relu', name='x')], seed=0)"
    assert repr(model) == expected
    assert repr(L.Dense(1, kernel_regularizer="l2")) == "Dense(1, kernel_regularizer='l2')"
    page = model._repr_html_()
    assert page.count("<div") == page.count("</div")
    assert "rate 0.5" in page
    # A first stop that isn't 0 is no hatching; colours of its own are unreadable in dark mode.
    assert "rgba(200,80,60,.4) 0 4.0px" in page
    assert "color:#000" not in page
    model.layers[0].name = "<script>"
    assert "<script>" not in model._repr_html_()


def test_explain_dropout_tells_what_training_drops():
    model = df.Sequential([L.Dropout(0.5), L.Dense(6), L.AlphaDropout(0.3)], seed=2)
    model.compile("sgd", "mse")
    x = np.ones((8, 16))
    told = model.explain_dropout(x, step=3, row=5)
    mask = df.dropout_mask((8, 16), 0.5, df.Key(2, 0, 3))
    assert np.array_equal(told[0].kept, mask[5])
    assert told[0].dropped.tolist() == np.flatnonzero(~mask[5]).tolist()
    assert len(told) == 2
    assert "rate 0.3" in repr(told)
    model.fit(x, np.ones((8, 6)), epochs=3, verbose=0)
    assert model.explain_dropout(x)[0].key == df.Key(2, 0, 2)
    with pytest.raises(ValueError, match=r"row must be an integer in \[0, 7\]. Received: row=8"):
        model.explain_dropout(x, row=8)
    with pytest.raises(ValueError, match=r"step must be an integer >= 0. Received: step=-1"):
        model.explain_dropout(x, step=-1)


def test_explained_masks_of_row_groups():
    model = df.Sequential([L.Dropout(0.5), L.Dense(1)], seed=2)
    model.compile("sgd", "mse", rows_per_mask=4)
    rows = [model.explain_dropout(np.ones((8, 16)), step=0, row=i)[0].kept for i in range(8)]
    assert all(np.array_equal(rows[0], row) for row in rows[:4])
    assert not np.array_equal(rows[0], rows[4])


def test_seeds_come_from_set_random_seed():
    df.set_random_seed(1)
    first = [df.Sequential().seed, df.Sequential().seed, L.Dropout(0.5)._seed()]
    df.set_random_seed(1)
    assert first == [df.Sequential().seed, df.Sequential().seed, L.Dropout(0.5)._seed()]
    assert len(set(first)) == 3
    assert df.Sequential(seed=2**64 - 1).seed == 2**64 - 1


def test_dropout_that_cannot_act_is_warned_about():
    model = df.Sequential([L.Dropout(0.0), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match=r"dropout cannot act: the rate of every .*\(dropout\) is"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    layer = L.Dropout(0.5)
    layer(np.ones((1, 2)))
    with pytest.warns(UserWarning, match="called with training=False before backward"):
        layer.backward(np.ones((1, 2)))


def test_configs_of_models():
    model = df.Sequential([L.Input((2, 3)), L.Flatten(), L.Dense(2)], seed=7, name="n")
    again = df.Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert all(np.array_equal(a, b) for a, b in zip(model.weights, again.weights, strict=True))


def test_import_is_light():
    code = (
        "import sys, dropfast; "
        "print([m for m in ('numpy', 'tqdm', 'safetensors', 'matplotlib') if m in sys.modules]); "
        "dropfast.Sequential; dropfast.layers, dropfast.optimizers; "
        "print([m for m in ('tqdm', 'safetensors', 'matplotlib') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split("\n")[:2] == ["[]", "[]"]


def test_names_of_the_package():
    for name in df.__all__:
        assert getattr(df, name) is not None
        assert name in dir(df)
    with pytest.raises(AttributeError, match="module 'dropfast' has no attribute 'droppout'"):
        _ = df.droppout

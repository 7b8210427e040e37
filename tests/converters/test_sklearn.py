"""from_sklearn: fitted networks of scikit-learn predict the same as models."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df

pytest.importorskip("sklearn")
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore:.*(converge|iterations)")
RNG = np.random.default_rng(0)
X = RNG.normal(2.0, 3.0, (80, 4))
KINDS = np.digitize(X[:, 0], [1.0, 3.0])
SETTINGS = {"max_iter": 5, "random_state": 0}


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_regressors(activation, dtype):
    x, y = X.astype(dtype), X[:, :2].astype(dtype)
    for target in (y, y[:, 0]):
        theirs = MLPRegressor(hidden_layer_sizes=(6, 5), activation=activation, **SETTINGS).fit(
            x, target
        )
        ours = df.from_sklearn(theirs, seed=3)
        assert (ours.dtype, ours.seed) == (np.dtype(dtype).name, 3)
        found = ours.predict(x).reshape(target.shape)
        np.testing.assert_allclose(found, theirs.predict(x), 1e-6, 1e-5)


@pytest.mark.parametrize(
    "y", [KINDS > 0, KINDS, np.stack([KINDS > 0, KINDS > 1], axis=1).astype(int)]
)
def test_classifiers(y):
    theirs = MLPClassifier((6,), **SETTINGS).fit(X, y)
    found, expected = df.from_sklearn(theirs).predict(X), theirs.predict_proba(X)
    found = np.hstack([1 - found, found]) if found.shape[1] == 1 else found
    np.testing.assert_allclose(found, expected, 1e-6, 1e-6)


@pytest.mark.parametrize("scaler", [{}, {"with_mean": False}, {"with_std": False}])
def test_scalers(scaler):
    theirs = make_pipeline(
        StandardScaler(**scaler), "passthrough", StandardScaler(), MLPRegressor(**SETTINGS)
    )
    theirs.fit(X, X[:, 0])
    ours = df.from_sklearn(theirs)
    np.testing.assert_allclose(ours.predict(X)[:, 0], theirs.predict(X), 1e-6, 1e-6)
    assert [type(layer).__name__ for layer in ours.layers[:3]] == ["Normalization"] * 2 + ["Dense"]


def test_weights_are_copies_and_training_goes_on(tmp_path):
    theirs = MLPRegressor(hidden_layer_sizes=(6,), **SETTINGS).fit(X, X[:, 0])
    before = theirs.coefs_[0].copy()
    ours = df.from_sklearn(theirs)
    ours.compile("adam", "mse")
    ours.fit(X, X[:, 0], verbose=0)
    np.testing.assert_array_equal(theirs.coefs_[0], before)
    assert (ours.get_weights()[0] != before).any()
    ours.save(tmp_path / "m")
    np.testing.assert_array_equal(df.load_model(tmp_path / "m").predict(X), ours.predict(X))


@pytest.mark.parametrize(
    ("thing", "error", "message"),
    [
        (3, TypeError, "Received: int"),
        (LinearRegression(), TypeError, "Received: LinearRegression"),
        (MLPRegressor(), ValueError, "must be fitted"),
        (make_pipeline(MinMaxScaler(), MLPRegressor()), ValueError, "must be fitted"),
    ],
)
def test_other_things_are_refused(thing, error, message):
    with pytest.raises(error, match=message):
        df.from_sklearn(thing)


def test_an_output_without_counterpart_is_named():
    theirs = MLPRegressor(**SETTINGS).fit(X, X[:, 0])
    theirs.out_activation_ = "exp"
    if hasattr(df.activations, "exponential"):
        found = df.from_sklearn(theirs).predict(X)
        np.testing.assert_allclose(found[:, 0], theirs.predict(X), 1e-6, 1e-6)
    else:
        with pytest.raises(ValueError, match="Received: out_activation_='exp'"):
            df.from_sklearn(theirs)


def test_other_steps_are_named():
    theirs = make_pipeline(MinMaxScaler(), MLPRegressor(**SETTINGS)).fit(X, X[:, 0])
    with pytest.raises(TypeError, match=r"StandardScalers.*MinMaxScaler"):
        df.from_sklearn(theirs)

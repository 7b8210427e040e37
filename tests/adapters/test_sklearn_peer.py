"""The estimators beside scikit-learn's: the same names, and, without dropout, the same networks."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
import sklearn
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_classification
from sklearn.ensemble import AdaBoostClassifier
from sklearn.neural_network import MLPClassifier as PeerClassifier
from sklearn.neural_network import MLPRegressor as PeerRegressor
from sklearn.preprocessing import StandardScaler

from dropfast.sklearn import (
    DropoutMLPClassifier,
    DropoutMLPRegressor,
    MLPClassifier,
    MLPRegressor,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs:UserWarning",
    # Of scikit-learn 1.6 beside a later scipy.
    "ignore:scipy.optimize. The `disp` and `iprint` options:DeprecationWarning",
)
RECENT = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 7)
OURS_ALONE = {
    "dropout",
    "input_dropout",
    "rows_per_mask",
    "max_norm",
    "scoring",
    "callbacks",
    "n_threads",
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 8))
    y = {
        "binary": np.where(x[:, 0] + x[:, 1] ** 2 > 1, "yes", "no"),
        "multiclass": np.digitize(x[:, 0], [-0.5, 0.5]),
        "multilabel": (x[:, :2] > 0.2).astype(int),
        "regression": x[:, 0] * x[:, 1],
        "outputs": np.stack([x[:, 0], x[:, 1] * x[:, 2]], axis=1),
        "poisson": np.exp(x[:, 0]),
    }
    return x, y, rng.random(500)


@pytest.mark.parametrize(
    ("ours", "peer", "more"),
    [
        (MLPClassifier, PeerClassifier, {"class_weight"}),
        (MLPRegressor, PeerRegressor, {"loss", "quantile", "delta"}),
    ],
)
def test_names_and_defaults_are_those_of_scikit_learn(ours, peer, more):
    ours, peer = ours().get_params(), peer().get_params()
    assert set(ours) - set(peer) <= OURS_ALONE | more
    assert all(ours[name] == peer[name] for name in peer)


@pytest.mark.parametrize("dropout", [DropoutMLPClassifier, DropoutMLPRegressor])
def test_dropout_alone_tells_the_pairs_apart(dropout):
    plain = {DropoutMLPClassifier: MLPClassifier, DropoutMLPRegressor: MLPRegressor}[dropout]
    ours, theirs = dropout().get_params(), plain().get_params()
    assert {name for name in ours if ours[name] != theirs[name]} == {"dropout"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"activation": "logistic", "alpha": 0.1, "batch_size": 50},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 2},
        {"solver": "lbfgs", "activation": "tanh"},
        {"early_stopping": True},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "kind", ["binary", "multiclass", "multilabel", "regression", "outputs", "poisson"]
)
def test_the_same_seed_gives_scikit_learns_network(rows, kind, settings):
    x, ys, _ = rows
    pairs = {"regression": (MLPRegressor, PeerRegressor)}
    pairs |= dict.fromkeys(("outputs", "poisson"), (MLPRegressor, PeerRegressor))
    ours, peer = pairs.get(kind, (MLPClassifier, PeerClassifier))
    if kind == "binary" and settings.get("early_stopping") and not RECENT:
        pytest.skip("scikit-learn 1.6 looks for NaN among labels that are text")
    if kind == "multiclass" and settings.get("early_stopping"):
        pytest.skip("scikit-learn keeps the proportions of two classes only")
    if kind == "outputs" and settings.get("solver") == "lbfgs":
        pytest.skip("scikit-learn's gradient is that of another loss")
    settings = {"max_iter": 15, "random_state": 3, **settings}
    if kind == "poisson":
        if not RECENT:
            pytest.skip("from 1.7 on")
        settings["loss"] = "poisson"
    ours, peer = ours(**settings).fit(x, ys[kind]), peer(**settings).fit(x, ys[kind])
    assert (ours.n_iter_, ours.t_, ours.out_activation_) == (
        peer.n_iter_,
        peer.t_,
        peer.out_activation_,
    )
    assert ours.loss_ == pytest.approx(peer.loss_, rel=2e-3)
    # Batches of unequal size differ by a trace of the penalty.
    for mine, theirs in zip(
        ours.coefs_ + ours.intercepts_, peer.coefs_ + peer.intercepts_, strict=True
    ):
        assert np.allclose(mine, theirs, rtol=1e-3, atol=1e-3)
    assert np.allclose(np.asarray(ours.predict(x) == peer.predict(x)).mean(), 1.0, atol=0.01) or (
        np.allclose(ours.predict(x), peer.predict(x), rtol=1e-3, atol=1e-3)
    )


@pytest.mark.skipif(not RECENT, reason="scikit-learn takes weights from 1.7 on")
def test_weights_count_as_in_scikit_learn(rows):
    x, ys, weights = rows
    settings = {"max_iter": 15, "random_state": 3}
    ours = MLPClassifier(**settings).fit(x, ys["binary"], weights)
    peer = PeerClassifier(**settings).fit(x, ys["binary"], weights)
    assert np.allclose(ours.predict_proba(x), peer.predict_proba(x), atol=1e-3)


def test_weights_are_divided_by_their_sum():
    x, y = make_classification(4000, 20, n_informative=10, n_classes=3, random_state=0)
    x = StandardScaler().fit_transform(x)
    model = MLPClassifier(solver="sgd", learning_rate_init=0.01, max_iter=40, random_state=0)
    plain = model.fit(x, y).score(x, y)
    small = model.fit(x, y, np.full(len(y), 1.0 / len(y))).score(x, y)
    assert abs(plain - small) < 0.01
    assert small > 0.88
    boosted = AdaBoostClassifier(
        MLPClassifier(max_iter=15, random_state=0), n_estimators=3, random_state=0
    )
    single = MLPClassifier(max_iter=15, random_state=0).fit(x, y).score(x, y)
    assert boosted.fit(x, y).score(x, y) >= single


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_weight_two_is_a_row_twice_and_zero_is_none(estimator, rows):
    x, ys, _ = rows
    y = ys["binary" if estimator is MLPClassifier else "regression"]
    counts = np.random.default_rng(1).integers(0, 4, len(y))
    settings = {"solver": "sgd", "max_iter": 30, "shuffle": False, "batch_size": 5000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weighted = estimator(**settings, random_state=0).fit(x, y, counts)
        repeated = estimator(**settings, random_state=0).fit(x.repeat(counts, 0), y.repeat(counts))
    for mine, theirs in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert np.abs(mine - theirs).max() < 1e-12


def test_scores_of_held_out_rows_are_weighted():
    x, y = load_iris(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    model = MLPClassifier(early_stopping=True, max_iter=100, random_state=0, n_iter_no_change=99)
    model.fit(x, y, sample_weight=np.where(y == 2, 0.0, 1.0))
    assert model.best_validation_score_ == 1.0
    assert model.classes_.tolist() == [0, 1, 2]


def test_the_weights_kept_are_those_of_the_score_reported():
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    x_val, y_val = x[400:], y[400:]
    model = MLPClassifier(early_stopping=True, tol=0.1, random_state=0)
    model.fit(x[:400], y[:400], X_val=x_val, y_val=y_val)
    assert model.score(x_val, y_val) == model.best_validation_score_
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_


@pytest.mark.parametrize("rare", ["one class of one row", "26 classes in 200 rows"])
def test_rare_classes_are_not_stratified(rare):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = rng.integers(0, 2, 200) if rare.startswith("one") else np.arange(200) % 26
    y[0] = 30
    model = MLPClassifier(early_stopping=True, max_iter=2, random_state=0).fit(x, y)
    assert 30 in model.classes_


def test_wine_unscaled_does_not_stop_in_silence():
    x, y = load_wine(return_X_y=True)
    for seed in range(5):
        model = DropoutMLPClassifier(random_state=seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(x, y)
        assert model.score(x, y) > 0.5 or caught


def test_noise_of_masks_does_not_end_training():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 10)).astype(np.float32)
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]
    settings = {"hidden_layer_sizes": (100,), "learning_rate_init": 0.005, "random_state": 0}
    stopped = DropoutMLPRegressor(**settings).fit(x[:2000], y[:2000])
    whole = DropoutMLPRegressor(**settings, n_iter_no_change=np.inf).fit(x[:2000], y[:2000])
    assert len(stopped.clean_loss_curve_) == stopped.n_iter_
    assert stopped.score(x[2000:], y[2000:]) > whole.score(x[2000:], y[2000:]) - 0.03


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_are_the_dense_ones(rows, form, solver):
    x, ys, _ = rows
    thin = np.where(np.abs(x) > 1, x, 0.0)
    model = MLPClassifier(20, solver=solver, max_iter=10, random_state=0)
    dense = model.fit(thin, ys["multiclass"]).predict_proba(thin)
    found = model.fit(form(thin), ys["multiclass"]).predict_proba(form(thin))
    assert np.allclose(dense, found, rtol=1e-10, atol=1e-12)


def test_float32_stays_float32(rows):
    x, ys, _ = rows
    for dtype in (np.float32, np.float64):
        model = MLPClassifier(8, max_iter=2).fit(x.astype(dtype), ys["binary"])
        assert model.predict_proba(x.astype(dtype)).dtype == dtype
        assert {array.dtype for array in model.coefs_} == {np.dtype(dtype)}
        regressor = MLPRegressor(hidden_layer_sizes=8, max_iter=2)
        assert regressor.fit(x.astype(dtype), ys["regression"]).predict(x).dtype == dtype


def test_verbose_lines_and_interrupts():
    x, y = load_iris(return_X_y=True)
    with redirect_stdout(io.StringIO()) as printed:
        MLPClassifier(8, max_iter=2, verbose=True, early_stopping=True).fit(x, y)
    assert printed.getvalue().startswith("Iteration 1, loss = ")
    assert "Validation score: " in printed.getvalue()

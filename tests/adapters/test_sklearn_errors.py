"""What the scikit-learn estimators refuse; a call that fails leaves them as they were."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.datasets import load_iris
from sklearn.utils._param_validation import InvalidParameterError

import dropfast as df
from dropfast.sklearn import DropoutMLPClassifier, DropoutMLPRegressor, MLPClassifier

BAD = [
    ("hidden_layer_sizes", "many"),
    ("activation", "softer"),
    ("activation", "softmax"),
    ("activation", None),
    ("dropout", 1.0),
    ("dropout", "half"),
    ("dropout", None),
    ("input_dropout", -0.1),
    ("rows_per_mask", -1),
    ("max_norm", 0.0),
    ("solver", "newton"),
    ("alpha", -1.0),
    ("batch_size", 0),
    ("learning_rate", "falling"),
    ("learning_rate_init", 0.0),
    ("power_t", -1),
    ("max_iter", 0),
    ("shuffle", "no"),
    ("tol", -1.0),
    ("warm_start", "yes"),
    ("momentum", 1.1),
    ("nesterovs_momentum", None),
    ("early_stopping", "yes"),
    ("validation_fraction", 1.0),
    ("beta_1", 1.0),
    ("epsilon", 0.0),
    ("n_iter_no_change", 0),
    ("max_fun", 0),
    ("class_weight", "heavy"),
    ("callbacks", 3),
    ("n_threads", 0),
]
BAD_TOGETHER = [
    ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0, got"),
    ({"hidden_layer_sizes": np.array([2.5])}, "hidden_layer_sizes must hold integers"),
    ({"dropout": (0.1, 0.2)}, "dropout must be one value, or one for each hidden layer"),
    ({"dropout": np.array([1.5])}, r"dropout must hold numbers in \[0, 1\) or schedules"),
    ({"activation": ["relu", "relu"]}, "activation must be one value, or one for each"),
    ({"activation": ["softer"]}, "activation must be one of"),
    ({"solver": "lbfgs"}, "dropout and input_dropout must be 0 for solver='lbfgs'"),
]


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_parameters_are_checked_as_scikit_learn_does(iris, name, value):
    model = DropoutMLPClassifier(**{name: value})
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of Dropout.*Got"):
        model.fit(*iris)
    assert not hasattr(model, "model_")


@pytest.mark.parametrize(("settings", "message"), BAD_TOGETHER)
def test_parameters_that_do_not_go_together(iris, settings, message):
    model = DropoutMLPClassifier(**settings)
    with pytest.raises(ValueError, match=message):
        model.fit(*iris)
    assert set(vars(model)) == set(model.get_params())


def state(model):
    return pickle.dumps(model)


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_refused_call_changes_nothing(warm_start):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    model = DropoutMLPRegressor(
        8, tol=1.0, n_iter_no_change=1, warm_start=warm_start, random_state=np.random.RandomState(0)
    )
    model.fit(x, y)
    before, answers = vars(model).copy(), model.predict(x)
    bad = np.where(np.arange(60)[:, None] == 3, np.nan, x)
    calls = [
        lambda: model.partial_fit(x, np.stack([y, y], 1)),
        lambda: model.partial_fit(x[:, :2], y),
        lambda: model.fit(bad, y),
        lambda: model.fit(x, y, sample_weight=-np.ones(60)),
        lambda: model.fit(x, y, sample_weight=np.zeros(60)),
        lambda: model.fit(x, y, X_val=x),
        lambda: model.fit(x, y, X_val=x[:, :2], y_val=y),
        lambda: model.fit(x * 1e200, y * 1e200),
        lambda: model.partial_fit(x * 1e200, y),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"Received|NaN|expecting|finite|infin|non-zero"):
            call()
        assert vars(model) == before
        assert np.array_equal(model.predict(x), answers)


def test_classes_stay_after_a_refused_fit(iris):
    x, y = iris
    model = MLPClassifier(8, tol=1.0, n_iter_no_change=1).fit(x, y)
    with pytest.raises(ValueError, match=r"sample_weight must be at least 0\. Received: -1"):
        model.fit(x, y + 5, sample_weight=-np.ones(len(y)))
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict(x).max() <= 2


def test_divergence_is_an_error_and_leaves_no_trace(iris):
    x, y = iris
    model = DropoutMLPRegressor(16, solver="sgd", learning_rate_init=1e6, random_state=0)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        model.fit(x * 1e6, y)
    assert not hasattr(model, "model_")


def test_too_few_rows_to_validate(iris):
    x, y = iris
    model = DropoutMLPRegressor(8, early_stopping=True, validation_fraction=0.05)
    with pytest.raises(ValueError, match="The validation set is too small"):
        model.fit(x[:20], y[:20])


def test_batches_larger_than_the_data_are_told(iris):
    x, y = iris
    model = MLPClassifier(8, batch_size=1000, tol=1.0, n_iter_no_change=1)
    with pytest.warns(UserWarning, match="Got `batch_size` less than 1 or larger than sample size"):
        model.fit(x, y)


def test_ctrl_c_leaves_a_model_of_whole_epochs(iris):
    def stop(epoch, logs):
        if epoch == 4:
            raise KeyboardInterrupt

    model = MLPClassifier(8, callbacks=[df.callbacks.LambdaCallback(on_epoch_end=stop)])
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(*iris)
    assert model.n_iter_ == len(model.loss_curve_) == 5


def test_one_class_and_two_rows():
    x = np.array([[0.0, 1.0], [1.0, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = MLPClassifier(4, max_iter=5).fit(x, ["a", "a"])
        two = MLPClassifier(4, max_iter=5).fit(x, ["a", "b"])
    assert one.predict(x).tolist() == ["a", "a"]
    assert one.predict_proba(x).tolist() == [[1.0], [1.0]]
    assert two.predict_proba(x).shape == (2, 2)


def test_counts_below_zero_are_refused():
    with pytest.raises(ValueError, match="out of the valid range of the loss 'poisson'"):
        DropoutMLPRegressor(loss="poisson").fit([[0.0], [1.0]], [1.0, -1.0])


def test_methods_that_a_solver_has_not():
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    assert hasattr(MLPClassifier(), "partial_fit")
    assert not hasattr(MLPClassifier(), "coefs_")

"""Thousands of bad calls: each is refused by name, with what was expected, and changes nothing."""

import itertools

import numpy as np
import pytest
from bad_calls import CALLS, JUNK, X, Y, answer, model, mutated, rows

import dropfast as df

TABLE = list(rows())
pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_table_is_long():
    assert len(TABLE) > 4000
    assert len({(row[0].__name__, row[2]) for row in TABLE}) > 250


@pytest.mark.parametrize("function", [row[0] for row in CALLS], ids=lambda f: f.__name__)
def test_each_is_answered(function):
    wrong = []
    for _, arguments, name, junk, text, _ in (row for row in TABLE if row[0] is function):
        found = answer(function, arguments, name, JUNK[junk], text)
        if found:
            wrong.append(f"{name}={junk}: {found}")
    assert not wrong


def test_mutated_calls_are_answered(capsys):
    """A random sample; its score is printed."""
    count = 1500
    wrong = [
        (function.__name__, name, value, found)
        for function, arguments, name, value, _ in mutated(count, seed=20)
        if (found := answer(function, arguments, name, value))
    ]
    score = 1 - len(wrong) / count
    with capsys.disabled():
        print(f"\nbad calls drawn at random: {score:.1%} of {count} answered well")
    assert score >= 0.95, wrong[:20]


def state(made):
    parts = [array.tobytes() for array in made.weights]
    return parts, made.optimizer.iterations, made.epochs_done, repr(made.layers), made.get_config()


def test_nothing_is_changed():
    """One model goes through all bad calls of its methods and is as it was."""
    made = model()
    made.fit(X, Y, verbose=0)
    before, answers = state(made), made.predict(X).tobytes()
    valid = {
        "fit": {"x": X, "y": Y, "verbose": 0},
        "evaluate": {"x": X, "y": Y},
        "predict": {"x": X},
    }
    valid |= {"predict_mc": {"x": X, "samples": 2}, "explain_dropout": {"x": X}}
    valid["compile"] = {"optimizer": made.optimizer, "loss": made.loss, "metrics": ["accuracy"]}
    for function, _, name, junk, _, _ in TABLE:
        kind, _, method = function.__name__.partition(".")
        if kind == "Sequential" and method in valid:
            with pytest.raises((ValueError, TypeError, OverflowError)):
                getattr(made, method)(**{**valid[method], name: JUNK[junk]})
            assert state(made) == before, (method, name, junk)
    assert made.predict(X).tobytes() == answers
    assert made.metrics_names == ["loss", "accuracy"]


FUNCTIONS = {
    "dropout": lambda **more: df.dropout(**{"x": X, "rate": 0.5, "key": df.Key(0), **more}),
    "alpha_dropout": lambda **more: df.alpha_dropout(
        **{"x": X, "rate": 0.5, "key": df.Key(0), **more}
    ),
    "gaussian_dropout": lambda **more: df.gaussian_dropout(
        **{"x": X, "rate": 0.5, "key": df.Key(0), **more}
    ),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(
    ("name", "junk"),
    [
        *itertools.product(
            ["rate"],
            [
                "text",
                "bytes",
                "nan",
                "negative",
                "fraction",
                "complex",
                "none",
                "list",
                "dict",
                "huge",
            ],
        ),
        *itertools.product(["x"], ["objects", "text", "none", "dict", "function"]),
        *itertools.product(["key"], ["text", "nan", "none", "list", "object"]),
    ],
)
def test_functions(function, name, junk):
    with pytest.raises((ValueError, TypeError), match=name):
        function(**{name: JUNK[junk]})


@pytest.mark.parametrize(
    "junk", ["object", "text", "bytes", "complex", "pairs", "dict", "function", "objects", "class"]
)
def test_losses_and_metrics_name_what_they_were_given(junk):
    pred, labels = np.full((3, 2), 0.5), np.array([0, 1, 1])
    for call in (
        df.losses.MeanSquaredError(),
        df.losses.BinaryCrossentropy(),
        df.losses.SparseCategoricalCrossentropy(),
        df.metrics.MeanSquaredError().update_state,
        df.metrics.SparseCategoricalAccuracy().update_state,
        df.metrics.Precision().update_state,
    ):
        with pytest.raises((ValueError, TypeError), match="y_true must"):
            call(JUNK[junk], pred)
        with pytest.raises((ValueError, TypeError), match="y_pred must"):
            call(labels, JUNK[junk])
    for call in (
        df.losses.SparseCategoricalCrossentropy(),
        df.metrics.SparseCategoricalAccuracy().update_state,
    ):
        with pytest.raises((ValueError, TypeError), match="sample_weight must"):
            call(labels, pred, JUNK[junk])

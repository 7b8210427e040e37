"""As `bad_calls`, of what lies around models: files, data sets, estimators."""

import tempfile
from pathlib import Path

from bad_calls import (
    JUNK,
    NOT_NEGATIVE,
    POSITIVE_INTEGER,
    Kind,
    X,
    Y,
    kind,
    model,
    of_model,
)

import dropfast as df

_HELD = tempfile.TemporaryDirectory()
FOLDER = Path(_HELD.name)
FILE = FOLDER / "model.safetensors"
PATH = Kind("", [n for n in JUNK if n not in ("text", "bytes")])
# A file of that name is looked for.
READABLE = Kind("", list(JUNK))
FLAG = kind("True or False", "nan", "infinite", "negative", "fraction", "none", "huge")
ROWS = Kind("", [n for n in JUNK if n not in ("none", "text", "zero")])
# scikit-learn takes a number for the weight of all rows.
WEIGHTS = Kind("", [n for n in ROWS.bad if n not in ("fraction", "true", "huge")])
model().save(FILE)

FILES = [
    (of_model("save", filepath=FOLDER / "other"), (), {"filepath": PATH, "overwrite": FLAG}),
    (
        of_model("save_weights", filepath=FOLDER / "other"),
        (),
        {"filepath": PATH, "overwrite": FLAG},
    ),
    (of_model("load_weights", filepath=FILE), (), {"filepath": READABLE}),
    (
        df.load_model,
        (FILE,),
        {
            "filepath": READABLE,
            "custom_objects": Kind("", [n for n in JUNK if n not in ("none", "dict")]),
            "compile": FLAG,
        },
    ),
]
DATA_SETS = [
    (
        df.datasets.noisy_sine,
        (5,),
        {
            "n": POSITIVE_INTEGER,
            "noise": NOT_NEGATIVE,
            "gap": Kind("", [n for n in JUNK if n != "none"]),
            "seed": Kind("", [n for n in JUNK if n not in ("zero", "huge", "none")]),
        },
    ),
]

# scikit-learn's own checks take any real number, and True for one.
_REAL = ["object", "text", "bytes", "complex", "none", "list", "pairs", "dict", "function", "array"]
_SHARE = Kind("", [*_REAL, "nan", "negative", "fraction", "huge", "infinite", "class"])
_COUNT = Kind("", [*_REAL, "nan", "negative", "zero", "fraction", "infinite", "class"])
_FLAG = Kind("", [n for n in JUNK if n != "true"])
_FROM_0 = Kind("", [*_REAL, "nan", "negative", "class"])
_CHOICE = Kind("", list(JUNK))
ESTIMATOR = {
    "hidden_layer_sizes": Kind("", [n for n in JUNK if n not in ("list", "huge", "true")]),
    "activation": Kind("", [n for n in JUNK if n != "function"]),
    "solver": _CHOICE,
    "alpha": _FROM_0,
    "batch_size": _COUNT,
    "learning_rate": _CHOICE,
    "learning_rate_init": Kind("", [*_FROM_0.bad, "zero"]),
    "power_t": _FROM_0,
    "max_iter": _COUNT,
    "shuffle": _FLAG,
    "random_state": Kind("", [n for n in JUNK if n not in ("none", "zero", "true")]),
    "tol": _FROM_0,
    "warm_start": _FLAG,
    "momentum": Kind("", _SHARE.bad),
    "nesterovs_momentum": _FLAG,
    "early_stopping": _FLAG,
    "validation_fraction": _SHARE,
    "beta_1": _SHARE,
    "beta_2": _SHARE,
    "epsilon": Kind("", [*_FROM_0.bad, "zero"]),
    "n_iter_no_change": Kind("", [n for n in _COUNT.bad if n != "infinite"]),
    "max_fun": _COUNT,
}
DROPOUT = {
    "dropout": Kind(
        "", ["object", "text", "bytes", "complex", "nan", "negative", "fraction", "dict"]
    ),
    "input_dropout": Kind("", ["object", "text", "bytes", "complex", "nan", "negative", "list"]),
    "rows_per_mask": Kind("", [n for n in _COUNT.bad if n != "zero"]),
    "max_norm": Kind("", [n for n in [*_FROM_0.bad, "zero"] if n != "none"]),
}


def fitted_with(cls):
    """A new estimator with one parameter changed is fitted."""

    def fit(**given):
        return cls(**{"max_iter": 1, "hidden_layer_sizes": (3,), **given}).fit(X, Y)

    fit.__name__ = f"{cls.__name__}.fit"
    return fit


def with_data(cls, method, **arguments):
    """A method of an estimator, fitted but for `fit`."""

    def call(**given):
        made = cls(max_iter=1, hidden_layer_sizes=(3,))
        if method not in ("fit", "partial_fit"):
            made.fit(X, Y)
        return getattr(made, method)(**{**arguments, **given})

    call.__name__ = f"{cls.__name__}.{method}"
    return call


def estimators():
    """The table of estimators, which need scikit-learn."""
    found = []
    for name in ("MLPClassifier", "MLPRegressor", "DropoutMLPClassifier", "DropoutMLPRegressor"):
        cls = getattr(df.sklearn, name)
        more = DROPOUT if name.startswith("Dropout") else {}
        found.append((fitted_with(cls), (), {**ESTIMATOR, **more}))
        found += [
            (with_data(cls, "fit", X=X, y=Y), (), {"X": ROWS, "y": ROWS, "sample_weight": WEIGHTS}),
            (with_data(cls, "predict", X=X), (), {"X": ROWS}),
        ]
    return found

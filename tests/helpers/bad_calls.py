"""Valid calls of the public API, what each argument takes, and values that it doesn't.

A row of `CALLS` is a function, arguments that work, and the kind of each argument that is tried.
From it follow the table of bad calls and the generator that mutates valid ones.
"""

import random

import numpy as np

import dropfast as df

L, LO, M, OP, C = df.layers, df.losses, df.metrics, df.optimizers, df.callbacks
S, LR, R, K, IN = (
    df.schedules,
    df.optimizers.schedules,
    df.regularizers,
    df.constraints,
    df.initializers,
)
NAN, INF = float("nan"), float("inf")


class Kind:
    """What an argument takes.

    Parameters
    ----------
    text
        How messages call it, after "must".
    bad
        Values that are refused.
    good
        Values out of `JUNK` that are fine.
    """

    def __init__(self, text, bad, good=()):
        self.text, self.bad, self.good = text, bad, good


JUNK = {
    "object": object(),
    "text": "junk?",
    "bytes": b"x",
    "nan": NAN,
    "infinite": INF,
    "negative": -1,
    "zero": 0,
    "fraction": 1.5,
    "complex": 1j,
    "true": True,
    "none": None,
    "list": [],
    "pairs": [[1, 2], [3]],
    "dict": {"a": 1},
    "function": lambda: 0,
    "array": np.ones((2, 3)),
    "objects": np.array([object(), None]),
    "huge": 2**70,
    "class": int,
}
_ODD = ("object", "text", "bytes", "complex", "list", "pairs", "dict", "function", "array", "class")


def kind(text, *names, good=()):
    """A kind that refuses odd things and what else is named."""
    return Kind(text, [*_ODD, "objects", *names], good)


def optional(one):
    """The same, or None."""
    return Kind(one.text, [name for name in one.bad if name != "none"], (*one.good, "none"))


POSITIVE_INTEGER = kind(
    "a positive integer", "nan", "infinite", "negative", "zero", "fraction", "true", "none"
)
INTEGER = kind(
    "an integer >= 0", "nan", "infinite", "negative", "fraction", "true", "none", good=("zero",)
)
POSITIVE = kind("positive", "nan", "infinite", "negative", "zero", "true", "none")
NOT_NEGATIVE = kind("at least 0 and finite", "nan", "infinite", "negative", "true", "none")
FINITE = kind("a finite number", "nan", "infinite", "true", "none")
RATE = Kind(
    "in [0, 1]",
    [n for n in _ODD if n != "function"]
    + ["objects", "nan", "infinite", "negative", "fraction", "true", "none", "huge"],
)
SHARE = kind("in [0, 1]", "nan", "infinite", "negative", "fraction", "true", "none", "huge")
BELOW_ONE = kind("in [0, 1)", "nan", "infinite", "negative", "fraction", "true", "none", "huge")
FLAG = kind("True or False", "nan", "infinite", "negative", "fraction", "none", "huge")
NAME = Kind("a string", [n for n in JUNK if n not in ("text", "none")])
CHOICE = Kind("", [n for n in JUNK if n != "none"])
SEED = Kind(
    "",
    [
        "object",
        "text",
        "bytes",
        "nan",
        "negative",
        "fraction",
        "complex",
        "list",
        "dict",
        "function",
        "array",
        "huge",
        "class",
    ],
)
THING = Kind(
    "",
    [
        "object",
        "text",
        "bytes",
        "nan",
        "infinite",
        "negative",
        "fraction",
        "complex",
        "true",
        "pairs",
        "array",
        "huge",
    ],
)


CONSTANT = Kind("", [n for n in FINITE.bad if n not in ("true", "list", "array", "objects")])
START = Kind("", [name for name in THING.bad if name != "array"])


def layer(cls, /, *arguments, **kinds):
    """A layer, with what all layers take."""
    return (cls, arguments, {"name": NAME, "trainable": FLAG, "dtype": CHOICE, **kinds})


X, Y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3


def model():
    made = df.Sequential([L.Input(4), L.Dropout(0.5), L.Dense(3, "softmax")], seed=0)
    made.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def of_model(method, /, **arguments):
    """A call of a model's method, on a new model each time."""

    def call(**given):
        return getattr(model(), method)(**{**arguments, **given})

    call.__name__ = f"Sequential.{method}"
    return call


_FIT = {"x": X, "y": Y, "verbose": 0}
DENSE = {
    "units": POSITIVE_INTEGER,
    "activation": THING,
    "use_bias": FLAG,
    "kernel_initializer": START,
    "bias_initializer": START,
    "kernel_regularizer": THING,
    "bias_regularizer": THING,
    "kernel_constraint": THING,
    "bias_constraint": THING,
}
OPTIMIZER = {
    "learning_rate": Kind("", NOT_NEGATIVE.bad),
    "weight_decay": optional(NOT_NEGATIVE),
    "clipnorm": optional(POSITIVE),
    "clipvalue": optional(POSITIVE),
    "global_clipnorm": optional(POSITIVE),
}
ADAM = {"beta_1": BELOW_ONE, "beta_2": BELOW_ONE, "epsilon": NOT_NEGATIVE, "amsgrad": FLAG}
DECAY = {"initial_learning_rate": NOT_NEGATIVE, "decay_steps": POSITIVE}

CALLS = [
    layer(L.Dense, 3, **DENSE),
    layer(L.Dropout, 0.5, rate=RATE, seed=SEED, scale_at=CHOICE, rows_per_mask=optional(INTEGER)),
    layer(L.AlphaDropout, 0.5, rate=RATE, seed=SEED),
    layer(L.GaussianDropout, 0.5, rate=RATE, seed=SEED),
    layer(L.GaussianNoise, 0.5, stddev=NOT_NEGATIVE, seed=SEED),
    layer(L.SpatialDropout1D, 0.5, rate=RATE, seed=SEED, data_format=CHOICE),
    layer(L.SpatialDropout2D, 0.5, rate=RATE, seed=SEED, data_format=CHOICE),
    layer(L.DropConnect, 3, rate=RATE, seed=SEED, **DENSE),
    layer(L.BatchNormalization, momentum=BELOW_ONE, epsilon=POSITIVE, center=FLAG, scale=FLAG),
    layer(L.LayerNormalization, epsilon=POSITIVE, center=FLAG, scale=FLAG),
    layer(L.Rescaling, 0.5, scale=FINITE, offset=FINITE),
    layer(L.Activation, "relu", activation=THING),
    layer(L.ReLU),
    layer(L.LeakyReLU, negative_slope=NOT_NEGATIVE),
    layer(L.ELU, alpha=FINITE),
    layer(L.Softmax),
    layer(L.Flatten),
    (
        L.Input,
        (4,),
        {
            "shape": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "negative",
                    "zero",
                    "fraction",
                    "complex",
                    "pairs",
                    "dict",
                    "function",
                    "class",
                ],
            )
        },
    ),
    (LO.SparseCategoricalCrossentropy, (), {"from_logits": FLAG, "label_smoothing": BELOW_ONE}),
    (LO.CategoricalCrossentropy, (), {"from_logits": FLAG, "label_smoothing": BELOW_ONE}),
    (LO.BinaryCrossentropy, (), {"from_logits": FLAG, "label_smoothing": BELOW_ONE}),
    (LO.Huber, (), {"delta": POSITIVE}),
    (M.BinaryAccuracy, (), {"threshold": FINITE, "name": NAME}),
    (M.SparseTopKCategoricalAccuracy, (), {"k": POSITIVE_INTEGER, "name": NAME}),
    (M.TopKCategoricalAccuracy, (), {"k": POSITIVE_INTEGER, "name": NAME}),
    (M.Precision, (), {"thresholds": optional(SHARE), "name": NAME}),
    (M.Recall, (), {"thresholds": optional(SHARE), "name": NAME}),
    *[(cls, (), {"name": NAME}) for cls in (M.MeanSquaredError, M.R2Score, M.CategoricalAccuracy)],
    (OP.SGD, (), {**OPTIMIZER, "momentum": BELOW_ONE, "nesterov": FLAG}),
    (OP.Adam, (), {**OPTIMIZER, **ADAM}),
    (OP.AdamW, (), {**OPTIMIZER, **ADAM}),
    (
        OP.RMSprop,
        (),
        {
            **OPTIMIZER,
            "rho": BELOW_ONE,
            "momentum": BELOW_ONE,
            "epsilon": NOT_NEGATIVE,
            "centered": FLAG,
        },
    ),
    (LR.ExponentialDecay, (0.1, 5, 0.5), {**DECAY, "decay_rate": NOT_NEGATIVE, "staircase": FLAG}),
    (LR.InverseTimeDecay, (0.1, 5, 0.5), {**DECAY, "decay_rate": NOT_NEGATIVE, "staircase": FLAG}),
    (
        LR.PolynomialDecay,
        (0.1, 5),
        {**DECAY, "end_learning_rate": NOT_NEGATIVE, "power": NOT_NEGATIVE, "cycle": FLAG},
    ),
    (
        LR.CosineDecay,
        (0.1, 5),
        {
            **DECAY,
            "alpha": NOT_NEGATIVE,
            "warmup_target": optional(NOT_NEGATIVE),
            "warmup_steps": INTEGER,
        },
    ),
    (
        LR.PiecewiseConstantDecay,
        ([1, 2], [0.1, 0.2, 0.3]),
        {
            "boundaries": Kind("", [n for n in JUNK if n not in ("array",)]),
            "values": Kind("", [n for n in JUNK if n not in ("array",)]),
        },
    ),
    (S.Constant, (0.5,), {"value": SHARE}),
    (S.Linear, (0.0, 0.5, 3), {"start": SHARE, "end": SHARE, "over": POSITIVE, "unit": CHOICE}),
    (S.Cosine, (0.0, 0.5, 3), {"start": SHARE, "end": SHARE, "over": POSITIVE, "unit": CHOICE}),
    (S.Early, (0.5, 3), {"rate": SHARE, "until": NOT_NEGATIVE, "unit": CHOICE}),
    (S.Late, (0.5, 3), {"rate": SHARE, "start": NOT_NEGATIVE, "unit": CHOICE}),
    (
        S.Call,
        (lambda epoch: 0.1,),
        {"function": Kind("a function", [n for n in JUNK if n != "function"]), "unit": CHOICE},
    ),
    (R.L1, (), {"l1": NOT_NEGATIVE}),
    (R.L2, (), {"l2": NOT_NEGATIVE}),
    (R.L1L2, (), {"l1": NOT_NEGATIVE, "l2": NOT_NEGATIVE}),
    (
        K.MaxNorm,
        (),
        {
            "max_value": POSITIVE,
            "axis": kind("an integer", "nan", "infinite", "fraction", "true", "none"),
        },
    ),
    (K.UnitNorm, (), {"axis": kind("an integer", "nan", "infinite", "fraction", "true", "none")}),
    (
        IN.Constant,
        (),
        {"value": CONSTANT},
    ),
    (IN.RandomNormal, (), {"mean": FINITE, "stddev": NOT_NEGATIVE, "seed": SEED}),
    (IN.TruncatedNormal, (), {"mean": FINITE, "stddev": NOT_NEGATIVE, "seed": SEED}),
    (IN.RandomUniform, (), {"minval": FINITE, "maxval": FINITE, "seed": SEED}),
    (
        IN.VarianceScaling,
        (),
        {"scale": POSITIVE, "mode": CHOICE, "distribution": CHOICE, "seed": SEED},
    ),
    (
        C.EarlyStopping,
        (),
        {
            "monitor": NAME,
            "min_delta": FINITE,
            "patience": INTEGER,
            "verbose": INTEGER,
            "mode": CHOICE,
            "baseline": optional(FINITE),
            "restore_best_weights": FLAG,
            "start_from_epoch": INTEGER,
        },
    ),
    (
        C.ReduceLROnPlateau,
        (),
        {
            "monitor": NAME,
            "factor": BELOW_ONE,
            "patience": INTEGER,
            "verbose": INTEGER,
            "mode": CHOICE,
            "min_delta": FINITE,
            "cooldown": INTEGER,
            "min_lr": NOT_NEGATIVE,
        },
    ),
    (
        C.ModelCheckpoint,
        ("m.st",),
        {
            "filepath": Kind("", [n for n in JUNK if n not in ("text", "bytes")]),
            "monitor": NAME,
            "verbose": INTEGER,
            "save_best_only": FLAG,
            "mode": CHOICE,
            "initial_value_threshold": optional(FINITE),
        },
    ),
    (
        C.CSVLogger,
        ("m.csv",),
        {
            "filename": Kind("", [n for n in JUNK if n not in ("text", "bytes")]),
            "separator": NAME,
            "append": FLAG,
        },
    ),
    (
        C.LearningRateScheduler,
        (lambda epoch: 0.1,),
        {
            "schedule": Kind("callable", [n for n in JUNK if n not in ("function", "class")]),
            "verbose": INTEGER,
        },
    ),
    (
        C.LambdaCallback,
        (),
        {
            "on_epoch_end": Kind(
                "a function", [n for n in JUNK if n not in ("function", "class", "none")]
            )
        },
    ),
    (
        df.Sequential,
        (),
        {
            "layers": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "negative",
                    "fraction",
                    "complex",
                    "pairs",
                    "function",
                    "dict",
                    "array",
                    "huge",
                    "class",
                ],
            ),
            "seed": SEED,
            "name": NAME,
            "dtype": CHOICE,
        },
    ),
    (
        of_model("compile", optimizer="sgd", loss="mse"),
        (),
        {
            "optimizer": THING,
            "loss": THING,
            "metrics": THING,
            "weighted_metrics": THING,
            "rows_per_mask": INTEGER,
            "loss_weights": Kind("", ["object", "bytes", "nan", "negative", "complex"]),
        },
    ),
    (
        of_model("fit", **_FIT),
        (),
        {
            "batch_size": optional(POSITIVE_INTEGER),
            "epochs": INTEGER,
            "initial_epoch": optional(INTEGER),
            "verbose": Kind("", [n for n in JUNK if n not in ("zero", "true")]),
            "shuffle": FLAG,
            "callbacks": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "negative",
                    "fraction",
                    "complex",
                    "true",
                    "pairs",
                    "function",
                    "array",
                    "huge",
                    "class",
                ],
            ),
            "validation_split": BELOW_ONE,
            "steps_per_epoch": optional(POSITIVE_INTEGER),
            "validation_steps": optional(POSITIVE_INTEGER),
            "validation_batch_size": optional(POSITIVE_INTEGER),
            "validation_freq": POSITIVE_INTEGER,
            "validation_data": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "negative",
                    "fraction",
                    "complex",
                    "true",
                    "list",
                    "function",
                    "huge",
                    "class",
                ],
            ),
            "class_weight": Kind("", [n for n in JUNK if n != "none"]),
            "sample_weight": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "negative",
                    "complex",
                    "list",
                    "pairs",
                    "dict",
                    "function",
                    "array",
                    "objects",
                    "class",
                ],
            ),
            "x": Kind(
                "",
                [
                    "object",
                    "bytes",
                    "nan",
                    "negative",
                    "fraction",
                    "complex",
                    "true",
                    "none",
                    "list",
                    "pairs",
                    "function",
                    "array",
                    "objects",
                    "huge",
                    "class",
                ],
            ),
            "y": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "negative",
                    "fraction",
                    "complex",
                    "true",
                    "none",
                    "list",
                    "pairs",
                    "function",
                    "array",
                    "objects",
                    "huge",
                    "class",
                ],
            ),
        },
    ),
    (
        of_model("evaluate", x=X, y=Y),
        (),
        {
            "batch_size": optional(POSITIVE_INTEGER),
            "steps": optional(POSITIVE_INTEGER),
            "x": Kind(
                "",
                [
                    "object",
                    "bytes",
                    "nan",
                    "negative",
                    "fraction",
                    "complex",
                    "true",
                    "none",
                    "list",
                    "pairs",
                    "function",
                    "array",
                    "objects",
                    "huge",
                    "class",
                ],
            ),
            "y": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "negative",
                    "fraction",
                    "complex",
                    "true",
                    "none",
                    "list",
                    "pairs",
                    "function",
                    "array",
                    "objects",
                    "huge",
                    "class",
                ],
            ),
            "return_dict": FLAG,
        },
    ),
    (
        of_model("predict", x=X),
        (),
        {
            "batch_size": optional(POSITIVE_INTEGER),
            "steps": optional(POSITIVE_INTEGER),
            "x": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "negative",
                    "fraction",
                    "complex",
                    "true",
                    "none",
                    "list",
                    "pairs",
                    "function",
                    "array",
                    "objects",
                    "huge",
                    "class",
                ],
            ),
        },
    ),
    (
        of_model("predict_mc", x=X, samples=2),
        (),
        {
            "samples": POSITIVE_INTEGER,
            "quantiles": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "infinite",
                    "negative",
                    "fraction",
                    "complex",
                    "true",
                    "pairs",
                    "dict",
                    "function",
                    "array",
                    "huge",
                    "class",
                ],
            ),
            "information": FLAG,
            "return_samples": FLAG,
        },
    ),
    (
        of_model("summary", print_fn=lambda line: None),
        (),
        {
            "line_length": optional(POSITIVE_INTEGER),
            "print_fn": Kind(
                "", ["object", "text", "bytes", "nan", "negative", "fraction", "dict"]
            ),
        },
    ),
    (
        of_model("get_layer", name="dropout"),
        (),
        {"name": Kind("", [n for n in JUNK if n != "none"])},
    ),
    (
        of_model("explain_dropout", x=X),
        (),
        {
            "step": optional(INTEGER),
            "row": Kind(
                "",
                [
                    "object",
                    "text",
                    "bytes",
                    "nan",
                    "infinite",
                    "negative",
                    "fraction",
                    "complex",
                    "none",
                    "list",
                    "dict",
                    "function",
                    "array",
                    "huge",
                    "class",
                ],
            ),
        },
    ),
]


def rows(calls=CALLS):
    """(function, valid arguments, name, value, text of the kind) of all bad calls of a table."""
    for function, arguments, kinds in calls:
        for name, one in kinds.items():
            for junk in one.bad:
                yield function, arguments, name, junk, one.text, one.bad


def answer(function, arguments, name, value, text=""):
    """ "" if a bad call is answered as it should, else what is wrong."""
    try:
        call(function, arguments, name, value)
    except (ValueError, TypeError, NotImplementedError, OverflowError) as error:
        said = str(error)
        if name not in said:
            return f"doesn't name {name}: {said}"
        if " must " not in said or text not in said:
            return f"doesn't say what is expected ({text}): {said}"
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


def call(function, arguments, name, value):
    """Call with one argument changed, which may be one of those given by position."""
    import inspect

    found = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    given = dict(zip(found, arguments, strict=False))
    return function(**{**given, name: value})


def mutated(count, seed, calls=CALLS):
    """Random bad calls beyond the table: junk of a kind drawn, nested, negated or wrapped."""
    rng = random.Random(seed)
    everything = list(rows(calls))
    wraps = [
        lambda v: [v],
        lambda v: (v, v),
        lambda v: {"value": v},
        lambda v: np.array([[1.0, 2.0]] * 3),
        lambda v: {1, 2},
        lambda v: f"{v!r}"[:12] + "?",
        lambda v: type(v)("nan") if isinstance(v, float) else complex(2, 1),
        lambda v: iter(()),
        lambda v: slice(None),
        lambda v: Ellipsis,
        lambda v: NotImplemented,
        lambda v: np.datetime64("2020-01-01"),
        lambda v: bytearray(b"1"),
        lambda v: -(2**80),
    ]
    made = 0
    while made < count:
        function, arguments, name, junk, text, bad = rng.choice(everything)
        value = rng.choice(wraps)(JUNK[junk])
        if set(alike(value)) <= set(bad):
            made += 1
            yield function, arguments, name, value, text


def alike(value):
    """Which junk a value is of the kind of, as far as an argument may take it."""
    if isinstance(value, str):
        return ["text"]
    if isinstance(value, int):
        return ["negative", "huge"]
    if isinstance(value, float):
        return ["nan"]
    if isinstance(value, np.ndarray):
        return ["array"]
    return ["list", "pairs", "object"] if hasattr(value, "__iter__") else ["object"]

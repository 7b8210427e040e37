"""Write tests/golden/keras.json: what Keras computes, for the tests to compare with.

Needs Keras 3 with JAX as its back end (KERAS_BACKEND=jax), whose gradients are exact.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np

jax.config.update("jax_enable_x64", True)
keras.backend.set_floatx("float64")
RNG = np.random.default_rng(0)
PLACE = Path(__file__).parent.parent / "tests" / "golden" / "keras.json"

P = RNG.dirichlet(np.full(4, 1.5), 6)
SIGMOIDS = RNG.uniform(0.05, 0.95, (6, 4))
Z = 2.0 * RNG.normal(size=(6, 4))
T = RNG.normal(size=(6, 4))
ONE_HOT = np.eye(4)[RNG.integers(0, 4, 6)]
BITS = RNG.integers(0, 2, (6, 4)).astype(float)
COUNTS = RNG.integers(0, 5, (6, 4)).astype(float)
POSITIVE = RNG.uniform(0.1, 3.0, (6, 4))

LOSSES = [
    ("MeanSquaredError", {}, T, Z),
    ("MeanAbsoluteError", {}, T, Z),
    ("MeanAbsolutePercentageError", {}, T, Z),
    ("MeanSquaredLogarithmicError", {}, COUNTS, POSITIVE),
    ("CosineSimilarity", {}, T, Z),
    ("Huber", {"delta": 0.7}, T, Z),
    ("LogCosh", {}, T, Z),
    ("Hinge", {}, BITS, Z),
    ("Hinge", {}, 2 * BITS - 1, Z),
    ("SquaredHinge", {}, BITS, Z),
    ("CategoricalHinge", {}, ONE_HOT, Z),
    ("KLDivergence", {}, P[::-1].copy(), P),
    ("Poisson", {}, COUNTS, POSITIVE),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, BITS, SIGMOIDS),
    ("BinaryCrossentropy", {"from_logits": True}, BITS, Z),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT, Z),
    ("BinaryFocalCrossentropy", {}, BITS, SIGMOIDS),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "gamma": 1.5}, BITS, SIGMOIDS),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, BITS, Z),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, P),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, SIGMOIDS),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "alpha": 0.7, "gamma": 3}, ONE_HOT, Z),
]
ACTIVATIONS = [
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "swish",
    "tanh",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "log_sigmoid",
    "mish",
    "exponential",
]
RELUS = [{"max_value": 1.5}, {"negative_slope": 0.1, "threshold": 0.5, "max_value": 2.0}]
OPTIMIZERS = [
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("RMSprop", {"centered": True, "momentum": 0.3}),
    ("Nadam", {}),
    ("Nadam", {"weight_decay": 0.02, "beta_1": 0.8}),
    ("Adamax", {}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "clipvalue": 0.3}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Lion", {"clipnorm": 1.0}),
    ("SGD", {"gradient_accumulation_steps": 3, "momentum": 0.9}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.9}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 4}),
]
METRICS = [
    ("AUC", {}, BITS, SIGMOIDS),
    ("AUC", {"curve": "PR", "num_thresholds": 20}, BITS, SIGMOIDS),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, BITS, SIGMOIDS),
    ("AUC", {"summation_method": "majoring", "num_thresholds": 11}, BITS, SIGMOIDS),
    ("AUC", {"multi_label": True, "num_labels": 4}, BITS, SIGMOIDS),
    ("AUC", {"from_logits": True}, BITS, Z),
    ("AUC", {"thresholds": [0.3, 0.6]}, BITS, SIGMOIDS),
    ("PrecisionAtRecall", {"recall": 0.6}, BITS, SIGMOIDS),
    ("RecallAtPrecision", {"precision": 0.6}, BITS, SIGMOIDS),
    ("SensitivityAtSpecificity", {"specificity": 0.4}, BITS, SIGMOIDS),
    ("SpecificityAtSensitivity", {"sensitivity": 0.4, "class_id": 1}, BITS, SIGMOIDS),
    ("F1Score", {"average": "macro"}, ONE_HOT, P),
    ("F1Score", {"average": "micro", "threshold": 0.4}, BITS, SIGMOIDS),
    ("F1Score", {}, ONE_HOT, P),
    ("FBetaScore", {"average": "weighted", "beta": 2.0}, ONE_HOT, P),
    ("TruePositives", {}, BITS, SIGMOIDS),
    ("FalsePositives", {"thresholds": 0.7}, BITS, SIGMOIDS),
    ("TrueNegatives", {}, BITS, SIGMOIDS),
    ("FalseNegatives", {}, BITS, SIGMOIDS),
    ("MeanAbsolutePercentageError", {}, T, Z),
    ("MeanSquaredLogarithmicError", {}, COUNTS, POSITIVE),
    ("CosineSimilarity", {}, T, Z),
    ("LogCoshError", {}, T, Z),
    ("KLDivergence", {}, P[::-1].copy(), P),
    ("Poisson", {}, COUNTS, POSITIVE),
    ("Hinge", {}, BITS, Z),
    ("SquaredHinge", {}, BITS, Z),
    ("CategoricalHinge", {}, ONE_HOT, Z),
    ("RootMeanSquaredError", {}, T, Z),
]
SCHEDULES = [
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 7}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.0, "m_mul": 0.5},
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.2, "first_decay_steps": 4, "t_mul": 1.5, "alpha": 0.1},
    ),
]
WEIGHTS = RNG.uniform(0.0, 2.0, 6)


def plain(values: object) -> object:
    """Arrays as lists, numbers as floats."""
    return np.vectorize(lambda x: float(f"{x:.9g}"), otypes=[float])(values).tolist()


def losses() -> list[dict[str, object]]:
    """Loss of each row and gradient of their sum."""
    found = []
    for name, arguments, true, pred in LOSSES:
        loss = getattr(keras.losses, name)(**arguments)
        rows = loss.call(true, pred)
        gradient = jax.grad(lambda y, loss=loss, true=true: loss.call(true, y).sum())(pred)
        found.append(
            {
                "name": name,
                "arguments": arguments,
                "y_true": plain(true),
                "y_pred": plain(pred),
                "rows": plain(rows),
                "gradient": plain(gradient),
            }
        )
    return found


def activations() -> list[dict[str, object]]:
    """Values and slopes, away from kinks."""
    x = np.concatenate([np.linspace(-6.1, 6.3, 41), [0.013]])
    found = []
    for name, options in [(name, {}) for name in ACTIVATIONS] + [("relu", o) for o in RELUS]:
        f = getattr(keras.activations, name)
        slopes = jax.grad(lambda x, f=f, options=options: (f(x, **options) * X_GRAD).sum())(x)
        found.append(
            {"name": name, "options": options, "y": plain(f(x, **options)), "dx": plain(slopes)}
        )
    return [{"x": plain(x), "grad": plain(X_GRAD)}, *found]


X_GRAD = RNG.normal(size=42)


def optimizers() -> list[dict[str, object]]:
    """Weights after twelve steps."""
    first = RNG.normal(size=(3, 2))
    gradients = 2.0 * RNG.normal(size=(12, 3, 2))
    found: list[dict[str, object]] = [{"first": plain(first), "gradients": plain(gradients)}]
    for name, arguments in OPTIMIZERS:
        weight = keras.Variable(first)
        optimizer = getattr(keras.optimizers, name)(**arguments)
        optimizer.build([weight])
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)])
        entry = {"name": name, "arguments": arguments, "weights": plain(weight)}
        optimizer.finalize_variable_values([weight])
        found.append({**entry, "final": plain(weight)})
    return found


def metrics() -> list[dict[str, object]]:
    """Results of two batches, without and with weights of rows."""
    found = []
    for name, arguments, true, pred in METRICS:
        results = []
        for weights in (None, WEIGHTS):
            metric = getattr(keras.metrics, name)(**arguments)
            for rows in (slice(0, 4), slice(4, 6)):
                metric.update_state(
                    true[rows], pred[rows], None if weights is None else weights[rows]
                )
            results.append(plain(metric.result()))
        found.append(
            {
                "name": name,
                "arguments": arguments,
                "y_true": plain(true),
                "y_pred": plain(pred),
                "results": results,
            }
        )
    return [{"weights": plain(WEIGHTS)}, *found]


def schedules() -> list[dict[str, object]]:
    """Learning rates of 40 steps."""
    return [
        {
            "name": name,
            "arguments": arguments,
            "rates": [
                float(getattr(keras.optimizers.schedules, name)(**arguments)(step))
                for step in range(40)
            ],
        }
        for name, arguments in SCHEDULES
    ]


def main() -> None:
    """Write the file."""
    values = {
        "keras": keras.__version__,
        "losses": losses(),
        "activations": activations(),
        "optimizers": optimizers(),
        "metrics": metrics(),
        "schedules": schedules(),
    }
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.write_text(json.dumps(values, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

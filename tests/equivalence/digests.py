"""A script: hashes of the results of every native kernel, run once per instruction-set level.

No reference here: the bits of one level are held against those of another, and against
`digests.json`, which is the same on every kind of processor; `--write` writes that file anew.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import dropfast as df
from dropfast import _core as fast

Array = np.ndarray[Any, Any]
DTYPES = (np.float32, np.float64)
KEY = fast.Key(3, 1, 2**33)
FILE = pathlib.Path(__file__).with_name("digests.json")
ACTIVATIONS = (
    "linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softmax",
)  # fmt: skip


def digest(*arrays: Array) -> str:
    """Bits, shape and type, NaN made one."""
    sha = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        if array.dtype.kind == "f":
            array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
        sha.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return sha.hexdigest()[:16]


def normal(*shape: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    """Nearly normal numbers, of integers alone: C libraries differ in their logarithms."""
    words = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    quarters = sum((words >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48))
    return ((quarters.astype(np.float64) - 131_070) / 2**15).reshape(shape).astype(dtype)


def random_stream() -> dict[str, str]:
    return {
        "words": digest(fast.random_words(1003, KEY, 5)),
        "uniform": digest(fast.random_uniform(1003, KEY, 5)),
        "normal": digest(fast.random_normal(1003, KEY, 5)),
        "permutation": digest(fast.permutation(5003, KEY)),
    }


def dropout() -> dict[str, str]:
    found = {}
    for rate in (1e-5, 0.1, 1 / 3, 0.5, 0.9):
        for n, offset in [(7, 1), (1000, 3), (70001, 2**32 - 9), (2**20 + 77, 8)]:
            case = f"{rate} {n}"
            found[f"mask {case}"] = digest(fast.dropout_mask(n, rate, KEY, offset=offset))
            packed = fast.dropout_mask(n, rate, KEY, offset=offset, packed=True)
            found[f"packed {case}"] = digest(packed)
            for dtype in (np.float16, *DTYPES):
                x = normal(n, dtype=dtype)
                found[f"dropout {case} {dtype.__name__}"] = digest(
                    fast.dropout(x, rate, KEY, offset=offset)
                )
    for dtype in DTYPES:
        x = normal(60, 70, dtype=dtype)
        name = dtype.__name__
        found[f"strided {name}"] = digest(fast.dropout(x.T[::2], 0.3, KEY))
        found[f"groups {name}"] = digest(fast.dropout(x, 0.3, KEY, rows_per_mask=7))
        noise = fast.dropout(x.reshape(6, 10, 70), 0.3, KEY, noise_shape=(None, 1, None))
        found[f"noise shape {name}"] = digest(noise)
        found[f"alpha {name}"] = digest(fast.alpha_dropout(x, 0.3, KEY))
        found[f"gaussian {name}"] = digest(fast.gaussian_dropout(x, 0.3, KEY))
    return found


def math() -> dict[str, str]:
    found = {}
    for dtype in DTYPES:
        x, dy = normal(37, 45, dtype=dtype) * dtype(4), normal(37, 45, dtype=dtype, seed=1)
        for name in ACTIVATIONS:
            for approximate in (False, True) if name == "gelu" else (False,):
                y = fast.activation(name, x, approximate=approximate)
                dx = fast.activation_backward(name, x, y, dy, approximate=approximate)
                found[f"{name} {approximate} {dtype.__name__}"] = digest(y, dx)
        weights = np.linspace(0.5, 1.5, 37).astype(dtype)
        for name, y_true in [
            ("sparse_categorical_crossentropy", np.arange(37) % 45),
            ("categorical_crossentropy", np.eye(45, dtype=dtype)[np.arange(37) % 45]),
            ("binary_crossentropy", (dy > 0).astype(dtype)),
            ("mean_squared_error", dy),
            ("mean_absolute_error", dy),
            ("huber", dy),
        ]:
            for logits in (False, True):
                spec = {"name": name, "from_logits": logits, "label_smoothing": 0.1, "delta": 1.0}
                y_pred = x if logits else fast.activation("softmax", x)
                found[f"{name} {logits} {dtype.__name__}"] = digest(
                    np.asarray(fast.loss(spec, y_true, y_pred)),
                    fast.loss_gradient(spec, y_true, y_pred, weights),
                )
    return found


def products() -> dict[str, str]:
    found = {}
    for dtype in DTYPES:
        for m, k, n in [(1, 1, 1), (5, 17, 3), (33, 65, 49), (130, 700, 90), (300, 64, 257)]:
            a, b = normal(m, k, dtype=dtype), normal(k, n, dtype=dtype, seed=1)
            case = f"{m} {k} {n} {dtype.__name__}"
            found[f"matmul {case}"] = digest(fast.matmul(a, b), fast.matmul(b.T, a.T))
            bias, dy = normal(n, dtype=dtype), normal(m, n, dtype=dtype, seed=2)
            for name in ("relu", "tanh", "elu"):
                y = fast.dense(a, b, bias, name, 0.4, KEY)
                back = fast.dense_backward(dy, a, b, y, name, 0.4, KEY)
                found[f"dense {name} {case}"] = digest(y, *back)
    return found


OPTIMIZERS: list[tuple[dict[str, Any], int]] = [
    ({"name": "sgd", "momentum": 0.0, "nesterov": False}, 0),
    ({"name": "sgd", "momentum": 0.9, "nesterov": True, "clipnorm": 1.0}, 1),
    ({"name": "adam", "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": True}, 3),
    ({"name": "rmsprop", "rho": 0.9, "momentum": 0.5, "epsilon": 1e-7, "centered": True,
      "global_clipnorm": 1.0}, 3),
]  # fmt: skip


def training() -> dict[str, str]:
    extra = {"negative_slope": 0.2, "alpha": 1.0, "approximate": False, "use_bias": True}
    extra |= dict.fromkeys(("kernel_l1", "kernel_l2", "bias_l1", "bias_l2"), 1e-4)
    extra |= {"kernel_max_norm": 3.0, "bias_max_norm": None}
    found = {}
    for dtype in DTYPES:
        for rows, optimizer in [(1, 0), (4, 1), (0, 2), (1, 3)]:
            spec, slots = OPTIMIZERS[optimizer]
            sharing = {"scale_at": "train", "per_row": False, "rows_per_mask": rows}
            layers = [
                {"kind": "dropout", "rate": 0.2, **sharing},
                {"kind": "dense", "units": 37, "activation": "relu", **extra},
                {"kind": "dropout", "rate": 0.5, **sharing},
                {"kind": "dense", "units": 20, "activation": "gelu", **extra},
                {"kind": "gaussian_dropout", "rate": 0.1},
                {"kind": "dense", "units": 7, "activation": "softmax", **extra},
            ]
            shapes = [(50, 37), (37,), (37, 20), (20,), (20, 7), (7,)]
            params = [normal(*s, dtype=dtype, seed=i) / dtype(4) for i, s in enumerate(shapes)]
            state = [[np.zeros_like(w) for w in params] for _ in range(slots)]
            x, out = normal(210, 50, dtype=dtype), np.zeros((210, 7), dtype)
            network = fast.Network(layers, 50, np.dtype(dtype).name)
            keys = [fast.Key(1, place) for place in (0, 2, 4)]
            done = 0
            while done < 7:
                done += network.train(
                    params, state, x, np.arange(210) % 7, order=fast.permutation(210, KEY),
                    start=done, batches=7 - done, batch_size=32, optimizer=spec, first_step=done,
                    loss={"name": "sparse_categorical_crossentropy", "from_logits": False},
                    learning_rates=np.full(7 - done, 0.05), keys=keys,
                )[0]  # fmt: skip
            network.forward(params, x, out, keys=keys)
            found[f"training {rows} {optimizer} {dtype.__name__}"] = digest(
                *params, *(array for slot in state for array in slot), out
            )
            mean, m2 = np.zeros((2, 37, 7))
            network.predict_mc(params, x[:37], mean, m2, keys=keys, samples=5)
            found[f"monte carlo {rows} {optimizer} {dtype.__name__}"] = digest(mean, m2)
    return found


def mixed() -> dict[str, str]:
    """Products in bfloat16, ordinary and at the ends of the range, and a network that trains."""
    found = {}
    for scale in (1.0, 1e-19, 3e18):
        for m, k, n in [(1, 1, 1), (5, 17, 3), (33, 65, 49), (130, 700, 90)]:
            a, b = normal(m, k) * np.float32(scale), normal(k, n, seed=1) * np.float32(scale)
            found[f"bfloat16 {m} {k} {n} {scale}"] = digest(
                fast.matmul_bfloat16(a, b), fast.matmul_bfloat16(b.T, a.T), fast.round_bfloat16(a)
            )
    layers = [
        df.layers.Input(50),
        df.layers.Dropout(0.2),
        df.layers.Dense(70, activation="relu"),
        df.layers.Dropout(0.5),
        df.layers.Dense(40, activation="gelu"),
        df.layers.Dense(7, activation="softmax"),
    ]
    model = df.Sequential(layers, seed=5, dtype="mixed_bfloat16")
    model.set_weights([normal(*w.shape, seed=i) / 4 for i, w in enumerate(model.weights)])
    model.compile(df.optimizers.SGD(0.05, 0.9), "sparse_categorical_crossentropy")
    x = normal(210, 50)
    model.fit(x, np.arange(210) % 7, epochs=3, verbose=0)
    found["bfloat16 training"] = digest(*model.weights, *model.optimizer.state[0], model.predict(x))
    return found


if __name__ == "__main__":
    parts: list[Callable[[], dict[str, str]]] = [
        random_stream,
        dropout,
        math,
        products,
        training,
        mixed,
    ]
    hashes = {name: value for part in parts for name, value in part().items()}
    levels = {"simd": fast.simd_level(), "aes": fast.aes_level(), "threads": fast.get_num_threads()}
    if "--write" in sys.argv:
        FILE.write_text(json.dumps(hashes, indent=1) + "\n")
    print(json.dumps({"levels": levels, "hashes": hashes}))

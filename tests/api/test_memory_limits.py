"""What a caller sizes fails as MemoryError, with nothing changed and the process alive."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import dropfast as df
from dropfast import _core

HUGE = 1 << 46


@pytest.mark.parametrize(
    "call",
    [
        lambda: _core.permutation(HUGE, df.Key(0)),
        lambda: _core.random_words(HUGE, df.Key(0)),
        lambda: _core.random_uniform(HUGE, df.Key(0)),
        lambda: _core.random_normal(HUGE, df.Key(0)),
        lambda: df.dropout_mask((HUGE,), 0.5, df.Key(0)),
        lambda: df.dropout_mask((HUGE,), 0.5, df.Key(0), packed=True),
        lambda: df.matmul(np.zeros((1 << 22, 1)), np.zeros((1, 1 << 24))),
        lambda: df.dense(np.zeros((1 << 22, 1)), np.zeros((1, 1 << 24))),
    ],
)
def test_absurd_sizes(call):
    with pytest.raises(MemoryError):
        call()


# Each call is made at ever higher limits until it works; before that it must raise MemoryError.
WALK = """
import resource, sys
import numpy as np
import dropfast as df
from dropfast import _core

x = np.ones((60_000, 40), np.float32)
y = np.ones((60_000, 1), np.float32)
kernel = np.ones((40, 300), np.float32)
tall = np.ones((60_000, 300), np.float32)
key = df.Key(0)
L = df.layers


def small():
    layers = [L.Dropout(0.5), L.Dense(300, "tanh"), L.GaussianDropout(0.2), L.Dense(1)]
    made = df.Sequential(layers, seed=0)
    made.compile("adam", "mse", metrics=["mae"])
    made.build((None, 40))
    return made

made = small()
clipped = small()
clipped.compile(df.optimizers.SGD(0.01, clipnorm=1.0), "mse")
normal = df.Sequential([L.Dense(200), L.BatchNormalization(), L.Dense(1)], seed=0)
normal.compile("sgd", "mse")
normal.build((None, 40))
for each in (made, clipped, normal):
    each.fit(x[:64], y[:64], verbose=0)
softmax = df.Sequential([L.Dense(300, "softmax")], seed=0)
softmax.build((None, 40))
CALLS = {
    "dropout": lambda: df.dropout(tall, 0.5, key),
    "mask": lambda: df.dropout_mask(tall.shape, 0.5, key),
    "matmul": lambda: df.matmul(x, kernel),
    "dense": lambda: df.dense(x, kernel, activation="softmax"),
    "dense_backward": lambda: df.dense_backward(tall, x, kernel, y=tall, activation="tanh"),
    "activation": lambda: df.activation("softmax", tall),
    "loss": lambda: _core.loss({"name": "mean_squared_error"}, tall, tall),
    "permutation": lambda: _core.permutation(10_000_000, key),
    "fit": lambda: made.fit(x, y, batch_size=60_000, verbose=0),
    "fit, clipped": lambda: clipped.fit(x, y, batch_size=60_000, verbose=0),
    "fit, by layers": lambda: normal.fit(x, y, batch_size=60_000, verbose=0),
    "predict": lambda: made.predict(x),
    "predict, wide": lambda: softmax.predict(x),
    "predict_mc": lambda: made.predict_mc(x, samples=2),
    "evaluate": lambda: made.evaluate(x, y),
    "build": lambda: df.Sequential([L.Input(4000), L.Dense(4000)], seed=0),
}
models = (made, clipped, normal)
used = lambda: int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
df.dropout(tall, 0.5, key)
for name, call in CALLS.items():
    failed = 0
    for more in [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]:
        state = [(m.optimizer.iterations, [w.copy() for w in m.weights]) for m in models]
        resource.setrlimit(resource.RLIMIT_AS, (used() + (more << 20), resource.RLIM_INFINITY))
        try:
            call()
            break
        except MemoryError as error:
            failed += 1
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for m, (steps, weights) in zip(models, state):
            assert m.optimizer.iterations == steps, name
            assert all(np.array_equal(a, b) for a, b in zip(weights, m.weights)), name
    else:
        sys.exit(f"{name} never worked")
    print(name, failed, flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS and /proc")
def test_the_api_at_low_limits():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WALK)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-3000:])
    failures = [int(line.rsplit(" ", 1)[1]) for line in done.stdout.splitlines()]
    assert sum(count > 0 for count in failures) >= 10, done.stdout

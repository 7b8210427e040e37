"""Layer 7: dropfast, with one thread and with all.

Where `DROPFAST_SIMD` pins an instruction set, the names say so, and results of several runs can
stand in one table.
"""

from __future__ import annotations

import os

import numpy as np

import dropfast as df
from dropfast import _core

LOSS = "sparse_categorical_crossentropy"
ALL = df.get_num_threads()
LEVEL = f", {os.environ['DROPFAST_SIMD']}" if "DROPFAST_SIMD" in os.environ else ""


def loop_name(threads):
    """What the loop of multiply-adds that bounds so many threads is called."""
    return f"FMA loop{LEVEL}, {threads} thread{'s' * (threads > 1)}"


class Network:
    def __init__(self, weights, rates, optimizer, batch_size, threads, rows_per_mask):
        layers = [df.layers.Input((weights[0].shape[0],))]
        for rate, bias in zip(rates, weights[1::2], strict=True):
            if rate:
                layers.append(df.layers.Dropout(rate))
            layers.append(df.layers.Dense(len(bias), activation="relu"))
        layers[-1] = df.layers.Dense(len(weights[-1]), activation="softmax")
        self.model = df.Sequential(layers, seed=0)
        name, learning_rate = optimizer
        chosen = {"sgd": df.optimizers.SGD, "adam": df.optimizers.Adam}[name](learning_rate)
        self.model.compile(optimizer=chosen, loss=LOSS, rows_per_mask=rows_per_mask)
        self.model.set_weights(weights)
        self.batch_size = batch_size
        df.set_num_threads(threads)

    def epoch(self, x, y):
        self.model.fit(x, y, batch_size=self.batch_size, epochs=1, verbose=0)

    def weights(self):
        return self.model.get_weights()

    def predict(self, x):
        return self.model.predict(x, verbose=0)

    def predict_mc(self, x, samples):
        return self.model.predict_mc(x, samples=samples).mean


class AllThreads:
    name = f"dropfast{LEVEL}"
    threads = ALL
    loop = loop_name(ALL)

    @classmethod
    def dropout(cls, x, rate):
        df.set_num_threads(cls.threads)
        key, out = df.Key(1), np.empty_like(x)
        return lambda: df.dropout(x, rate, key, out=out)

    @classmethod
    def product(cls, a, b):
        df.set_num_threads(cls.threads)
        out = np.empty((len(a), b.shape[1]), a.dtype)
        return lambda: _core.matmul(a, b, out=out)

    @classmethod
    def network(cls, weights, rates, optimizer, batch_size, rows_per_mask=1):
        return Network(weights, rates, optimizer, batch_size, cls.threads, rows_per_mask)


class OneThread(AllThreads):
    name = f"dropfast{LEVEL}, 1 thread"
    threads = 1
    loop = loop_name(1)


CONTENDERS = (AllThreads, OneThread)

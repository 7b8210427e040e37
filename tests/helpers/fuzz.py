"""Spoiled files, configs and arrays: a result or a named error, never another.

`python tests/helpers/fuzz.py --seconds 600` goes on that long and prints how often each was tried;
the tests do a little of it. What kills the process shows as that.
"""

import argparse
import contextlib
import gzip
import hashlib
import json
import random
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import dropfast as df
from dropfast import _core
from dropfast.datasets.idx import IdxFile, read_idx

L = df.layers


def good_file():
    """A small model of several kinds of layers, trained, as bytes."""
    layers = [L.Input(3), L.Dense(4, "relu"), L.Dropout(0.5), L.BatchNormalization(), L.Dense(2)]
    made = df.Sequential(layers, seed=0)
    made.compile(df.optimizers.Adam(), "mse")
    made.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        made.save(path)
        return path.read_bytes(), made.get_config()


class Fuzz:
    """Targets that share a good input of each kind."""

    def __init__(self, seed, folder):
        self.rng, self.path = random.Random(seed), Path(folder) / "fuzz.safetensors"
        self.file, self.config = good_file()
        content = bytes([0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(range(12))
        self.idx = IdxFile("x", (3, 4), hashlib.sha256(content).hexdigest())
        self.packed = gzip.compress(content)

    def spoiled(self, data):
        """Bytes flipped, cut out, repeated, put in, or the end missing."""
        found = bytearray(data)
        for _ in range(self.rng.choice([1, 1, 1, 2, 5, 20])):
            place = self.rng.randrange(len(found) + 1)
            length = self.rng.choice([1, 1, 2, 8, 64])
            kind = self.rng.randrange(5)
            if kind == 0:
                found[place : place + 1] = bytes([self.rng.randrange(256)])
            elif kind == 1:
                del found[place : place + length]
            elif kind == 2:
                found[place:place] = found[max(place - length, 0) : place]
            elif kind == 3:
                found[place:place] = self.rng.randbytes(length)
            else:
                del found[place:]
        return bytes(found)

    def model_file(self):
        """A spoiled model file."""
        self.path.write_bytes(self.spoiled(self.file))
        with contextlib.suppress(ValueError):
            df.load_model(self.path)

    def config_of_a_model(self):
        """A description with values replaced anywhere."""
        junk = [None, -1, 2**70, 1.5, float("nan"), "x", [], {}, [[]], True, "Dense", 0]

        def spoil(value, depth=0):
            if self.rng.random() < 0.05:
                return self.rng.choice(junk)
            if isinstance(value, dict):
                return {key: spoil(one) for key, one in value.items() if self.rng.random() > 0.02}
            if isinstance(value, list):
                return [spoil(one) for one in value]
            return value

        config = spoil(json.loads(json.dumps(self.config, default=str)))
        with contextlib.suppress(ValueError, TypeError):
            df.Sequential.from_config(config)

    def data_file(self):
        """A spoiled IDX file, packed or not."""
        packed = self.rng.random() < 0.5
        path = self.path.with_suffix(".gz" if packed else ".idx")
        path.write_bytes(self.spoiled(self.packed if packed else gzip.decompress(self.packed)))
        with contextlib.suppress(ValueError):
            assert read_idx(path, self.idx).shape == (3, 4)

    def array(self):
        """An array of any dtype, shape, strides and alignment."""
        rng = self.rng
        dtype = rng.choice(["f4", "f8", "f2", "i1", "u8", "?", "c8", "O", ">f4", "M8[s]", "S3"])
        shape = tuple(rng.choice([0, 1, 1, 2, 3, 7, 33]) for _ in range(rng.randrange(4)))
        if dtype == "O":
            found = np.full(shape, None, dtype)
        else:
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            shift = rng.choice([0, 0, 0, 1, 4])
            raw = np.frombuffer(rng.randbytes(size + shift), np.uint8)[shift : shift + size]
            found = raw.view(dtype).reshape(shape)
        if found.ndim and rng.random() < 0.3:
            found = found[tuple(slice(None, None, rng.choice([1, 2, -1])) for _ in shape)]
        return found.T if rng.random() < 0.2 else found

    def arguments(self):
        """Native functions with random arrays."""
        a, b, c = self.array(), self.array(), self.array()
        key = df.Key(1)
        calls = [
            lambda: df.dropout(a, self.rng.random(), key, out=c),
            lambda: df.dropout(a, 0.5, key),
            lambda: df.matmul(a, b),
            lambda: df.dense(a, b, c, activation="softmax"),
            lambda: df.dense_backward(a, b, c),
            lambda: _core.activation_backward("relu", a, b, c),
            lambda: _core.activation("softmax", a),
            lambda: _core.loss({"name": "mean_squared_error"}, a, b),
            lambda: _core.loss({"name": "sparse_categorical_crossentropy"}, a, b),
            lambda: _core.optimizer_update({"name": "sgd", "momentum": 0.5}, a, b, [c], 0.1, 1),
            lambda: _core.Network([{"kind": "dense", "units": 2}], 3, "float32").predict([a, b], c),
        ]
        with contextlib.suppress(ValueError, TypeError):
            self.rng.choice(calls)()

    TARGETS = ("model_file", "config_of_a_model", "data_file", "arguments")


def main():
    """Go on for a time, and say how often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    with tempfile.TemporaryDirectory() as folder:
        fuzz, end = Fuzz(given.seed, folder), time.monotonic() + given.seconds
        counts = dict.fromkeys(Fuzz.TARGETS, 0)
        while time.monotonic() < end:
            for name in Fuzz.TARGETS:
                for _ in range(20):
                    getattr(fuzz, name)()
                    counts[name] += 1
    print(f"seed {given.seed}, {given.seconds:.0f} s:", counts)


if __name__ == "__main__":
    main()

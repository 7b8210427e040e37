"""Layer 7: NumPy, a copy, the quickest dropout it allows, and the one of textbooks."""

from __future__ import annotations

import numpy as np


class Copy:
    """Not dropout: the floor of any operation that reads one array and writes another."""

    name = "np.copyto"
    limit = True

    @staticmethod
    def dropout(x, rate):
        out = np.empty_like(x)

        def run():
            np.copyto(out, x)
            return out

        return run


class Network:
    """The training loop that one writes by hand, each array operation by itself."""

    def __init__(self, weights, rates, optimizer, batch_size):
        self.values = [array.copy() for array in weights]
        self.first, self.second = ([np.zeros_like(array) for array in weights] for _ in range(2))
        self.rates, self.batch_size, self.step = rates, batch_size, 0
        self.optimizer, self.learning_rate = optimizer
        self.rng = np.random.default_rng(0)

    def epoch(self, x, y):
        order = self.rng.permutation(len(x))
        for start in range(0, len(x), self.batch_size):
            rows = order[start : start + self.batch_size]
            self._update(self._slopes(x[rows], y[rows]))

    def _slopes(self, x, y):
        inputs, masks = [], []
        for number in range(0, len(self.values), 2):
            x, mask = self._drop(x, self.rates[number // 2])
            inputs.append(x)
            masks.append(mask)
            x = x @ self.values[number] + self.values[number + 1]
            if number + 2 < len(self.values):
                x = np.maximum(x, 0)
        slope = _softmax(x)
        slope[np.arange(len(y)), y] -= 1
        slope /= np.float32(len(y))
        slopes = []
        for number in reversed(range(len(inputs))):
            slopes = [inputs[number].T @ slope, slope.sum(axis=0), *slopes]
            if number:
                slope = slope @ self.values[2 * number].T
                # A unit that relu or dropout made zero passes nothing back.
                slope = np.where(inputs[number] > 0, slope * masks[number], 0)
        return slopes

    def _drop(self, x, rate):
        """The output, and the factor of the gradient that every kept element has."""
        if not rate:
            return x, np.float32(1)
        scale = np.float32(1 / (1 - rate))
        return x * ((self.rng.random(x.shape, np.float32) >= rate) * scale), scale

    def _update(self, slopes):
        self.step += 1
        if self.optimizer == "sgd":
            for value, slope in zip(self.values, slopes, strict=True):
                value -= self.learning_rate * slope
            return
        rate = self.learning_rate * (1 - 0.999**self.step) ** 0.5 / (1 - 0.9**self.step)
        arrays = zip(self.values, slopes, self.first, self.second, strict=True)
        for value, slope, first, second in arrays:
            first += 0.1 * (slope - first)
            second += 0.001 * (slope * slope - second)
            value -= rate * first / (np.sqrt(second) + 1e-7)

    def weights(self):
        return self.values

    def predict(self, x):
        return self._forward(x, [0] * len(self.rates))

    def predict_mc(self, x, samples):
        return np.mean([self._forward(x, self.rates) for _ in range(samples)], axis=0)

    def _forward(self, x, rates):
        for number in range(0, len(self.values), 2):
            x = self._drop(x, rates[number // 2])[0] @ self.values[number]
            x = x + self.values[number + 1]
            if number + 2 < len(self.values):
                x = np.maximum(x, 0)
        return _softmax(x)


def _softmax(logits):
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True)


class NumPy:
    name = "NumPy"
    network = Network

    @staticmethod
    def dropout(x, rate):
        rng, scale = np.random.default_rng(0), np.float32(1 / (1 - rate))
        out, mask = np.empty_like(x), np.empty(x.shape, bool)

        def run():
            rng.random(dtype=np.float32, out=out)
            np.greater_equal(out, rate, out=mask)
            np.multiply(x, scale, out=out)
            np.multiply(out, mask, out=out)
            return out

        return run

    @staticmethod
    def product(a, b):
        out = np.empty((len(a), b.shape[1]), a.dtype)
        return lambda: np.matmul(a, b, out=out)


class Textbook:
    name = "NumPy, binomial"

    @staticmethod
    def dropout(x, rate):
        generator = np.random.RandomState(0)
        return lambda: x * generator.binomial(1, 1 - rate, x.shape) / np.float32(1 - rate)


CONTENDERS = (Copy, NumPy, Textbook)

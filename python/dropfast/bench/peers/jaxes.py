"""Layer 7: JAX, every operation compiled, an epoch as one compiled scan over its batches."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


def forward(weights, x, rates, key):
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    for number, (kernel, bias) in enumerate(pairs):
        if rates[number]:
            key, mine = jax.random.split(key)
            x = drop(x, rates[number], mine)
        x = x @ kernel + bias
        if number + 1 < len(pairs):
            x = jax.nn.relu(x)
    return x


def drop(x, rate, key):
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def loss(weights, x, y, rates, key):
    chances = jax.nn.log_softmax(forward(weights, x, rates, key))
    return -jnp.mean(jnp.take_along_axis(chances, y[:, None], axis=1))


def update(optimizer, weights, slopes, state, step):
    name, learning_rate = optimizer
    if name == "sgd":
        return [w - learning_rate * g for w, g in zip(weights, slopes, strict=True)], state
    first = [0.9 * m + 0.1 * g for m, g in zip(state[0], slopes, strict=True)]
    second = [0.999 * v + 0.001 * g * g for v, g in zip(state[1], slopes, strict=True)]
    rate = learning_rate * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    moved = [
        w - rate * m / (jnp.sqrt(v) + 1e-7) for w, m, v in zip(weights, first, second, strict=True)
    ]
    return moved, (first, second)


@partial(jax.jit, static_argnames=("rates", "optimizer", "batch_size"))
def epoch(weights, state, step, x, y, key, rates, optimizer, batch_size):
    key, mine = jax.random.split(key)
    order = jax.random.permutation(mine, len(x))[: len(x) // batch_size * batch_size]

    def one(carry, rows):
        weights, state, step, key = carry
        key, mine = jax.random.split(key)
        slopes = jax.grad(loss)(weights, x[rows], y[rows], rates, mine)
        weights, state = update(optimizer, weights, slopes, state, step)
        return (weights, state, step + 1, key), None

    carry, _ = jax.lax.scan(one, (weights, state, step, key), order.reshape(-1, batch_size))
    return carry


@jax.jit
def inference(weights, x):
    return jax.nn.softmax(forward(weights, x, (0.0,) * len(weights), None))


@partial(jax.jit, static_argnames=("rates", "samples"))
def monte_carlo(weights, x, rates, key, samples):
    def one(total, mine):
        return total + jax.nn.softmax(forward(weights, x, rates, mine)), None

    start = jnp.zeros((len(x), weights[-1].shape[0]))
    return jax.lax.scan(one, start, jax.random.split(key, samples))[0] / samples


class Network:
    def __init__(self, weights, rates, optimizer, batch_size):
        self.values = [jnp.array(array) for array in weights]
        self.state = tuple([jnp.zeros_like(array) for array in self.values] for _ in range(2))
        self.rates, self.optimizer, self.batch_size = tuple(rates), optimizer, batch_size
        self.step, self.key = jnp.float32(1), jax.random.key(0)

    @staticmethod
    def load(x, y):
        return jnp.array(x), jnp.array(y)

    def epoch(self, x, y):
        self.values, self.state, self.step, self.key = jax.block_until_ready(
            epoch(
                self.values,
                self.state,
                self.step,
                x,
                y,
                self.key,
                self.rates,
                self.optimizer,
                self.batch_size,
            )
        )

    def weights(self):
        return [np.asarray(array) for array in self.values]

    def predict(self, x):
        return np.asarray(inference(self.values, x))

    def predict_mc(self, x, samples):
        return np.asarray(monte_carlo(self.values, x, self.rates, self.key, samples))


class Jax:
    name = "JAX"
    network = Network

    @staticmethod
    def dropout(x, rate):
        x, key, compiled = jnp.array(x), jax.random.key(0), jax.jit(drop, static_argnums=1)
        return lambda: compiled(x, rate, key).block_until_ready()

    @staticmethod
    def product(a, b):
        a, b, compiled = jnp.array(a), jnp.array(b), jax.jit(jnp.matmul)
        return lambda: compiled(a, b).block_until_ready()


CONTENDERS = (Jax,)

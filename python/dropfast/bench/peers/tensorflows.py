"""Layer 7: TensorFlow, its stateless dropout, and Keras' own training loop over it."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf


class Network:
    def __init__(self, weights, rates, optimizer, batch_size):
        layers = [keras.layers.Input((weights[0].shape[0],))]
        for rate, bias in zip(rates, weights[1::2], strict=True):
            if rate:
                layers.append(keras.layers.Dropout(rate))
            layers.append(keras.layers.Dense(len(bias), activation="relu"))
        layers[-1] = keras.layers.Dense(len(weights[-1]), activation="softmax")
        self.model = keras.Sequential(layers)
        name, learning_rate = optimizer
        chosen = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[name](learning_rate)
        self.model.compile(optimizer=chosen, loss="sparse_categorical_crossentropy")
        self.model.set_weights(weights)
        self.batch_size = batch_size
        self.sample = tf.function(self._sample)

    def epoch(self, x, y):
        self.model.fit(x, y, batch_size=self.batch_size, epochs=1, verbose=0)

    def weights(self):
        return self.model.get_weights()

    def predict(self, x):
        return self.model(x, training=False).numpy()

    def _sample(self, x):
        return self.model(x, training=True)

    def predict_mc(self, x, samples):
        x = tf.constant(x)
        return np.mean([self.sample(x).numpy() for _ in range(samples)], axis=0)


class TensorFlow:
    name = "TensorFlow"
    network = Network

    @staticmethod
    def dropout(x, rate):
        x = tf.constant(x)

        @tf.function
        def run(x):
            return tf.nn.experimental.stateless_dropout(x, rate, seed=[1, 2], rng_alg="philox")

        return lambda: run(x).numpy()

    @staticmethod
    def product(a, b):
        a, b = tf.constant(a), tf.constant(b)
        return lambda: tf.matmul(a, b).numpy()


CONTENDERS = (TensorFlow,)

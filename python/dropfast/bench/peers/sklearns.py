"""Layer 7: scikit-learn's MLPClassifier, the same network without dropout."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier


class Network:
    def __init__(self, weights, rates, optimizer, batch_size):
        name, learning_rate = optimizer
        self.model = MLPClassifier(
            [len(bias) for bias in weights[1:-1:2]],
            solver=name,
            alpha=0,
            batch_size=batch_size,
            learning_rate_init=learning_rate,
            momentum=0,
            nesterovs_momentum=False,
            epsilon=1e-7,
        )
        # Its weights exist only after a first step, which is on one row and then undone.
        features, classes = weights[0].shape[0], len(weights[-1])
        self.classes = np.arange(classes)
        blank = np.zeros((1, features), weights[0].dtype)
        if name == "sgd":
            self.model.set_params(batch_size=1).partial_fit(blank, [0], classes=self.classes)
            self.model.set_params(batch_size=batch_size)
            for mine, given in zip(self._arrays(), weights, strict=True):
                mine[...] = given

    def _arrays(self):
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [array for pair in pairs for array in pair]

    def epoch(self, x, y):
        self.model.partial_fit(x, y, classes=self.classes)

    def weights(self):
        return self._arrays()

    def predict(self, x):
        return self.model.predict_proba(x)


class ScikitLearn:
    name = "scikit-learn"
    network = Network
    has_dropout = False
    # Two classes are one logistic unit to it, which is another network.
    least_classes = 3


CONTENDERS = (ScikitLearn,)

"""Models that are graphs, for several tests."""

import dropfast as df

L = df.layers


def compiled(model, **settings):
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **settings)
    return model


def residual(seed=1, dtype="float32", composite=False):
    x = df.Input((6,))
    h = L.Dense(8, "relu")(x)
    for _ in range(2):
        h = Block(8)(h) if composite else h + L.Dropout(0.3)(L.Dense(8, "relu")(h))
    return df.Model(x, L.Dense(3, "softmax")(h), seed=seed, dtype=dtype)


class Block(L.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense, self.dropout = L.Dense(units, "relu"), L.Dropout(0.3)

    def call(self, x, training=None):
        return x + self.dropout(self.dense(x), training=training)

"""A Keras script as it stands, imports changed: Fashion-MNIST, one Dropout called four times.

The model is a subclass with `call`; it is traced once and runs on the native engine, with the bits
and the speed of the same layers in a Sequential.
"""

from __future__ import annotations

import argparse

import dropfast as keras


class CustomModel(keras.Model):
    """784-200-100-60-10, dropout before every dense layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_layer = keras.layers.Flatten(input_shape=(28, 28))
        self.hidden1 = keras.layers.Dense(200, activation="relu")
        self.hidden2 = keras.layers.Dense(100, activation="relu")
        self.hidden3 = keras.layers.Dense(60, activation="relu")
        self.output_layer = keras.layers.Dense(10, activation="softmax")
        self.dropout_layer = keras.layers.Dropout(rate=0.2)

    def call(self, input, training=None):
        input_layer = self.input_layer(input)
        input_layer = self.dropout_layer(input_layer)
        hidden1 = self.hidden1(input_layer)
        hidden1 = self.dropout_layer(hidden1, training=training)
        hidden2 = self.hidden2(hidden1)
        hidden2 = self.dropout_layer(hidden2, training=training)
        hidden3 = self.hidden3(hidden2)
        hidden3 = self.dropout_layer(hidden3, training=training)
        return self.output_layer(hidden3)


def main(epochs: int = 60) -> keras.Model:
    """Load, train, evaluate."""
    data = keras.datasets.fashion_mnist
    (x_train, y_train), (x_test, y_test) = data.load_data()
    x_train, x_test = x_train / 255.0, x_test / 255.0

    model = CustomModel()
    # lr is learning_rate's old name, which such scripts use: it is taken with a warning.
    sgd = keras.optimizers.SGD(lr=0.01)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=sgd, metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=epochs, validation_data=(x_test, y_test))
    loss, accuracy = model.evaluate(x_test, y_test)
    print(f"Test loss {loss:.4f}, accuracy {100 * accuracy:.2f} %")
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    main(parser.parse_args().epochs)

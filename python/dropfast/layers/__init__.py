"""Layer 6: the layers, one file each."""

from __future__ import annotations

from dropfast.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from dropfast.layers.alpha_dropout import AlphaDropout
from dropfast.layers.base import Layer, Passage
from dropfast.layers.dense import Dense
from dropfast.layers.dropout import Dropout
from dropfast.layers.flatten import Flatten
from dropfast.layers.gaussian_dropout import GaussianDropout
from dropfast.layers.input import Input
from dropfast.layers.rescaling import Rescaling

__all__ = [
    "ELU",
    "Activation",
    "AlphaDropout",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "Input",
    "Layer",
    "LeakyReLU",
    "Passage",
    "ReLU",
    "Rescaling",
    "Softmax",
]

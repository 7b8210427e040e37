"""Layer 6: the layers, one file each."""

from __future__ import annotations

from dropfast.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from dropfast.layers.activity_regularization import ActivityRegularization
from dropfast.layers.alpha_dropout import AlphaDropout
from dropfast.layers.base import Layer, Passage
from dropfast.layers.batch_normalization import BatchNormalization
from dropfast.layers.dense import Dense
from dropfast.layers.drop_connect import DropConnect
from dropfast.layers.dropout import Dropout
from dropfast.layers.embedding import Embedding
from dropfast.layers.flatten import Flatten
from dropfast.layers.gaussian_dropout import GaussianDropout
from dropfast.layers.gaussian_noise import GaussianNoise
from dropfast.layers.identity import Identity
from dropfast.layers.input import Input, InputLayer
from dropfast.layers.lambda_layer import Lambda
from dropfast.layers.layer_normalization import LayerNormalization
from dropfast.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)
from dropfast.layers.merging_functions import (
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from dropfast.layers.moving import Permute, RepeatVector, UnitNormalization
from dropfast.layers.normalization import Normalization
from dropfast.layers.prelu import PReLU
from dropfast.layers.rescaling import Rescaling
from dropfast.layers.reshape import Reshape
from dropfast.layers.spatial_dropout import (
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)

__all__ = [
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BatchNormalization",
    "Concatenate",
    "Dense",
    "Dot",
    "DropConnect",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Input",
    "InputLayer",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "Passage",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "Subtract",
    "UnitNormalization",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

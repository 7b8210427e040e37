"""Layer 6, reference: what this package computes, in plain NumPy, written to be read.

The same functions, names and signatures as the fast path, the random stream included. It is the
fast path's oracle: masks, random words, permutations and matrix products agree bit for bit,
everything else within a bound that is stated where it is tested. It needs NumPy alone and is slow.

================================  ==================================================
:mod:`.aes`, :mod:`.random`       ARS-7; words, variates and permutations of the stream
:mod:`.dropout`                   masks, inverted dropout
:mod:`.alpha_dropout`             dropout for SELU networks
:mod:`.gaussian_dropout`          multiplicative Gaussian noise
:mod:`.matmul`, :mod:`.dense`     chains of fused multiply-adds; a Dense layer
:mod:`.activations`               activations and derivatives
:mod:`.losses`                    losses and gradients
:mod:`.optimizers`                SGD, Adam, AdamW, RMSprop
:mod:`.regularizers`              L1 and L2 penalties
:mod:`.constraints`               max norm
:mod:`.layers`, :mod:`.training`  layers of a network, training steps, whole runs
:mod:`.checks`                    rows with NaN or infinity
================================  ==================================================

Not here: speed, files, progress, callbacks.

Examples
--------
>>> import numpy as np
>>> from dropfast import reference
>>> reference.dropout(np.ones(4), 0.5, reference.Key(seed=1)).shape
(4,)
"""

from __future__ import annotations

from .activations import activation, activation_backward
from .alpha_dropout import alpha_dropout, alpha_dropout_backward
from .bfloat16 import matmul_bfloat16, round_bfloat16
from .checks import first_nonfinite_row
from .constraints import max_norm
from .dense import dense, dense_backward
from .dropout import dropout, dropout_backward, dropout_mask
from .gaussian_dropout import gaussian_dropout, gaussian_dropout_backward
from .losses import loss, loss_gradient
from .matmul import matmul
from .optimizers import clip_gradients, initial_state, optimizer_update
from .random import Key, permutation, random_normal, random_uniform, random_words
from .regularizers import l1_l2, l1_l2_gradient
from .training import Network, fit

__all__ = [
    "Key",
    "Network",
    "activation",
    "activation_backward",
    "alpha_dropout",
    "alpha_dropout_backward",
    "clip_gradients",
    "dense",
    "dense_backward",
    "dropout",
    "dropout_backward",
    "dropout_mask",
    "first_nonfinite_row",
    "fit",
    "gaussian_dropout",
    "gaussian_dropout_backward",
    "initial_state",
    "l1_l2",
    "l1_l2_gradient",
    "loss",
    "loss_gradient",
    "matmul",
    "matmul_bfloat16",
    "max_norm",
    "optimizer_update",
    "permutation",
    "random_normal",
    "random_uniform",
    "random_words",
    "round_bfloat16",
]

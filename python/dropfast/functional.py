"""Layer 6: the kernels on arrays, which are the native functions themselves: no wrapper."""

from __future__ import annotations

from dropfast._core import (
    activation,
    activation_backward,
    alpha_dropout,
    alpha_dropout_backward,
    dense,
    dense_backward,
    dropout,
    dropout_backward,
    dropout_mask,
    gaussian_dropout,
    gaussian_dropout_backward,
    matmul,
)

__all__ = [
    "activation",
    "activation_backward",
    "alpha_dropout",
    "alpha_dropout_backward",
    "dense",
    "dense_backward",
    "dropout",
    "dropout_backward",
    "dropout_mask",
    "gaussian_dropout",
    "gaussian_dropout_backward",
    "matmul",
]

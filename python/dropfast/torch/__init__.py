"""Layer 7: dropout for PyTorch on CPUs: drop-in modules over the native kernels.

Nothing is kept for the backward pass but a key: the mask is drawn again. What is traced or
transformed goes through an operator of PyTorch's; tensors that the kernels don't take (of other
devices or types) go to PyTorch's own functions.

>>> import torch
>>> from dropfast.torch import Dropout, replace_dropout
>>> _ = torch.manual_seed(0)
>>> x = torch.ones(2, 4, requires_grad=True)
>>> y = Dropout(0.5)(x)
>>> y.sum().backward()
>>> bool((x.grad == y).all())
True
>>> print(replace_dropout(torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Dropout(0.1))))
replaced 1, left 0
  1: Dropout
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ModuleNotFoundError(
        "dropfast.torch needs PyTorch: pip install 'dropfast[torch]'", name="torch"
    ) from error

from dropfast.torch.attention import MultiheadAttention, scaled_dot_product_attention
from dropfast.torch.functional import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from dropfast.torch.fused import bias_dropout_add, dropout_add, gelu_dropout
from dropfast.torch.modules import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
)
from dropfast.torch.patching import patched
from dropfast.torch.recurrent import GRU, LSTM, RNN
from dropfast.torch.replacing import Left, Replaced, ReplacementReport, replace_dropout
from dropfast.torch.sequential import fit_sequential

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "Left",
    "MultiheadAttention",
    "Replaced",
    "ReplacementReport",
    "alpha_dropout",
    "bias_dropout_add",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_add",
    "feature_alpha_dropout",
    "fit_sequential",
    "gelu_dropout",
    "patched",
    "replace_dropout",
    "scaled_dot_product_attention",
]

"""Layer 7: dropout for PyTorch on CPUs: drop-in modules over the native kernels.

Nothing is kept for the backward pass but a key: the mask is drawn again. Tensors that the kernels
don't take (of other devices or types) go to PyTorch's own functions.

>>> import torch
>>> from dropfast.torch import Dropout, replace_dropout
>>> _ = torch.manual_seed(0)
>>> x = torch.ones(2, 4, requires_grad=True)
>>> y = Dropout(0.5)(x)
>>> y.sum().backward()
>>> bool((x.grad == y).all())
True
>>> replace_dropout(torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Dropout(0.1)))
Sequential(
  (0): Linear(in_features=4, out_features=2, bias=True)
  (1): Dropout(p=0.1, inplace=False)
)
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

from dropfast.torch.functional import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from dropfast.torch.modules import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
)
from dropfast.torch.replacing import replace_dropout

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "replace_dropout",
]

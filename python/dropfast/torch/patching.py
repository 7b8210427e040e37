"""Layer 7: patched, a context in which the dropout functions of torch.nn.functional are ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from torch.nn import functional as peer

from dropfast.torch import attention, functional

_OURS = {
    "dropout": functional.dropout,
    "dropout1d": functional.dropout1d,
    "dropout2d": functional.dropout2d,
    "dropout3d": functional.dropout3d,
    "alpha_dropout": functional.alpha_dropout,
    "feature_alpha_dropout": functional.feature_alpha_dropout,
    "scaled_dot_product_attention": attention.scaled_dot_product_attention,
}

_lock = threading.Lock()
_depth = 0
_before: dict[str, Any] = {}


@contextlib.contextmanager
def patched() -> Iterator[None]:
    """Let the dropout functions of torch.nn.functional be ours for a while.

    Reaches dropout that is a call, as in most models of Hugging Face: ``F.dropout(x, p, training)``
    and ``F.scaled_dot_product_attention(..., dropout_p=p)``, and with them PyTorch's own modules.
    A function that was imported by its name before (``from torch.nn.functional import dropout``)
    is not reached. The names are those of the whole process: other threads see ours too until the
    last context is left.

    Examples
    --------
    >>> import torch
    >>> import torch.nn.functional as F
    >>> from dropfast.torch import dropout, patched
    >>> with patched():
    ...     F.dropout is dropout
    True
    >>> F.dropout is dropout
    False
    """
    global _depth
    with _lock:
        if _depth == 0:
            _before.update({name: getattr(peer, name) for name in _OURS})
            for name, ours in _OURS.items():
                setattr(peer, name, ours)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                for name, before in _before.items():
                    setattr(peer, name, before)

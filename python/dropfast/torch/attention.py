"""Layer 7: attention with our dropout of its weights: the function and the module of PyTorch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as peer
from torch.nn.modules import activation
from torch.overrides import handle_torch_function

from dropfast.torch import functional, tensors, twins
from dropfast.torch.calls import is_foreign
from dropfast.torch.seeding import Seeded, current, drawing_for

_attention = peer.scaled_dot_product_attention
# Rows without any key become 0 where PyTorch makes them so.
_softmax = getattr(torch.ops.aten, "_safe_softmax", torch.softmax)


def scaled_dot_product_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """softmax(query keyᵀ · scale + mask), dropped with probability `dropout_p`, times value.

    Parameters
    ----------
    query, key, value
        Tensors (..., heads, length, features).
    attn_mask
        True where a key takes part, or a number that is added to its score.
    dropout_p
        Probability to drop a weight. With 0 the call is PyTorch's own. There is no training flag.
    is_causal
        Whether keys later than the query are left out.
    scale
        1 / sqrt(features) where None.
    enable_gqa
        Whether there may be fewer heads of `key` and `value`, each for a group of `query`'s.

    Returns
    -------
    Tensor
        (..., heads, length of query, features of value).

    Notes
    -----
    Between forward and backward lie the weights before and after dropout, no mask: less than what
    PyTorch's function keeps, which with dropout also forms all weights on a CPU.

    Examples
    --------
    >>> import torch
    >>> from dropfast.torch import scaled_dot_product_attention
    >>> x = torch.randn(2, 4, 10, 8)
    >>> scaled_dot_product_attention(x, x, x, dropout_p=0.1).shape
    torch.Size([2, 4, 10, 8])
    """
    extra: dict[str, Any] = {"enable_gqa": True} if enable_gqa else {}
    given = (query, key, value) if attn_mask is None else (query, key, value, attn_mask)
    if (
        not 0.0 < dropout_p <= 1.0
        or (is_causal and attn_mask is not None)
        or any(tensors.kind(x) is tensors.Kind.OTHER for x in given[:3])
        or (attn_mask is not None and not tensors.is_tensor(attn_mask))
    ):
        return _attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **extra)
    if is_foreign(query):
        # A mode, a default device for example, sees the call and makes it without itself.
        return handle_torch_function(  # type: ignore[no-any-return,unused-ignore]
            scaled_dot_product_attention,
            given,
            query,
            key,
            value,
            attn_mask,
            dropout_p,
            is_causal,
            scale=scale,
            **extra,
        )
    if enable_gqa:
        key = key.repeat_interleave(query.size(-3) // key.size(-3), -3)
        value = value.repeat_interleave(query.size(-3) // value.size(-3), -3)
    factor = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = (query * factor) @ key.transpose(-2, -1)
    if is_causal:
        rows, columns = scores.shape[-2:]
        attn_mask = torch.ones(rows, columns, dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(attn_mask.logical_not(), -math.inf)
        else:
            scores = scores + attn_mask
    return _dropped(_softmax(scores, -1), dropout_p) @ value


def _dropped(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Dropout that is a number, at the places of the module that this thread is in."""
    module = current()
    if module is None or module.seed is None or not training:
        return functional.dropout(x, p, training, inplace)
    y = functional.dropout(x, p, training, inplace, key=module.key())
    module.count()
    return y


_multi_head_attention = twins.twin(
    peer.multi_head_attention_forward,
    dropout=_dropped,
    scaled_dot_product_attention=scaled_dot_product_attention,
)
_forward = twins.twin(
    nn.MultiheadAttention.forward,
    F=twins.namespace(activation.F, multi_head_attention_forward=_multi_head_attention),
)


class MultiheadAttention(Seeded, nn.MultiheadAttention):
    """torch.nn.MultiheadAttention with our dropout of its weights: same arguments, same parameters.

    Examples
    --------
    >>> import torch
    >>> from dropfast.torch import MultiheadAttention
    >>> attention = MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
    >>> x = torch.randn(4, 5, 8)
    >>> attention(x, x, x)[0].shape
    torch.Size([4, 5, 8])
    """

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """As torch.nn.MultiheadAttention."""
        if self.seed is None:
            return _forward(self, *arguments, **named)
        with drawing_for(self):
            return _forward(self, *arguments, **named)

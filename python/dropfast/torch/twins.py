"""Layer 7: PyTorch's own functions, with some of the names in them standing for something else.

A dropout that is a number ends in a call deep inside a function of PyTorch's: in
`torch.nn.functional.multi_head_attention_forward`, say, or in the forward pass of `torch.nn.LSTM`.
A twin of that function runs the same code, whatever the version of PyTorch, and finds our dropout
under the name that it calls. Nothing of PyTorch's is changed.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any


def twin(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """A function of the same code, for which `names` stand for other things."""
    found: Any = function
    copy = types.FunctionType(
        found.__code__,
        {**found.__globals__, **names},
        found.__name__,
        found.__defaults__,
        found.__closure__,
    )
    # It may hand itself to what overrides it.
    copy.__globals__[found.__name__] = copy
    copy.__kwdefaults__ = found.__kwdefaults__
    copy.__doc__ = found.__doc__
    return copy


def namespace(module: Any, **names: Any) -> Any:
    """What `module` holds, with some names standing for other things."""
    copy = types.ModuleType(module.__name__, module.__doc__)
    copy.__dict__.update({name: getattr(module, name) for name in dir(module)})
    copy.__dict__.update(names)
    return copy

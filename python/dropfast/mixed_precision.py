"""Layer 6: dtype policies: what layers compute in, and what they keep their weights in.

"mixed_bfloat16" keeps weights, optimizer state and sums in float32 and rounds what products and
layers take to bfloat16; docs/numerics.md has the rules.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MIXED = "mixed_bfloat16"
# Name -> what layers compute in, what weights are.
_KNOWN = {
    "float32": ("float32", "float32"),
    "float64": ("float64", "float64"),
    MIXED: ("bfloat16", "float32"),
}


class Policy:
    """What layers compute in, and what their weights are.

    Parameters
    ----------
    name
        "float32", "float64" or "mixed_bfloat16".

    Attributes
    ----------
    name
        The name.
    compute_dtype
        What layers compute in: "bfloat16" are the operands of products, and what layers hand to one
        another.
    variable_dtype
        What weights and optimizer state are.

    Raises
    ------
    ValueError
        If there is no policy of that name.

    Examples
    --------
    >>> import dropfast as df
    >>> policy = df.mixed_precision.Policy("mixed_bfloat16")
    >>> policy.compute_dtype, policy.variable_dtype
    ('bfloat16', 'float32')
    """

    def __init__(self, name: Any) -> None:
        if not isinstance(name, str) or name not in _KNOWN:
            known = ", ".join(map(repr, _KNOWN))
            raise ValueError(f"policy must be one of {known}. Received: policy={name!r}")
        self._name = name

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """What layers compute in."""
        return _KNOWN[self._name][0]

    @property
    def variable_dtype(self) -> str:
        """What weights are."""
        return _KNOWN[self._name][1]

    @property
    def mixed(self) -> bool:
        """Whether what layers take is rounded."""
        return self._name == MIXED

    def get_config(self) -> dict[str, Any]:
        """The constructor's argument."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Policy:
        """The policy of a config."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"Policy({self._name!r})"


DTypePolicy = Policy
_FLOAT32 = Policy("float32")
_global = _FLOAT32


def global_policy() -> Policy:
    """The policy of layers and models that are made without a dtype.

    Examples
    --------
    >>> import dropfast as df
    >>> df.mixed_precision.global_policy()
    Policy('float32')
    """
    return _global


def set_global_policy(policy: str | Policy) -> None:
    """Set the policy of layers and models that are made from now on without a dtype.

    Parameters
    ----------
    policy
        A policy or its name.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import dropfast as df
    >>> df.mixed_precision.set_global_policy("mixed_bfloat16")
    >>> df.layers.Dense(2)
    Dense(2, dtype='mixed_bfloat16')
    >>> df.mixed_precision.set_global_policy("float32")
    """
    global _global
    _global = policy if isinstance(policy, Policy) else Policy(policy)


dtype_policy, set_dtype_policy = global_policy, set_global_policy


def policy_of(dtype: Any) -> Policy:
    """The policy that a `dtype` argument of a layer or model means.

    Raises
    ------
    ValueError
        If it means none.
    """
    if isinstance(dtype, Policy):
        return dtype
    try:
        if dtype is not None:
            return Policy(dtype if isinstance(dtype, str) else np.dtype(dtype).name)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"dtype must be 'float32', 'float64' or '{MIXED}'. Received: dtype={dtype!r}")


def own_policy(dtype: Any) -> Policy | None:
    """The policy that a layer is given by its `dtype` argument or by the global policy, if any."""
    if dtype is not None:
        return policy_of(dtype)
    return None if _global == _FLOAT32 else _global

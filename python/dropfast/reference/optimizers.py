"""Layer 6, reference: optimizers with the formulas, defaults and order of operations of Keras 3.

One step: clip the gradients, decay the weights, update (then the constraints,
:mod:`dropfast.reference.constraints`). Each update is computed in float64 from what is stored and
rounded when stored.

An optimizer is a dict: ``name`` (one of `DEFAULTS`), its hyperparameters, and
``weight_decay``, ``clipnorm``, ``global_clipnorm``, ``clipvalue``. State is a list of slots: sgd []
or [momentum]; adam and adamw [m, v] and, with amsgrad, [v_hat]; rmsprop [velocity] and, centered,
[average_gradient] and, with momentum, [momentum]; nadam [m, v]; adamax [m, u]; adagrad [sum of
squares]; adadelta [v, u]; lion [momentum].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import Array

F64 = npt.NDArray[np.float64]
Spec = Mapping[str, Any]

DEFAULTS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.0, "nesterov": False},
    "adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
    "adamw": {
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "amsgrad": False,
        "weight_decay": 0.004,
    },
    "rmsprop": {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    "nadam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamax": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adagrad": {"epsilon": 1e-7},
    "adadelta": {"rho": 0.95, "epsilon": 1e-7},
    "lion": {"beta_1": 0.9, "beta_2": 0.99},
}


def sgd(w: F64, g: F64, state: list[F64], lr: float, step: int, p: Spec) -> tuple[F64, list[F64]]:
    """v = momentum v - lr g; w += v, or with Nesterov's look-ahead w += momentum v - lr g."""
    if p["momentum"] == 0.0:
        return w - lr * g, []
    v = p["momentum"] * state[0] - lr * g
    return w + (p["momentum"] * v - lr * g if p["nesterov"] else v), [v]


def adam(w: F64, g: F64, state: list[F64], lr: float, step: int, p: Spec) -> tuple[F64, list[F64]]:
    """Kingma and Ba 2014 with "epsilon hat": w -= alpha m / (sqrt(v) + epsilon)."""
    alpha = lr * np.sqrt(1.0 - p["beta_2"] ** step) / (1.0 - p["beta_1"] ** step)
    m = state[0] + (g - state[0]) * (1.0 - p["beta_1"])
    v = state[1] + (g**2 - state[1]) * (1.0 - p["beta_2"])
    if not p["amsgrad"]:
        return w - alpha * m / (np.sqrt(v) + p["epsilon"]), [m, v]
    v_hat = np.maximum(state[2], v)
    return w - alpha * m / (np.sqrt(v_hat) + p["epsilon"]), [m, v, v_hat]


def rmsprop(
    w: F64, g: F64, state: list[F64], lr: float, step: int, p: Spec
) -> tuple[F64, list[F64]]:
    """Hinton 2012: w -= lr g / sqrt(velocity + epsilon); centered: velocity less squared mean."""
    slots = list(state)
    slots[0] = p["rho"] * state[0] + (1.0 - p["rho"]) * g**2
    denominator = slots[0] + p["epsilon"]
    if p["centered"]:
        slots[1] = p["rho"] * state[1] + (1.0 - p["rho"]) * g
        denominator = denominator - slots[1] ** 2
    increment = lr * g / np.sqrt(denominator)
    if p["momentum"] > 0.0:
        slots[-1] = increment = p["momentum"] * state[-1] + increment
    return w - increment, slots


def nadam(w: F64, g: F64, state: list[F64], lr: float, step: int, p: Spec) -> tuple[F64, list[F64]]:
    """Dozat 2016, with the momentum u(t) = beta_1 (1 - 0.96^t / 2)."""

    def u(t: int) -> float:
        return float(p["beta_1"] * (1.0 - 0.5 * 0.96**t))

    product = float(np.prod([u(t) for t in range(1, step + 1)]))
    m = state[0] + (g - state[0]) * (1.0 - p["beta_1"])
    v = state[1] + (g**2 - state[1]) * (1.0 - p["beta_2"])
    ahead = u(step + 1) * m / (1.0 - product * u(step + 1)) + (1.0 - u(step)) * g / (1.0 - product)
    root = np.sqrt(v / (1.0 - p["beta_2"] ** step))
    return w - lr * ahead / (root + p["epsilon"]), [m, v]


def adamax(
    w: F64, g: F64, state: list[F64], lr: float, step: int, p: Spec
) -> tuple[F64, list[F64]]:
    """Kingma and Ba 2014, section 7.1: w -= lr / (1 - beta_1^t) m / (u + epsilon)."""
    m = state[0] + (g - state[0]) * (1.0 - p["beta_1"])
    u = np.maximum(p["beta_2"] * state[1], np.abs(g))
    return w - lr / (1.0 - p["beta_1"] ** step) * m / (u + p["epsilon"]), [m, u]


def adagrad(
    w: F64, g: F64, state: list[F64], lr: float, step: int, p: Spec
) -> tuple[F64, list[F64]]:
    """Duchi et al. 2011: w -= lr g / sqrt(sum of squares + epsilon)."""
    total = state[0] + g**2
    return w - lr * g / np.sqrt(total + p["epsilon"]), [total]


def adadelta(
    w: F64, g: F64, state: list[F64], lr: float, step: int, p: Spec
) -> tuple[F64, list[F64]]:
    """Zeiler 2012: d = g sqrt(u + epsilon) / sqrt(v + epsilon); w -= lr d."""
    v = p["rho"] * state[0] + (1.0 - p["rho"]) * g**2
    change = g * np.sqrt(state[1] + p["epsilon"]) / np.sqrt(v + p["epsilon"])
    u = p["rho"] * state[1] + (1.0 - p["rho"]) * change**2
    return w - lr * change, [v, u]


def lion(w: F64, g: F64, state: list[F64], lr: float, step: int, p: Spec) -> tuple[F64, list[F64]]:
    """Chen et al. 2023: w -= lr sign(beta_1 m + (1 - beta_1) g)."""
    way = p["beta_1"] * state[0] + (1.0 - p["beta_1"]) * g
    return w - lr * np.sign(way), [p["beta_2"] * state[0] + (1.0 - p["beta_2"]) * g]


_Update = Callable[[F64, F64, list[F64], float, int, Spec], tuple[F64, list[F64]]]
_UPDATES: dict[str, _Update] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adam,
    "rmsprop": rmsprop,
    "nadam": nadam,
    "adamax": adamax,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "lion": lion,
}


def hyperparameters(spec: Spec) -> dict[str, Any]:
    """The spec over the optimizer's defaults."""
    name = spec["name"]
    if name not in _UPDATES:
        raise ValueError(f"optimizer must be one of {', '.join(_UPDATES)}. Received: {name!r}")
    return {**DEFAULTS[name], **spec}


def state_slots(spec: Spec) -> int:
    """How many arrays of state each parameter has."""
    p = hyperparameters(spec)
    if p["name"] == "sgd":
        return int(p["momentum"] != 0.0)
    if p["name"] == "rmsprop":
        return 1 + int(bool(p["centered"])) + int(p["momentum"] > 0.0)
    if p["name"] in ("adagrad", "lion"):
        return 1
    return 2 + int(bool(p.get("amsgrad")))


def initial_state(spec: Spec, params: Sequence[Array]) -> list[list[Array]]:
    """Zeros: one list per slot, one array per parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import initial_state
    >>> len(initial_state({"name": "adam"}, [np.ones(3)]))
    2
    """
    return [[np.zeros_like(w) for w in params] for _ in range(state_slots(spec))]


def clip_gradients(spec: Spec, gradients: Sequence[F64]) -> list[F64]:
    """Clip each gradient's norm, or the norm of all together, or each value.

    Raises
    ------
    ValueError
        If more than one of ``clipnorm``, ``global_clipnorm`` and ``clipvalue`` is given.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import clip_gradients
    >>> clip_gradients({"name": "sgd", "clipnorm": 1.0}, [np.array([3.0, 4.0])])[0].tolist()
    [0.6, 0.8]
    """
    each, together, value = (spec.get(k) for k in ("clipnorm", "global_clipnorm", "clipvalue"))
    if sum(map(bool, (each, together, value))) > 1:
        raise ValueError(
            "only one of clipnorm, clipvalue and global_clipnorm must be given. "
            f"Received: clipnorm={each}, clipvalue={value}, global_clipnorm={together}"
        )
    if each:
        return [g * each / max(float(np.sqrt((g**2).sum())), each) for g in gradients]
    if together:
        norm = float(np.sqrt(sum(float((g**2).sum()) for g in gradients)))
        return [g * together / max(norm, together) for g in gradients]
    if value:
        return [np.clip(g, -value, value) for g in gradients]
    return list(gradients)


def optimizer_update(
    spec: Spec,
    parameter: Array,
    gradient: Array,
    state: Sequence[Array],
    learning_rate: float,
    step: int,
) -> None:
    """The elementwise part of a step: clip values, decay and update one parameter, in place.

    Parameters
    ----------
    spec : dict
        The optimizer.
    parameter : ndarray of float
        Updated in place.
    gradient : ndarray
        Of the parameter's shape; norms are clipped already, see :func:`clip_gradients`.
    state : list of ndarray
        The parameter's array in each slot, updated in place.
    learning_rate : float
    step : int
        Counts from 1.

    Raises
    ------
    ValueError
        For an unknown optimizer or the wrong number of slots.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import optimizer_update
    >>> w = np.ones(2)
    >>> optimizer_update({"name": "sgd"}, w, np.array([1.0, -1.0]), [], 0.5, 1)
    >>> w.tolist()
    [0.5, 1.5]
    """
    p = hyperparameters(spec)
    if len(state) != state_slots(spec):
        raise ValueError(f"state must have {state_slots(spec)} arrays. Received: {len(state)}")
    w = parameter.astype(np.float64)
    if p.get("weight_decay"):
        w = w - w * p["weight_decay"] * learning_rate
    g = gradient.astype(np.float64)
    if p.get("clipvalue"):
        g = np.clip(g, -p["clipvalue"], p["clipvalue"])
    slots = [slot.astype(np.float64) for slot in state]
    w, slots = _UPDATES[p["name"]](w, g, slots, learning_rate, step, p)
    parameter[...] = w
    for slot, new in zip(state, slots, strict=True):
        slot[...] = new

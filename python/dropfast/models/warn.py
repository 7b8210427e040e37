"""Layer 6: warnings where something was asked for that cannot act."""

from __future__ import annotations

import warnings

from dropfast import losses, schedules
from dropfast.training.plan import Plan
from dropfast.training.walk import Place


def warn_if_idle(plan: Plan, loss: losses.Loss | None = None) -> None:
    """Warn of dropout whose every rate is 0, of a softmax of one unit, and of two in a row."""
    rates = [getattr(place.layer, "rate", None) for place in plan.stochastic]
    if rates and all(rate == 0.0 for rate in rates):
        names = ", ".join(dict.fromkeys(place.layer.name for place in plan.stochastic))
        _warn(f"dropout cannot act: the rate of every dropout layer ({names}) is 0")
    for place in plan.places:
        if _softmax(place) and place.output_shape[-1] == 1:
            _warn(
                f"softmax of layer {place.layer.name!r} is over one unit, so it is always 1: use "
                "sigmoid and binary_crossentropy, or more units"
            )
    if getattr(loss, "from_logits", False) and _softmax(plan.places[-1]):
        _warn(
            f"from_logits=True of the loss takes outputs before softmax, but layer "
            f"{plan.places[-1].layer.name!r} ends with softmax"
        )


def warn_if_epochs_matter(plan: Plan, epochs_done: int) -> None:
    """Warn of a schedule in epochs where batches are trained one by one: no epoch ever ends."""
    for place in plan.stochastic:
        rate = getattr(place.layer, "rate", None)
        if isinstance(rate, schedules.Schedule) and rate.unit == "epoch" and not epochs_done:
            _warn(
                f"the rate of layer {place.layer.name!r} moves with epochs, which train_on_batch "
                'does not count: set model.epochs_done, or use a schedule with unit="step"'
            )


def _softmax(place: Place) -> bool:
    return getattr(getattr(place.layer, "activation", None), "name", "") == "softmax"


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=5)

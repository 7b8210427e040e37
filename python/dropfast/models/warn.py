"""Layer 6: warnings where dropout was asked for and cannot act."""

from __future__ import annotations

import warnings

from dropfast.training.plan import Plan


def warn_if_idle(plan: Plan) -> None:
    """Warn if a model has dropout layers and every rate is 0."""
    rates = [getattr(place.layer, "rate", None) for place in plan.stochastic]
    if rates and all(rate == 0.0 for rate in rates):
        names = ", ".join(dict.fromkeys(place.layer.name for place in plan.stochastic))
        warnings.warn(
            f"dropout cannot act: the rate of every dropout layer ({names}) is 0",
            UserWarning,
            stacklevel=4,
        )

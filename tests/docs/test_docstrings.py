"""Everything public is documented, and has an example; the examples themselves run as doctests."""

from __future__ import annotations

import importlib
import inspect

import pytest

PUBLIC = (
    "dropfast",
    "dropfast.activations",
    "dropfast.augment",
    "dropfast.calibration",
    "dropfast.callbacks",
    "dropfast.constraints",
    "dropfast.datasets",
    "dropfast.datasets.fashion_mnist",
    "dropfast.initializers",
    "dropfast.layers",
    "dropfast.losses",
    "dropfast.metrics",
    "dropfast.optimizers",
    "dropfast.optimizers.schedules",
    "dropfast.plot",
    "dropfast.recipes",
    "dropfast.reference",
    "dropfast.regularizers",
    "dropfast.schedules",
)


def module(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        parent, _, child = name.rpartition(".")
        return getattr(importlib.import_module(parent), child)


def names_of(room):
    """What a module offers: what it lists, or else what it defines itself."""
    listed = getattr(room, "__all__", None)
    if listed is not None:
        return listed
    own = [
        n for n, thing in vars(room).items() if getattr(thing, "__module__", "") == room.__name__
    ]
    return [name for name in own if not name.startswith("_")]


def public():
    """Classes and functions by the first name under which users find them."""
    found = {}
    for name in PUBLIC:
        room = module(name)
        for label in names_of(room):
            thing = getattr(room, label)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                found.setdefault(thing, f"{name}.{label}")
    return [pytest.param(thing, id=name) for thing, name in found.items()]


@pytest.mark.parametrize("thing", public())
def test_has_an_example(thing):
    assert ">>> " in (thing.__doc__ or "")


def test_the_list_is_not_empty_by_mistake():
    found = {parameter.id for parameter in public()}
    assert len(found) > 150
    assert {"dropfast.Sequential", "dropfast.dropout", "dropfast.callbacks.CSVLogger"} <= found

"""Conditional hyperparameters: not searched where they are inactive, and refused where they are never active.

The words are ConfigSpace's; each method declares its conditions itself (`Hyperparameter.active_when`).
"""

from __future__ import annotations

from collections.abc import Mapping

from peftsearch.core.dimensions import Dimension, Scalar, describe, extremes
from peftsearch.methods.base import Method
from peftsearch.methods.hyperparameters import Condition


def condition_of(method: Method, name: str) -> Condition | None:
    """The condition of the dimension `name`; None for one that is always active, as those of training are."""
    hyperparameter = method.hyperparameters.get(name)
    return hyperparameter.active_when if hyperparameter else None


def is_active(method: Method, name: str, settings: Mapping[str, Scalar]) -> bool:
    """Whether the dimension `name` has an effect beside these `settings`."""
    condition = condition_of(method, name)
    return condition is None or condition.holds(settings)


def activating_setting(method: Method, name: str, space: Mapping[str, Dimension]) -> dict[str, Scalar]:
    """The first setting of the parent in `space` that activates `name`; empty without a condition, or if none does."""
    condition = condition_of(method, name)
    if condition is None or condition.parent not in space:
        return {}
    active = [value for value in extremes(space[condition.parent]) if value in condition.values]
    return {condition.parent: active[0]} if active else {}


def complaint_if_inactive(method: Method, name: str, space: Mapping[str, Dimension]) -> str | None:
    """Why the dimension `name` is inactive everywhere in `space`; None if it is active somewhere."""
    condition = condition_of(method, name)
    if condition is None or condition.parent not in space or activating_setting(method, name, space):
        return None
    return (
        f"changes nothing where {condition.parent} is {describe(space[condition.parent])}; "
        f"leave it out, or let {condition.parent} be {' or '.join(map(str, condition.values))} too"
    )

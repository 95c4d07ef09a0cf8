"""Dimensions that change nothing under some values of another one: not searched there, refused if that is all."""

from __future__ import annotations

from collections.abc import Mapping

from peftsearch.core.dimensions import Choice, Dimension, Scalar, Valid, describe, extremes
from peftsearch.methods.own_weights.unfreezing import ORDERS, PLANNED

IDLE: dict[str, tuple[str, frozenset[Scalar]]] = {
    "pooling": ("head", frozenset({"native", "lstm"})),
    "stages": ("order", frozenset({"query_key_value", PLANNED})),
    "plan": ("order", frozenset(ORDERS)),
}
"""Dimension → the one that governs it, and that one's values under which it changes nothing."""


def is_idle(name: str, settings: Mapping[str, Scalar]) -> bool:
    """Whether the dimension `name` changes nothing beside these `settings`."""
    governor, values = IDLE.get(name, ("", frozenset()))
    return settings.get(governor) in values


def awake(name: str, space: Mapping[str, Dimension]) -> dict[str, Scalar]:
    """The setting of `space` under which the dimension `name` counts; empty if it always does, or never."""
    governor, values = IDLE.get(name, ("", frozenset()))
    counts = [value for value in extremes(space[governor]) if value not in values] if governor in space else []
    return {governor: counts[0]} if counts else {}


def complaint_if_idle(name: str, space: Mapping[str, Dimension], valid: Mapping[str, Valid]) -> str | None:
    """Why the dimension `name` changes nothing anywhere in `space`; None if it does somewhere."""
    governor, values = IDLE.get(name, ("", frozenset()))
    if governor not in space or awake(name, space):
        return None
    possible = valid[governor]
    assert isinstance(possible, Choice)
    wanted = [str(value) for value in possible.options if value not in values]
    return (
        f"changes nothing where {governor} is {describe(space[governor])}; "
        f"leave it out, or let {governor} be {' or '.join(wanted)} too"
    )

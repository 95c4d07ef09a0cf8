"""The tolerance of a front: by how much two trials may differ in an objective and count as equal in it.

What is timed is never the same twice, so every timed objective has a tolerance by default (`core.objectives`). A study
file and the option `--tolerance` name others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from peftsearch.core.dimensions import number
from peftsearch.core.errors import UserError, shown
from peftsearch.core.objectives import OBJECTIVES, complaint_about, find_objective, is_metric

NONE = "none"
"""What is written instead of a tolerance where values count as equal only if they are the same."""


@dataclass(frozen=True)
class Margin:
    """By how much two values of one objective may differ and count as equal.

    Attributes:
        amount: in the objective's own unit, or a share of the smaller value; with 0 only the same values are equal.
        relative: whether the amount is a share.
        floor: beside a share, by how much more values may differ, in the objective's own unit.

    >>> print(Margin(0.005), Margin(0.1, relative=True))
    0.005 10%
    """

    amount: float
    relative: bool = False
    floor: float = 0.0

    def __str__(self) -> str:
        return f"{100 * self.amount:.10g}%" if self.relative else f"{self.amount:.10g}"


EXAMPLE = "{macro_f1: 0.005, train_seconds: 10%}"

Tolerance = Mapping[str, Margin]
"""Objective → margin, of the objectives that do not have the margin of `core.objectives`."""

AS_MEASURED: Tolerance = MappingProxyType({})
"""Every objective has the margin of `core.objectives`, which was measured."""

EXACT: Tolerance = MappingProxyType({name: Margin(0.0) for name, found in OBJECTIVES.items() if found.equal_within})
"""Values count as equal only if they are the same."""


def margin_of(objective: str, tolerance: Tolerance) -> Margin:
    """The margin of an objective: that of `tolerance`, or else that of `core.objectives`."""
    found = tolerance.get(objective)
    known = find_objective(objective)
    return found or Margin(known.equal_within, relative=True, floor=known.noise_floor)


def margins_of(objectives: Sequence[str], tolerance: Tolerance) -> dict[str, Margin]:
    """The margin of each objective within which values count as equal that differ."""
    found = {name: margin_of(name, tolerance) for name in objectives}
    return {name: margin for name, margin in found.items() if margin.amount}


def parse_tolerance(written: Any, objectives: Sequence[str]) -> tuple[Tolerance, dict[str, str]]:
    """The tolerance that a person has written: `none`, or objective → margin.

    Args:
        written: what a study file or an option holds; None if it says nothing.
        objectives: the study's, by name.

    Returns:
        The tolerance; and what is wrong with it: objective → complaint, under an empty name if it is about the whole.
    """
    if written is None:
        return AS_MEASURED, {}
    if written == NONE:
        return dict.fromkeys((*EXACT, *objectives), Margin(0.0)), {}
    if not isinstance(written, Mapping):
        return AS_MEASURED, {"": f"must be {NONE} or a mapping like {EXAMPLE}, but got {shown(written)}"}
    found, complaints = {}, {}
    for name, margin in ((str(key), value) for key, value in written.items()):
        complaint = complaint_about(name)
        if complaint or name not in objectives:
            complaints[name] = complaint or f"is no objective of this study, which has {', '.join(objectives)}"
            continue
        try:
            found[name] = read_margin(name, margin)
        except ValueError as error:
            complaints[name] = str(error)
    return found, complaints


def asked_tolerance(written: Any, objectives: Sequence[str]) -> Tolerance:
    """The tolerance that an option names, as `parse_tolerance` reads it.

    Raises:
        UserError: it cannot be meant.
    """
    found, complaints = parse_tolerance(written, objectives)
    for name, complaint in complaints.items():
        raise UserError(f"--tolerance {name}: {complaint}" if name else f"--tolerance {complaint}")
    return found


def read_margin(objective: str, written: Any) -> Margin:
    """The margin that a person has written as a number or as a percentage like `10%`.

    Raises:
        ValueError: says what the margin of this objective must be, as a predicate.

    >>> read_margin("train_seconds", "10%"), read_margin("macro_f1", 0.005)
    (Margin(amount=0.1, relative=True), Margin(amount=0.005, relative=False))
    """
    share = isinstance(written, str) and written.rstrip().endswith("%")
    amount = number(written.rstrip().removesuffix("%").rstrip() if share else written)
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not math.isfinite(amount):
        raise ValueError(f"must be a number or a percentage like 10%, but got {shown(written)}")
    if share and is_metric(objective):
        raise ValueError(f"must be a number like 0.005, since a percentage is of a cost, but got {shown(written)}")
    most, unit = (100.0, "%") if share else (_range_of(objective), "")
    if not 0 <= amount < most:
        limits = "0 or more" if most == math.inf else f"at least 0{unit} and below {most:g}{unit}"
        raise ValueError(f"must be {limits}, but got {shown(written)}")
    return Margin(amount / 100, relative=True) if share else Margin(float(amount))


def _range_of(objective: str) -> float:
    """How far two values can be apart."""
    bounds = find_objective(objective).bounds
    return bounds[1] - bounds[0] if bounds else math.inf

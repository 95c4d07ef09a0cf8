"""Constraints of a study: bounds on objectives. A trial that breaks one is never on the front."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.objectives import find_objective, value_of

SIGNS = {"minimize": "<=", "maximize": ">="}


@dataclass(frozen=True)
class Constraint:
    """A bound on an objective, which the study need not optimise: an upper one where less is better, else a lower one.

    >>> print(Constraint("trainable_parameters", 1_000_000))
    trainable_parameters <= 1,000,000
    """

    objective: str
    bound: float

    def __str__(self) -> str:
        return f"{self.objective} {SIGNS[find_objective(self.objective).direction]} {self.bound:,.10g}"

    def excess(self, value: float) -> float:
        """How far `value` is beyond the bound, as a share of the bound so that constraints compare; at most 0 within.

        >>> Constraint("macro_f1", 0.5).excess(0.25), Constraint("latency_ms", 20).excess(10)
        (0.5, -0.5)
        """
        beyond = value - self.bound if find_objective(self.objective).direction == "minimize" else self.bound - value
        return beyond / (abs(self.bound) or 1.0)


@dataclass(frozen=True)
class Check:
    """A constraint and what a trial has; `value` is None if it was not measured, and breaks nothing then."""

    constraint: Constraint
    value: float | None

    @property
    def excess(self) -> float:
        return 0.0 if self.value is None else self.constraint.excess(self.value)

    @property
    def broken(self) -> bool:
        return self.excess > 0

    def __str__(self) -> str:
        return f"{self.constraint}: {self._has()}"

    def _has(self) -> str:
        if self.value is None:
            return "not measured"
        rounded = f"{self.value:,.{find_objective(self.constraint.objective).digits}f}"
        # A number that breaks the constraint must not look as if it kept it.
        kept = self.constraint.excess(float(rounded.replace(",", ""))) <= 0
        return f"has {self.value:,.10g}" if self.broken and kept else f"has {rounded}"


class BreaksConstraint(Exception):
    """A trial that is not trained, or not any further, because it breaks constraints whatever it learns.

    Attributes:
        checks: the constraints on what is known so far.
    """

    def __init__(self, checks: Sequence[Check]) -> None:
        super().__init__(breaking(checks))
        self.checks = tuple(checks)


def breaking(checks: Iterable[Check]) -> str:
    """`breaks the constraint trainable_parameters <= 1,000,000: has 22,716,676`; empty if none is broken."""
    broken = [str(check) for check in checks if check.broken]
    noun = "constraint" if len(broken) == 1 else "constraints"
    return f"breaks the {noun} {'; '.join(broken)}" if broken else ""


def checks_of(constraints: Iterable[Constraint], measurement: Measurement) -> tuple[Check, ...]:
    """Each constraint with what a finished trial has measured."""
    return tuple(Check(constraint, value_of(constraint.objective, measurement)) for constraint in constraints)


def checks_of_values(constraints: Iterable[Constraint], values: Mapping[str, float]) -> tuple[Check, ...]:
    """The constraints on the objectives in `values`."""
    known = [constraint for constraint in constraints if constraint.objective in values]
    return tuple(Check(constraint, values[constraint.objective]) for constraint in known)


def checks_before_training(constraints: Iterable[Constraint], parameters: int) -> tuple[Check, ...]:
    """The constraints on objectives that a count of trainable parameters tells before the first step."""
    known = [(constraint, find_objective(constraint.objective).of_parameters) for constraint in constraints]
    return tuple(Check(constraint, of(parameters)) for constraint, of in known if of)


def checks_so_far(constraints: Iterable[Constraint], curve: Sequence[EpochReport]) -> tuple[Check, ...]:
    """The constraints on what only grows with the epochs, which are seconds, with what these epochs took."""
    known = [constraint for constraint in constraints if find_objective(constraint.objective).known == "time"]
    return tuple(Check(c, sum(getattr(report, c.objective) for report in curve)) for c in known)

"""How a study's trials stand to its constraints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peftsearch.core.constraints import Check, Constraint, breaking

if TYPE_CHECKING:
    from peftsearch.storage.records import Record


@dataclass(frozen=True)
class Tally:
    """How many trials break a constraint.

    Attributes:
        broken: trials that break it.
        untrained: those of them that were not trained, because they would break a constraint whatever they learn.
        unmeasured: finished trials that have not measured what it bounds, and so break it as little as they keep it.
    """

    constraint: Constraint
    broken: int
    untrained: int
    unmeasured: int

    def __str__(self) -> str:
        """`constraint latency_ms <= 20: broken by 3 trials, 1 of which was not trained; not measured by 2`"""
        words = f"constraint {self.constraint}: broken by {_trials(self.broken) if self.broken else 'no trial'}"
        if self.untrained:
            words += f", {self.untrained} of which {'was' if self.untrained == 1 else 'were'} not trained"
        return words + (f"; not measured by {_trials(self.unmeasured)}" if self.unmeasured else "")

    def to_dict(self) -> dict[str, Any]:
        counts = {"broken": self.broken, "not_trained": self.untrained, "not_measured": self.unmeasured}
        return {"objective": self.constraint.objective, "bound": self.constraint.bound, **counts}


def tally(records: Iterable[Record], constraints: Iterable[Constraint]) -> list[Tally]:
    """Count the trials that break each of the study's constraints."""
    ended = [record for record in records if record.checks]
    return [_tally(constraint, ended) for constraint in constraints]


def why_no_front(records: Sequence[Record]) -> str:
    """Why nothing is on the front: nothing has finished, or which of the trials that break constraints is nearest."""
    ended = [record for record in records if not record.feasible]
    if not ended:
        return "no trial has finished yet"
    nearest = min(ended, key=lambda record: (sum(max(0.0, check.excess) for check in record.checks), record.number))
    return f"no trial keeps the constraints; the nearest is trial {nearest.number}, which {breaking(nearest.checks)}"


def check_json(check: Check) -> dict[str, Any]:
    """A trial's value beside a constraint, as JSON data."""
    constraint = check.constraint
    return {
        "objective": constraint.objective,
        "bound": constraint.bound,
        "value": check.value,
        "broken": None if check.value is None else check.broken,
    }


def _tally(constraint: Constraint, ended: Sequence[Record]) -> Tally:
    own = [(record, check) for record in ended for check in record.checks if check.constraint == constraint]
    return Tally(
        constraint,
        broken=sum(check.broken for _, check in own),
        untrained=sum(check.broken and record.state != "complete" and not record.curve for record, check in own),
        unmeasured=sum(check.value is None for _, check in own),
    )


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"

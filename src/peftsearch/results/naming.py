"""What a person calls a point of a study: `7`, `7@3` or `best`, and what stands behind such a name."""

from __future__ import annotations

from collections.abc import Sequence

from peftsearch.core.errors import UserError
from peftsearch.core.objectives import value_of
from peftsearch.core.points import Point, parse_point
from peftsearch.storage.points import epochs_of
from peftsearch.storage.records import Record

BEST = "best"
"""Names the point on the front with the best quality."""

STATES = {
    "waiting": "it is waiting",
    "running": "it is running",
    "complete": "it is complete",
    "pruned": "it was pruned",
    "failed": "it has failed",
}
"""The state of a trial, as a sentence says it."""


def point_named(written: int | str | Point) -> Point:
    """The point that is named, unless it is `best`.

    Raises:
        UserError: it names none.
    """
    found = parse_point(str(written))
    if found is None:
        raise UserError(f"{str(written)!r} is neither a trial, as 7, nor an epoch of one, as 7@3, nor {BEST!r}")
    return found


def record_at(point: Point, known: Sequence[Record], objectives: Sequence[str], study: str) -> Record:
    """What a study holds of a point: the whole trial, or the trial as it was after an epoch.

    Args:
        point: an epoch with which the trial's weights and cost are those of the whole trial names the whole trial.
        known: every trial in every state, by number.
        objectives: the study's, by name.
        study: its name, for messages.

    Raises:
        UserError: there is no such trial, or no such epoch; the message says which there are.
    """
    whole = next((record for record in known if record.number == point.trial), None)
    if whole is None:
        numbers = f"its trials are {known[0].number} to {known[-1].number}" if known else "it has none yet"
        raise UserError(f"study {study!r} has no trial {point.trial}; {numbers}")
    if point.epoch is None:
        return whole
    found = next((record for record in epochs_of(whole, objectives) if record.epoch == point.epoch), None)
    if found is not None:
        return found
    if whole.measurement and whole.measurement.best_epoch == point.epoch:
        return whole
    why = _why(whole, point, objectives)
    raise UserError(f"trial {point.trial} of study {study!r} has no epoch {point.epoch} to choose: {why}")


def epochs_instead(record: Record, objectives: Sequence[str]) -> str:
    """What to name of a trial that has no end: `name one of its epochs, 4@1 to 4@3`; empty if none is a point.

    Args:
        record: a trial that was pruned, failed, or has not ended.
        objectives: the study's, by name.
    """
    names = [str(epoch.point) for epoch in epochs_of(record, objectives)] if record.state == "pruned" else []
    if len(names) < 2:
        return f"name its epoch, {names[0]}" if names else ""
    return f"name one of its epochs, {names[0]} to {names[-1]}"


def _why(whole: Record, point: Point, objectives: Sequence[str]) -> str:
    """Why an epoch of a trial is no point."""
    ran, measured = len(whole.curve), whole.measurement or whole.so_far
    if measured and whole.config and not measured.epochs:
        return f"{whole.config.method} trains in no epochs; name the whole trial, {point.trial}"
    if point.epoch is not None and point.epoch > ran:
        return f"it has run {ran} epoch{'' if ran == 1 else 's'}" if ran else "it has run none"
    if whole.state not in ("complete", "pruned"):
        return f"{STATES[whole.state]}, and only epochs of complete and of pruned trials are points"
    if measured is None:
        return "what its epochs cost was not kept when it was pruned"
    then = measured.after(point.epoch or ran, whole.curve)
    return f"{', '.join(name for name in objectives if value_of(name, then) is None)} was not measured"

"""What a person calls a point of a study: `7`, `7@3` or `best`, and what stands behind such a name."""

from __future__ import annotations

from collections.abc import Sequence

from peftsearch.core.errors import UserError
from peftsearch.core.points import Point, parse_point
from peftsearch.storage.points import epochs_of
from peftsearch.storage.records import Record

BEST = "best"
"""Names the point on the front with the best quality."""


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
    why = _why(whole, point)
    raise UserError(f"trial {point.trial} of study {study!r} has no epoch {point.epoch} to choose: {why}")


def _why(whole: Record, point: Point) -> str:
    """Why an epoch of a trial is no point."""
    ran = len(whole.curve)
    if point.epoch is not None and point.epoch > ran:
        return f"it has run {ran} epoch{'' if ran == 1 else 's'}" if ran else "it has run none"
    if whole.state in ("complete", "pruned"):
        return "not every objective is known of it"
    return f"it is {whole.state}, and only epochs of complete and of pruned trials are points"

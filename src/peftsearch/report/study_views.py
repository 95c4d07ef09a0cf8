"""What commands print about a study: its front, the best trial of each method, its progress, and ended trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from peftsearch.confirm.statistics import pooled_deviation
from peftsearch.confirm.summary import confirmation
from peftsearch.core.front.tolerance import AS_MEASURED, Tolerance
from peftsearch.core.objectives import find_objective, quality_objective
from peftsearch.report.audit import reference_in_words, scaled_in_words, timings_in_words
from peftsearch.report.on_test import confirmed_points, sentences_on_test
from peftsearch.report.paragraph import Paragraph
from peftsearch.report.running import running_view
from peftsearch.report.tables import front_table, running_table, status_table, time_left, what_points_are
from peftsearch.results.feasibility import tally, why_no_front
from peftsearch.results.formatting import (
    config_in_words,
    duration,
    objective_label,
    objective_with_unit,
    reason_in_words,
)
from peftsearch.results.front import (
    Row,
    best_of_methods,
    front,
    front_in_words,
    left_off,
    on_front_in_words,
    whole_trials,
)
from peftsearch.results.outlook.pace import likely_reached
from peftsearch.results.status import Status, status
from peftsearch.results.times.again import times_in_words
from peftsearch.results.times.kinds import apart, scaled_kinds
from peftsearch.storage.times.scale import scale_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from peftsearch.results.outlook.prospect import Prospect
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.records import Record


def front_view(stored: StoredStudy) -> list[RenderableType]:
    """The front, with the number of trials it was chosen from and the reference."""
    known, found = stored.records(), stored.points()
    best = [row for row in found if row.on_front]
    if not best:
        return [f"{stored.name}: {why_no_front(known)}"]
    heading = f"{stored.name}: {on_front_in_words(best, f'{sum(record.done for record in known)} trials')}"
    count, command = left_off(found), f"peftsearch front --study {stored.name} --tolerance none"
    shown = f"; {command} shows {'it' if count == 1 else 'them'}" if count else ""
    notes = [line + shown for line in front_in_words(found, stored.objectives, stored.tolerance)]
    notes += times_in_words(stored.study, stored.objectives, stored.epochs_asked)
    return _with_reference(stored, heading, best, [*notes, *more_trials(stored)])


def more_trials(stored: StoredStudy) -> list[str]:
    """What more trials are likely to bring, and whether that is more than what seeds change; empty while unknown."""
    found = stored.prospect()
    if found is None:
        return []
    confirmed = confirmation(stored)
    spreads = [row.validation_spread for row in confirmed.rows if row.random and confirmed.metric == stored.quality]
    beside = found.beside_seeds(stored.quality, pooled_deviation(spreads), stored.name)
    return [found.sentence(stored.quality), *([beside] if beside else [])]


def methods_view(stored: StoredStudy) -> list[RenderableType]:
    """The best trial of each method, and the reference."""
    found = stored.points()
    best = best_of_methods(found)
    if not best:
        return [f"{stored.name}: {why_no_front(stored.records())}"]
    label, finished = objective_label(stored.quality), len(whole_trials(found))
    heading = f"{stored.name}: the best trial of each method by {label}, out of {finished} finished trials"
    return _with_reference(stored, heading, best)


def status_view(stored: StoredStudy) -> list[RenderableType]:
    """How far the search is, the running trials, and what confirming has found."""
    now = stored.status()
    heading = f"{stored.name}: {', '.join(part for part in (_done(now), time_left(now)) if part)}"
    parts: list[RenderableType] = [heading, status_table(now), *map(str, now.constraints)]
    if now.running:
        parts.append(running_table(now.running, stored.quality))
    return [*parts, *map(Paragraph, (*more_trials(stored), *sentences_on_test(confirmation(stored))))]


def progress_view(
    records: Sequence[Record],
    objectives: Sequence[str],
    budget: int | None,
    limit: float | None = None,
    tolerance: Tolerance = AS_MEASURED,
    every_epoch: bool = False,
    more: Prospect | None = None,
) -> list[RenderableType]:
    """How far the search is, the running trials and the front so far, for a terminal that is redrawn.

    Args:
        limit: the seconds until the time limit, if there is one.
        tolerance: with which the front is chosen.
        every_epoch: whether each epoch of a trial is a point of it.
        more: what more trials are likely to bring, if that is known.
    """
    now, quality = status(records, budget), quality_objective(objectives)
    left = _left(now, limit) if limit is None else likely_reached(records, limit, budget) or _left(now, limit)
    parts: list[RenderableType] = [Paragraph(", ".join(part for part in (_done(now), left) if part))]
    parts += [Paragraph(more.in_short(quality))] if more else []
    parts += running_view(now.running, quality)
    best = front(records, objectives, tolerance, every_epoch=every_epoch)
    return [*parts, front_table(best, objectives, title="\nPareto front so far")] if best else parts


def _done(now: Status) -> str:
    if now.budget:
        return f"{now.done} of {now.budget} trials done"
    return "1 trial done" if now.done == 1 else f"{now.done} trials done"


def trial_line(record: Record, objectives: Sequence[str]) -> str:
    """One line about an ended trial, for a pipe."""
    heading = f"trial {record.number} {record.state}"
    if record.config:
        heading += f": {record.config.method} ({config_in_words(record.config)})"
    if record.state == "complete":
        reached = [objective_with_unit(name, record.values[name], record.measurement) for name in objectives]
        return ", ".join((heading, *reached, *filter(None, [reason_in_words(record)])))
    epochs = f" after epoch {len(record.curve)}" if record.curve else ""
    return f"{heading}{epochs}: {reason_in_words(record)}" if reason_in_words(record) else heading + epochs


def ended_lines(
    before: Sequence[Record],
    after: Sequence[Record],
    objectives: Sequence[str],
    budget: int | None,
    limit: float | None = None,
) -> Iterator[str]:
    """A line about each trial that has ended since `before`, with the trials done until then and the time left.

    Args:
        limit: the seconds until the time limit, if there is one.
    """
    ended, now = newly_ended(before, after), status(after, budget)
    left = _left(now, limit)
    done = now.done - sum(record.done for record in ended)
    for record in ended:
        done += record.done
        place = f"{done}/{budget}" if budget else f"{done} done:"
        parts = (f"{place} {trial_line(record, objectives)}", left if record is ended[-1] else "")
        yield ", ".join(part for part in parts if part)


def _left(now: Status, limit: float | None) -> str:
    """The time left in words: until the search is done or, if that comes before, until its time limit."""
    if limit is None or (now.seconds_left is not None and now.seconds_left < limit):
        return time_left(now)
    return f"{duration(limit)} left" if limit >= 1 else ""


def newly_ended(before: Sequence[Record], after: Sequence[Record]) -> list[Record]:
    """The trials that have ended since `before`, by number."""
    over = {record.number for record in before if _is_over(record)}
    return [record for record in after if _is_over(record) and record.number not in over]


def _with_reference(
    stored: StoredStudy, heading: str, rows: Sequence[Row], notes: Sequence[str] = ()
) -> list[RenderableType]:
    """A heading, a table of the rows, what is to be said of them, the constraints, what confirming has found, and the
    reference if it is known."""
    reference = [stored.reference.sentence(stored.quality)] if stored.reference else []
    found = confirmation(stored)
    table = front_table(rows, stored.objectives, confirmed=confirmed_points(found))
    names = what_points_are(row.point for row in rows)
    constraints = map(str, tally(stored.records(), stored.constraints))
    told = [*sentences_on_test(found), *mixed_times(stored)]
    return [heading, table, *map(Paragraph, (*names, *notes)), *constraints, *map(Paragraph, told), *reference]


def mixed_times(stored: StoredStudy) -> list[str]:
    """Sentences if the study compares times of several kinds of device: how they compare, and whether all do."""
    if not any(find_objective(name).known == "time" for name in stored.objectives):
        return []
    known, scale = stored.records(), scale_of(stored.study)
    found = apart(known)
    scaled = [scaled_in_words(kind) for kind in scaled_kinds(known, scale)]
    nobody = [reference_in_words(scale)] if scale.nobody_is_named else []
    return [*nobody, *scaled, *([timings_in_words(found)] if found else [])]


def _is_over(record: Record) -> bool:
    return record.state in ("complete", "pruned", "failed")

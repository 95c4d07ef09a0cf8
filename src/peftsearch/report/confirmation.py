"""What confirming has found, for people: a table, and sentences under it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from peftsearch.confirm.compared import is_counted
from peftsearch.confirm.confirmed import Confirmed
from peftsearch.confirm.statistics import Interval
from peftsearch.confirm.summary import Confirmation
from peftsearch.core.objectives import find_objective
from peftsearch.core.points import Point
from peftsearch.report.fitted_table import FittedTable
from peftsearch.report.tables import trials_beginning
from peftsearch.results.formatting import count_in_words, enumerated, objective_in_words, objective_label
from peftsearch.storage.confirm_queue import REFERENCE_POINT
from peftsearch.storage.confirmations import SeedRun

if TYPE_CHECKING:
    from rich.console import RenderableType

TF_IDF = "TF-IDF with logistic regression, the reference,"


def confirmation_view(found: Confirmation) -> list[RenderableType]:
    """A heading, the table, and what it says in sentences."""
    from peftsearch.report.paragraph import Paragraph

    if not found.rows:
        return [f"{found.study}: no trial has been confirmed yet"]
    count = f"{len(found.rows)} trial{'s' if len(found.rows) > 1 else ''}"
    heading = f"{found.study}: {count} trained again with other seeds, and measured on the test split"
    heading += f" ({found.test_rows:,} rows)" if found.test_rows else ""
    return [Paragraph(heading), confirmation_table(found), *map(Paragraph, sentences(found))]


def confirmation_table(found: Confirmation) -> FittedTable:
    """The confirmed trials, best mean on the test split first, and the reference below them."""
    reference = [found.reference] if found.reference else []
    table, first = trials_beginning([row.config for row in (*found.rows, *reference)])
    label = objective_label(found.metric)
    for heading in (f"{label}\non test", "95 %\ninterval"):
        table.add_column(heading, "number")
    table.add_column("may be\nthe best", "word")
    for heading in ("in the\nsearch", "seeds", "trainable\nparameters", "train\nmean s"):
        table.add_column(heading, "number")
    for row in found.rows:
        table.add_row(*first.cells(row.point, row.config), *_numbers(found, row))
    if found.reference:
        table.add_section()
        _, *cells = first.cells(found.reference.point, found.reference.config)
        table.add_row("ref.", *cells, *_numbers(found, found.reference))
    return table


def _numbers(found: Confirmation, row: Confirmed) -> list[str]:
    spread, seconds = row.test_spread, row.train_seconds
    return [
        objective_in_words(found.metric, spread.mean) if spread else "–",
        _range(found.metric, row.interval),
        {True: "yes", False: "no", None: "–"}[row.may_be_best],
        objective_in_words(found.metric, row.searched) if found.metric in row.measurement.metrics else "–",
        str(len(row.test)) if row.random else f"{len(row.test)} (no chance)",
        count_in_words(row.measurement.trainable_parameters),
        "–" if seconds is None else objective_in_words("train_seconds", seconds),
    ]


def sentences(found: Confirmation) -> Iterator[str]:
    """Say which trials may be the best, which to take of the nearest, how far validation overstates, what failed."""
    if found.measured:
        yield from _best(found)
        yield from _cheapest(found)
        yield from _against_the_reference(found)
        yield from _overstatement(found)
    yield from _old_runs(found)
    for row in (*found.rows, *([found.reference] if found.reference else [])):
        for run in row.runs:
            if run.failure:
                yield f"{words_of(run.point)}, seed {run.seed} failed: {failure_in_words(run)}"


def _best(found: Confirmation) -> Iterator[str]:
    best, *others = found.measured
    if best.interval is None:
        if not is_counted(found.metric):
            yield f"{objective_label(found.metric)} has no interval: it is not counted from true and predicted classes"
        return
    if not others:
        if best.interval.low is None:
            yield "one seed does not show how far scores spread; use --seeds 2 or more"
        return
    unknown = [row.point for row in found.measured if row.may_be_best is None]
    if unknown:
        yield f"which trial may be the best cannot be said from one seed each ({_list(unknown)}); use --seeds 2 or more"
        return
    able = [row.point for row in found.may_be_best]
    if len(able) == 1:
        yield f"{able[0].in_words} is better on test than every other trial here (95 %, over rows and seeds)"
        return
    yield (
        f"trials {_list(able)} may be the best: the others are worse by more than rows and seeds explain (95 %)"
        if (len(able) < len(found.measured))
        else f"trials {_list(able)} may each be the best: rows and seeds explain their differences (95 %)"
    )
    for row in found.may_be_best:
        difference = row.behind(best) if row is not best else None
        if difference:
            said = f"{row.point.in_words} minus {best.point.in_words} on test: {_signed(found, difference)}"
            if difference.told_apart:
                said += f" for these two alone; among {len(found.measured)} trials, chance can do as much"
            yield said


def _cheapest(found: Confirmation) -> Iterator[str]:
    cheapest, near = found.cheapest, found.near_best
    if cheapest is None or len(found.may_be_best) < 2:
        return
    if len(near) == 1:
        yield f"no other trial is within one standard error of {cheapest.point.in_words}, which has the best mean"
        return
    how = ", then ".join(objective_label(name) if name != "trainable_parameters" else "trainable parameters"
                         for name in found.costs)  # fmt: skip
    best = ", and has the best mean" if cheapest is found.measured[0] else ""
    yield (
        f"{cheapest.point.in_words} ({cheapest.config.method}) is the cheapest of the {len(near)} within one standard "
        f"error of the best mean, by {how}{best}"
    )


def _against_the_reference(found: Confirmation) -> Iterator[str]:
    """Whether the best trial beats the reference."""
    best, reference = found.measured[0], found.reference
    difference = best.behind(reference) if reference else None
    if difference is None:
        return
    gained, name = found.sign * difference.mean, best.point.in_words
    said = f"{name} minus {TF_IDF} on test: {_signed(found, difference)}"
    if difference.told_apart:
        yield said if gained > 0 else f"{said}; {name} is worse than it"
    else:
        yield f"{said}; {name} is not shown to be better than it"


def _overstatement(found: Confirmation) -> Iterator[str]:
    """How much better the scores of the search were than those on test, for each trial."""
    gaps, label = found.optimism, objective_label(found.metric)
    digits = find_objective(found.metric).digits
    explained = []
    for row in found.measured:
        named, gap = row.point.in_words, gaps[row.point]
        if row.overstated is not None and row.overstated.told_apart:
            yield (
                f"the search's validation {label} of {named} was {'better' if gap > 0 else 'worse'} than its "
                f"test {label}: {_signed(found, row.overstated)}, more than rows and seeds explain"
            )
        else:
            explained.append(f"{gap:+.{digits}f} ({named})")
    if explained:
        known = all(row.overstated and row.overstated.told_apart is False for row in found.measured
                    if not (row.overstated and row.overstated.told_apart))  # fmt: skip
        end = ", which rows and seeds explain" if known else ""
        yield f"the search's validation {label} minus test {label}: {', '.join(explained)}{end}"


def _old_runs(found: Confirmation) -> Iterator[str]:
    if found.without_rows:
        trials = " ".join(f"--trial {point}" for point in found.without_rows)
        yield (
            f"an earlier version confirmed {_trials(found.without_rows)} and did not keep what was said of each row, "
            f"so there is no interval; to do these runs again: peftsearch confirm --study {found.study} {trials}"
        )


def words_of(point: Point) -> str:
    """What sentences call a point, or the reference."""
    return "the reference" if point == REFERENCE_POINT else point.in_words


def _trials(points: Sequence[Point]) -> str:
    return points[0].in_words if len(points) == 1 else f"trials {_list(points)}"


def _list(points: Sequence[Point]) -> str:
    return enumerated(map(str, points))


def _range(metric: str, found: Interval | None) -> str:
    if found is None or found.low is None or found.high is None:
        return "–"
    low, high = (objective_in_words(metric, value) for value in (found.low, found.high))
    return f"{low} to {high}"


def _signed(found: Confirmation, interval: Interval) -> str:
    digits = find_objective(found.metric).digits
    mean = f"{interval.mean:+.{digits}f}"
    if interval.low is None or interval.high is None:
        return mean
    return f"{mean}, 95 % interval {interval.low:+.{digits}f} to {interval.high:+.{digits}f}"


def failure_in_words(run: SeedRun) -> str:
    """How a run failed."""
    assert run.failure is not None
    return f"{run.failure['kind']}: {run.failure['message']}"

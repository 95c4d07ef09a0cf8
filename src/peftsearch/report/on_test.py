"""What confirming has found of one trial, as every view shows it beside the numbers of the search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peftsearch.confirm.statistics import Interval
from peftsearch.core.errors import one_line
from peftsearch.core.objectives import find_objective
from peftsearch.core.points import Point
from peftsearch.report.fitted_table import FittedTable
from peftsearch.results.formatting import objective_in_words, objective_label

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from peftsearch.confirm.confirmed import Confirmed
    from peftsearch.confirm.summary import Confirmation
    from peftsearch.storage.confirmations import SeedRun


def confirmed_points(found: Confirmation) -> dict[Point, Confirmed]:
    """Every point with a score on the test split."""
    return {row.point: row for row in found.measured}


def interval_of(row: Confirmed) -> Interval:
    """The mean on the test split and its 95 % interval."""
    assert row.test_spread is not None, "only trials with a score on test are shown"
    return row.interval or Interval(row.test_spread.mean, None, None)


def heading_on_test(metric: str) -> str:
    """The heading over `cell_on_test`."""
    return f"{objective_label(metric)} on test\n(95 % interval)"


def cell_on_test(row: Confirmed | None) -> str:
    """`0.781 (0.742–0.820)`; without an interval the mean alone, and a dash for a point that was not confirmed."""
    if row is None:
        return "–"
    found, digits = interval_of(row), find_objective(row.metric).digits - 1
    if found.low is None or found.high is None:
        return f"{found.mean:.{digits}f}"
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f}–{found.high:.{digits}f})"


def score_on_test(row: Confirmed) -> str:
    """The same within a sentence: `macro F1 0.7809 on test (95 % interval 0.7420 to 0.8198, 3 seeds)`."""
    found, digits = interval_of(row), find_objective(row.metric).digits
    notes = [f"{len(row.test)} seed{'' if len(row.test) == 1 else 's'}" if row.random else "nothing random in it"]
    if found.low is not None and found.high is not None:
        notes.insert(0, f"95 % interval {found.low:.{digits}f} to {found.high:.{digits}f}")
    return f"{objective_label(row.metric)} {found.mean:.{digits}f} on test ({', '.join(notes)})"


def sentences_on_test(found: Confirmation) -> Iterator[str]:
    """What was confirmed, and which of it is the best on the test split; nothing if nothing was."""
    if not found.measured:
        return
    best, points = found.measured[0], [row.point for row in found.measured]
    if len(points) == 1:
        yield f"{best.point.in_words} is confirmed: {score_on_test(best)}"
        return
    yield f"{len(points)} trials are confirmed, best on test first: {', '.join(map(str, points))}"
    yield f"{best.point.in_words} has {score_on_test(best)}"


def on_test_json(row: Confirmed | None) -> dict[str, Any] | None:
    """The confirmed numbers of one point; null if it was not confirmed."""
    if row is None:
        return None
    found = interval_of(row)
    return {
        "trial": row.point.trial,
        "epoch": row.point.epoch,
        "metric": row.metric,
        "test_mean": found.mean,
        "test_low": found.low,
        "test_high": found.high,
        "seeds": sorted(row.test),
        "may_be_best": row.may_be_best,
    }


def runs_table(runs: Sequence[SeedRun], metric: str) -> FittedTable:
    """One row for each run with another seed: its scores, epochs and time, or why it failed."""
    table, label = FittedTable(), objective_label(metric)
    for heading in ("seed", f"{label}\non test", f"{label}\non validation", "best\nepoch", "train s"):
        table.add_column(heading, "number")
    failed = any(run.failure for run in runs)
    if failed:
        table.add_column("failure")
    for run in runs:
        cells = ["–"] * 4
        if run.measurement and run.test:
            scores = (objective_in_words(metric, found.metrics[metric]) for found in (run.test, run.measurement))
            cells = [*scores, str(run.measurement.best_epoch), f"{run.measurement.train_seconds:.2f}"]
        table.add_row(str(run.seed), *cells, *([failure_in_words(run)] if failed else []))
    return table


def failure_in_words(run: SeedRun) -> str:
    """Why a run failed; empty if it did not."""
    return f"{run.failure['kind']}: {one_line(run.failure['message'])}" if run.failure else ""


def runs_of(found: Confirmation, point: Point) -> tuple[SeedRun, ...]:
    """The runs of a point with other seeds; none if it was not confirmed."""
    return next((row.runs for row in found.rows if row.point == point), ())


def with_confirmed(trial: dict[str, Any], confirmed: Mapping[Point, Confirmed]) -> dict[str, Any]:
    """The JSON of a point with its confirmed numbers under `confirmed`."""
    return {**trial, "confirmed": on_test_json(confirmed.get(Point(trial["trial"], trial["epoch"])))}

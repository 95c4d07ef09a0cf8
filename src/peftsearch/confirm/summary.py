"""What confirming has found of all points together, and reading it from the storage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from peftsearch.confirm.compared import comparison, validation_values
from peftsearch.confirm.confirmed import Confirmed
from peftsearch.confirm.frame import confirmation_frame
from peftsearch.confirm.statistics import Comparison, Interval
from peftsearch.core.errors import UserError
from peftsearch.core.front.pareto import tiers
from peftsearch.core.front.tolerance import Tolerance
from peftsearch.core.objectives import DEFAULT_METRIC, find_objective, is_metric
from peftsearch.core.points import Point
from peftsearch.results.reference import SETTINGS
from peftsearch.storage.confirm_queue import REFERENCE, REFERENCE_POINT
from peftsearch.storage.confirmations import Opening, SeedRun, read_openings, read_runs
from peftsearch.storage.records import Record
from peftsearch.storage.times.scale import Scale, scale_of

if TYPE_CHECKING:
    import pandas as pd

    from peftsearch.results.front import Row
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.workers.outcome import Outcome

COSTS = ("trainable_parameters", "train_seconds")
"""What the cheapest trial is cheapest in, in this order, where the study has no objective but a metric."""


@dataclass(frozen=True)
class Confirmation:
    """Every trial that was confirmed.

    Attributes:
        study: the study's name in the storage.
        metric: the study's quality objective, or macro F1 if that is no validation metric.
        rows: the trials, best mean on the test split first; trials without a test score come last.
        openings: every time that the test split was opened, the first one first.
        reference: TF-IDF and logistic regression, the line to beat, measured on the test split too; it is no trial, so
            its record has the number -1.
        objectives: the study's, by name.
        outcome: how the call of `confirm_study` ended that returned this; None where it was only read.
        tolerance: within which two trials' costs count as equal.
    """

    study: str
    metric: str
    rows: tuple[Confirmed, ...]
    openings: tuple[Opening, ...]
    reference: Confirmed | None = None
    objectives: tuple[str, ...] = ()
    outcome: Outcome | None = None
    tolerance: Tolerance = field(default_factory=dict)

    @property
    def sign(self) -> int:
        """1 if a higher value of the metric is better, else -1."""
        return _sign(self.metric)

    @property
    def measured(self) -> tuple[Confirmed, ...]:
        """The trials with a test score, best mean first."""
        return tuple(row for row in self.rows if row.test)

    @property
    def may_be_best(self) -> tuple[Confirmed, ...]:
        """The trials that may be the best on other rows and seeds too, best mean first."""
        return tuple(row for row in self.measured if row.may_be_best)

    @property
    def near_best(self) -> tuple[Confirmed, ...]:
        """Of these, the trials that are no more than one standard error behind the best mean, which is the first."""
        return tuple(row for row in self.measured if row.near_best)

    @property
    def costs(self) -> tuple[str, ...]:
        """What the cheapest trial is cheapest in: the study's objectives other than metrics, the first one first."""
        return tuple(name for name in self.objectives if not is_metric(name)) or COSTS

    @property
    def cheapest(self) -> Confirmed | None:
        """The cheapest trial within one standard error of the best mean; None if nothing can be told apart yet.

        `python -m benchmarks.one_error` says what it gives up, and what the cheapest trial of all that may be the best
        would.
        """
        rows = self.near_best
        places = [tiers([_cost(row, name) for row in rows], name, self.tolerance) for name in self.costs]
        return min(zip(*places, range(len(rows)), rows, strict=True))[-1] if rows else None

    @property
    def test_rows(self) -> int:
        """The number of rows of the test split; 0 if nothing was measured."""
        found = next((run.test for row in self.rows for run in row.runs if run.test), None)
        return sum(rows for _, _, rows in found.classes.cells) if found else 0

    @property
    def without_rows(self) -> tuple[Point, ...]:
        """The trials whose runs an earlier version made, which did not keep the classes of the test rows."""
        return tuple(row.point for row in self.measured if not any(run.rows for run in row.counted))

    @property
    def optimism(self) -> dict[Point, float]:
        """Point → by how much its mean test score is worse than its validation score in the search."""
        spreads = ((row, row.test_spread) for row in self.measured)
        return {row.point: self.sign * (row.searched - found.mean) for row, found in spreads if found}

    def frame(self) -> pd.DataFrame:
        """The trials with a score on test as a pandas frame, best mean first.

        Returns:
            One row for each point, with these columns:

            - `trial`, `epoch`, `method`, `backbone`; the epoch is missing where the point is the whole trial;
            - `searched`: the validation score by which the search chose it;
            - `test_mean`, `test_low`, `test_high`: the mean over `seeds` on the test split and its 95 % interval, which
              is missing where one seed was trained or an earlier version has not kept what was said of each row;
            - `may_be_best`: whether no other trial is better by more than chance; missing where that is unknown;
            - `trainable_parameters`, and `train_seconds` as confirming has measured them.
        """
        return confirmation_frame(self)


def confirmation(stored: StoredStudy) -> Confirmation:
    """Read from the storage what confirming has found so far."""
    metric = stored.quality if is_metric(stored.quality) else DEFAULT_METRIC
    runs: dict[Point, list[SeedRun]] = {}
    for run in read_runs(stored.study):
        runs.setdefault(run.point, []).append(run)
    known = [row for row in stored.with_every_epoch(True).points() if row.point in runs] if runs else []
    scale = scale_of(stored.study) if runs else Scale()
    found = [_confirmed(row, runs[row.point], metric, scale) for row in known]
    reference = _reference(known, runs.get(REFERENCE_POINT, ()), metric)
    rows = _compared(stored, [*found, *([reference] if reference else [])], metric)
    trials = sorted((row for row in rows if row.point != REFERENCE_POINT), key=_by_test_score)
    return Confirmation(
        stored.name,
        metric,
        tuple(trials),
        tuple(read_openings(stored.study)),
        next((row for row in rows if row.point == REFERENCE_POINT), None),
        stored.objectives,
        tolerance=stored.tolerance,
    )


def _confirmed(row: Row, runs: Sequence[SeedRun], metric: str, scale: Scale) -> Confirmed:
    config = row.config
    own = (replace(r, measurement=r.measurement and scale.of_reference(config, r.measurement)) for r in runs)
    return Confirmed(row.record, config, row.measurement, tuple(own), metric)


def _reference(known: Sequence[Row], runs: Sequence[SeedRun], metric: str) -> Confirmed | None:
    """The reference as a row of its own, with the validation scores of its run."""
    measured = next((run.measurement for run in runs if run.measurement), None)
    if measured is None or not known:
        return None
    config = replace(known[0].config, method="tfidf", settings=SETTINGS)
    return Confirmed(Record(REFERENCE, "complete", config), config, measured, tuple(runs), metric)


def _compared(stored: StoredStudy, rows: Sequence[Confirmed], metric: str) -> list[Confirmed]:
    """The same trials and the reference, with what follows from comparing them."""
    runs = {row.point: row.runs for row in rows}
    found = comparison(metric, runs, {row.point: row.config.method for row in rows})
    if found is None:
        return list(rows)
    among = found.among(found.trials.keys() - {REFERENCE_POINT})
    return [
        replace(
            row,
            compared=found,
            may_be_best=among.best_set.get(row.point),
            near_best=row.point in among.near_best,
            overstated=_overstated(stored, row.point, found, metric),
        )
        for row in rows
    ]


def _overstated(stored: StoredStudy, point: Point, found: Comparison, metric: str) -> Interval | None:
    try:
        said = stored.predictions(point) if point in found.trials and point != REFERENCE_POINT else None
    except UserError:  # the file is damaged, and nothing else depends on it
        return None
    return None if said is None else found.overstatement(point, validation_values(metric, said))


def _cost(row: Confirmed, name: str) -> float:
    """What a trial costs, its time as `confirm` has measured it; the worst value if that is unknown."""
    objective = find_objective(name)
    try:
        value = row.train_seconds if name == "train_seconds" else objective.read(row.measurement)
    except KeyError:  # an earlier version has not measured it
        value = None
    if value is None:
        return math.inf if objective.direction == "minimize" else -math.inf
    return value


def _by_test_score(row: Confirmed) -> tuple[bool, float]:
    found = row.test_spread
    return found is None, -_sign(row.metric) * found.mean if found else 0.0


def _sign(metric: str) -> int:
    return 1 if find_objective(metric).direction == "maximize" else -1

"""What confirming has found: each trial's scores over seeds, and how they compare with the search and the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from peftsearch.confirm.statistics import Difference, Spread, paired_difference, spread
from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import Measurement
from peftsearch.core.objectives import DEFAULT_METRIC, find_objective, is_metric
from peftsearch.methods.table import METHODS
from peftsearch.storage.confirmations import Opening, SeedRun, read_openings, read_runs
from peftsearch.storage.records import Record

if TYPE_CHECKING:
    from peftsearch.results.stored_study import StoredStudy


@dataclass(frozen=True)
class Confirmed:
    """One trial of the search and its runs with other seeds.

    Attributes:
        record: the trial as it stands in the storage.
        config: the record's configuration.
        measurement: the record's measurement, which the search made.
        runs: the runs with other seeds.
        metric: the name of the metric that is compared.
    """

    record: Record
    config: TrialConfig
    measurement: Measurement
    runs: tuple[SeedRun, ...]
    metric: str

    @property
    def random(self) -> bool:
        """Whether another seed trains another classifier."""
        return METHODS[self.config.method].random

    @property
    def searched(self) -> float:
        """The validation score by which the search chose the trial."""
        return self.measurement.metrics[self.metric]

    @cached_property
    def test(self) -> Mapping[int, float]:
        """Seed → score on the test split."""
        return {run.seed: run.test.metrics[self.metric] for run in self.runs if run.test}

    @property
    def test_spread(self) -> Spread | None:
        """Mean and deviation of the test scores; None if no run has one."""
        return spread(list(self.test.values())) if self.test else None

    @property
    def validation_spread(self) -> Spread | None:
        """Mean and deviation of the same runs' validation scores, which chose their best epochs."""
        found = [run.measurement.metrics[self.metric] for run in self.runs if run.measurement]
        return spread(found) if found else None

    @property
    def train_seconds(self) -> float | None:
        """The mean training time of the runs in seconds."""
        found = [run.measurement.train_seconds for run in self.runs if run.measurement]
        return sum(found) / len(found) if found else None

    def behind(self, best: Confirmed) -> Difference | None:
        """The difference between this trial's test scores and those of `best` with the same seeds."""
        mine, its = (row.test if row.random else next(iter(row.test.values()), None) for row in (self, best))
        return paired_difference(mine, its) if mine is not None and its is not None else None


@dataclass(frozen=True)
class Confirmation:
    """Every trial that was confirmed.

    Attributes:
        study: the study's name in the storage.
        metric: the study's quality objective, or macro F1 if that is no validation metric.
        rows: the trials, best mean on the test split first; trials without a test score come last.
        openings: every time that the test split was opened, the first one first.
    """

    study: str
    metric: str
    rows: tuple[Confirmed, ...]
    openings: tuple[Opening, ...]

    @property
    def sign(self) -> int:
        """1 if a higher value of the metric is better, else -1."""
        return _sign(self.metric)

    @property
    def measured(self) -> tuple[Confirmed, ...]:
        """The trials with a test score, best mean first."""
        return tuple(row for row in self.rows if row.test)

    @property
    def test_rows(self) -> int:
        """The number of rows of the test split; 0 if nothing was measured."""
        found = next((run.test for row in self.rows for run in row.runs if run.test), None)
        return sum(rows for _, _, rows in found.classes.cells) if found else 0

    @property
    def optimism(self) -> dict[int, float]:
        """Trial number → by how much its mean test score is worse than its validation score in the search."""
        spreads = ((row, row.test_spread) for row in self.measured)
        return {row.record.number: self.sign * (row.searched - found.mean) for row, found in spreads if found}


def confirmation(stored: StoredStudy) -> Confirmation:
    """Read from the storage what confirming has found so far."""
    metric = stored.quality if is_metric(stored.quality) else DEFAULT_METRIC
    runs: dict[int, list[SeedRun]] = {}
    for run in read_runs(stored.study):
        runs.setdefault(run.trial, []).append(run)
    rows = [
        Confirmed(row.record, row.config, row.measurement, tuple(runs[row.record.number]), metric)
        for row in stored.rows()
        if row.record.number in runs
    ]
    rows.sort(
        key=lambda row: (row.test_spread is None, -_sign(metric) * row.test_spread.mean if row.test_spread else 0.0)
    )
    return Confirmation(stored.name, metric, tuple(rows), tuple(read_openings(stored.study)))


def _sign(metric: str) -> int:
    return 1 if find_objective(metric).direction == "maximize" else -1

"""One confirmed point: its runs with other seeds, its scores on test, and how it compares with other points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from peftsearch.confirm.statistics import Comparison, Interval, Spread, spread
from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import Measurement
from peftsearch.core.points import Point
from peftsearch.methods.table import METHODS
from peftsearch.storage.confirmations import SeedRun
from peftsearch.storage.records import Record


@dataclass(frozen=True)
class Confirmed:
    """One point of the search and its runs with other seeds.

    Attributes:
        record: the point as it stands in the storage.
        config: the record's configuration.
        measurement: the record's measurement, which the search made.
        runs: the runs with other seeds.
        metric: the name of the metric that is compared.
        compared: the trials whose runs have kept the classes of the test rows; None if no run has.
        may_be_best: whether no other trial is better by more than chance; None if that cannot be said.
        near_best: whether it may be the best and is no more than one standard error behind the best mean.
        overstated: by how much the search's validation score was better than the test score, with its 95 % interval;
            None if the predictions of the validation rows are not here.
    """

    record: Record
    config: TrialConfig
    measurement: Measurement
    runs: tuple[SeedRun, ...]
    metric: str
    compared: Comparison | None = field(default=None, repr=False, compare=False)
    may_be_best: bool | None = None
    near_best: bool = False
    overstated: Interval | None = None

    @property
    def point(self) -> Point:
        """What names it."""
        return self.record.point

    @property
    def random(self) -> bool:
        """Whether another seed trains another classifier."""
        return METHODS[self.config.method].random

    @property
    def searched(self) -> float:
        """The validation score by which the search chose the trial."""
        return self.measurement.metrics[self.metric]

    @cached_property
    def counted(self) -> tuple[SeedRun, ...]:
        """The runs with a test score; of those, the ones that have kept the classes of the rows, if any has."""
        scored = tuple(run for run in self.runs if run.test)
        return tuple(run for run in scored if run.rows) or scored

    @cached_property
    def test(self) -> Mapping[int, float]:
        """Seed → score on the test split."""
        return {run.seed: run.test.metrics[self.metric] for run in self.counted if run.test}

    @property
    def interval(self) -> Interval | None:
        """The mean score on the test split with its 95 % interval over rows and seeds; None without kept rows."""
        found = self.comparable
        return found.interval(self.point) if found else None

    @property
    def test_spread(self) -> Spread | None:
        """Mean and deviation of the test scores; None if no run has one."""
        return spread(list(self.test.values())) if self.test else None

    @property
    def validation_spread(self) -> Spread | None:
        """Mean and deviation of the same runs' validation scores, which chose their best epochs."""
        found = [run.measurement.metrics[self.metric] for run in self.counted if run.measurement]
        return spread(found) if found else None

    @property
    def train_seconds(self) -> float | None:
        """The mean training time in seconds of the runs that were trained alone; of all runs, if none was."""
        alone = [run for run in self.runs if run.measurement and run.alone]
        found = [run.measurement.train_seconds for run in alone or self.runs if run.measurement]
        return sum(found) / len(found) if found else None

    def behind(self, other: Confirmed) -> Interval | None:
        """This trial's test score minus the one of `other`, with its 95 % interval; None if rows were not kept."""
        found = self.comparable
        return found.difference(self.point, other.point) if found and other.comparable else None

    @property
    def comparable(self) -> Comparison | None:
        """The comparison that this trial is in; None if its runs have not kept the classes of the rows."""
        return self.compared if self.compared and self.point in self.compared.trials else None

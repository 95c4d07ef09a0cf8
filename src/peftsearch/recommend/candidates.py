"""The trials among which a recommendation chooses, each with the numbers by which it is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peftsearch.core.front.tolerance import AS_MEASURED, Tolerance
from peftsearch.core.objectives import find_objective, is_metric, value_of
from peftsearch.core.points import Point
from peftsearch.recommend.limits import LATENCY, SHARE, SIZE

if TYPE_CHECKING:
    from peftsearch.confirm.confirmed import Confirmed
    from peftsearch.confirm.summary import Confirmation
    from peftsearch.core.config import TrialConfig
    from peftsearch.core.measurement import Measurement
    from peftsearch.results.front import Row

ALWAYS = ("trainable_parameters", "train_seconds")
"""Costs by which trials are judged, whether the study has them as objectives or not."""


@dataclass(frozen=True)
class Judged:
    """By what trials are compared.

    Attributes:
        metric: the one that is the quality.
        names: the quantities in which one trial may be better than another.
        tolerance: within which values of them count as equal.
    """

    metric: str
    names: tuple[str, ...]
    tolerance: Tolerance


@dataclass(frozen=True)
class Candidate:
    """One point: a finished trial, or a trial as it was after an epoch.

    Attributes:
        row: the point as the search measured it.
        confirmed: its runs with other seeds; None if it was not confirmed.
        values: quantity → number: the study's objectives and its metric, trainable parameters with their share of those
            of full fine-tuning, MiB to ship, and training seconds. Of a confirmed trial, metrics and seconds are means
            over its runs with other seeds, and the metrics are of the test split. Its latency, if that is known.
        timed_now: whether the search has not recorded the latency, so that it was measured for the recommendation.
    """

    row: Row
    confirmed: Confirmed | None
    values: Mapping[str, float]
    timed_now: bool = False

    @property
    def point(self) -> Point:
        return self.row.point

    @property
    def config(self) -> TrialConfig:
        return self.row.config

    @property
    def measured_on(self) -> str:
        """Where its metrics were measured."""
        return "on test" if self.confirmed else "on validation"


def candidates(rows: Sequence[Row], found: Confirmation) -> list[Candidate]:
    """Every point as a candidate, in the order of `rows`."""
    measured = {row.point: row for row in found.measured}
    return [_candidate(row, measured.get(row.point), found.metric) for row in rows]


def as_searched(row: Row, metric: str) -> dict[str, float]:
    """The values of a point as the search measured them."""
    values = {name: find_objective(name).read(row.measurement) for name in (metric, *ALWAYS)}
    latency = value_of(LATENCY, row.measurement)
    values |= {LATENCY: latency} if latency is not None else {}
    return values | {SIZE: size_mb(row.measurement), **row.objectives, SHARE: row.parameters_share}


def _candidate(row: Row, confirmed: Confirmed | None, metric: str) -> Candidate:
    values = as_searched(row, metric)
    if confirmed:
        values |= {name: mean for name in values if (mean := _mean_on_test(confirmed, name)) is not None}
        values["train_seconds"] = confirmed.train_seconds or values["train_seconds"]
    return Candidate(row, confirmed, values)


def size_mb(measurement: Measurement) -> float:
    """MiB to ship beside a shared backbone; of a trial of an earlier version, what its parameters take."""
    found, estimate = value_of(SIZE, measurement), find_objective(SIZE).of_parameters
    assert estimate is not None
    return estimate(measurement.trainable_parameters) if found is None else found


def judged_by(objectives: Sequence[str], metric: str, tolerance: Tolerance = AS_MEASURED) -> Judged:
    """By what the trials of a study are compared: the metric, and the study's other objectives.

    Trainable parameters and training time are always among them.
    """
    return Judged(metric, tuple(dict.fromkeys([metric, *objectives, *ALWAYS])), tolerance)


def values_of(pool: Sequence[Candidate], names: Sequence[str]) -> list[list[float]]:
    """The quantities `names` of each candidate, of shape (candidates, names)."""
    return [[candidate.values[name] for name in names] for candidate in pool]


def _mean_on_test(confirmed: Confirmed, name: str) -> float | None:
    """The mean of a metric over the runs with other seeds; None for what is no metric or was not measured there."""
    if name == SHARE or not is_metric(name):
        return None
    found = [run.test.metrics[name] for run in confirmed.runs if run.test and name in run.test.metrics]
    return sum(found) / len(found) if found else None

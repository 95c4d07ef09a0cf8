"""Which seconds compare with each other, and those of one kind of device as those of another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from peftsearch.core.measurement import Clock, EpochReport, Measurement


def timed_in(clock: Clock, device: str, *, exact: bool) -> str:
    """The kind of a trial's seconds: they compare with those of another trial of its work where this is the same.

    The number format is no part of it. Where a study does not name one, the device decides it; and where a study does,
    all of its trials have it.

    >>> timed_in("processor", "AMD EPYC (2 threads)", exact=False)
    'processor seconds on AMD EPYC (2 threads)'
    """
    seconds = "processor seconds" if clock == "processor" else "seconds by the wall clock"
    return f"{seconds} on {device}{' with --exact' if exact else ''}"


class Timed(NamedTuple):
    """What a kind of device takes for a short piece of a study's work.

    Attributes:
        training: the seconds of a piece of training, by the clock of the kind.
        evaluation: those of a piece of evaluation.
        whole_pass: as far as these tell, the seconds by the wall clock of a pass of all training rows forward through
            the encoder; 0.0 without one.
    """

    training: float
    evaluation: float
    whole_pass: float = 0.0


@dataclass(frozen=True)
class Factors:
    """By what seconds of one kind are multiplied, so that they are those of another kind.

    Attributes:
        training: for those of training.
        evaluation: for those of passes without gradients: evaluation and latency.
    """

    training: float
    evaluation: float


def scaled_epoch(report: EpochReport, factors: Factors) -> EpochReport:
    """An epoch with seconds of another kind. Those of the wall clock stay its own: they say when a search ends."""
    wall, evaluation_wall = report.wall_seconds, report.evaluation_wall_seconds
    return replace(
        report,
        train_seconds=report.train_seconds * factors.training,
        evaluation_seconds=report.evaluation_seconds * factors.evaluation,
        wall_seconds=report.train_seconds if wall is None else wall,
        evaluation_wall_seconds=report.evaluation_seconds if evaluation_wall is None else evaluation_wall,
    )


def scaled(measurement: Measurement, factors: Factors) -> Measurement:
    """What a trial measured, with seconds of another kind, but for those of the wall clock."""
    latencies = (measurement.latency_ms, measurement.median_latency_ms)
    latency, median = (None if ms is None else ms * factors.evaluation for ms in latencies)
    return replace(
        measurement,
        train_seconds=measurement.train_seconds * factors.training,
        evaluation_seconds=measurement.evaluation_seconds * factors.evaluation,
        evaluation_samples_per_second=measurement.evaluation_samples_per_second / factors.evaluation,
        prefix_seconds=measurement.prefix_seconds * factors.training,
        latency_ms=latency,
        median_latency_ms=median,
        wall_seconds=measurement.duration,
        scaled_by=factors.training,
    )

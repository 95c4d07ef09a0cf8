"""How long each kind of device takes for the same short piece of work, measured by the first worker of the kind.

Each measurement is an attribute of the study of its own, which is written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from peftsearch.methods.table import TEXT_METHODS

if TYPE_CHECKING:
    from optuna.study import Study

CALIBRATED = "calibrated:"
"""`calibrated:WORK:KIND` is what a kind of device takes."""

REFERENCE = "reference_device"
"""A part of the name of the kind whose seconds are compared, where the study file says one."""

Work = Literal["encoder", "texts"]
"""What trials of a method compute with. Methods without an encoder are timed on the CPU in every study, so their
seconds are compared among themselves."""

TRAINING, EVALUATION, WHOLE_PASS = "training", "evaluation", "whole_pass"
"""The pieces of a calibration (`core.seconds.Timed`); earlier versions have no whole pass."""


@dataclass(frozen=True)
class Calibration:
    """What one kind of device takes.

    Attributes:
        timed_in: the kind, as `core.seconds.timed_in` gives it.
        exact: whether trials of this kind do without the speed-ups that change results, so that their work is another.
        seconds: of each piece, by the clock of the kind; those of a whole pass by the wall clock.
        first: whether no other kind had been measured for this work when it was written.
        ended: when it was measured: ISO 8601, in UTC.
    """

    work: Work
    timed_in: str
    exact: bool
    seconds: Mapping[str, float]
    first: bool
    ended: str


def work_of(method: str) -> Work:
    """What the trials of a method compute with."""
    return "texts" if method in TEXT_METHODS else "encoder"


def calibrations_in(attributes: Mapping[str, Any]) -> tuple[Calibration, ...]:
    """Those among a study's attributes, in the order in which they were measured."""
    found = (Calibration(**each) for name, each in attributes.items() if name.startswith(CALIBRATED))
    return tuple(sorted(found, key=lambda each: (each.ended, each.timed_in)))


def is_calibrated(study: Study, work: Work, timed_in: str) -> bool:
    """Whether a kind has been measured for this work."""
    return any((each.work, each.timed_in) == (work, timed_in) for each in calibrations_in(study.user_attrs))


def write_calibration(study: Study, work: Work, timed_in: str, seconds: Mapping[str, float], *, exact: bool) -> None:
    """Write what a kind takes, unless another worker of the kind was first."""
    if is_calibrated(study, work, timed_in):
        return
    first = not any(each.work == work for each in calibrations_in(study.user_attrs))
    found = Calibration(
        work, timed_in, exact, dict(seconds), first, datetime.now(UTC).isoformat(timespec="microseconds")
    )
    study.set_user_attr(f"{CALIBRATED}{work}:{timed_in}", asdict(found))


def write_reference_device(study: Study, named: str | None) -> None:
    """Write what the study file says of the reference, unless that is what the study carries."""
    if study.user_attrs.get(REFERENCE) != named:
        study.set_user_attr(REFERENCE, named)

"""The scale on which a study compares seconds: those of one kind of device, its reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from peftsearch.core.constraints import checks_of
from peftsearch.core.measurement import Measurement
from peftsearch.core.objectives import value_of
from peftsearch.core.seconds import Factors, scaled, scaled_epoch
from peftsearch.methods.table import METHODS
from peftsearch.storage.times.calibrations import (
    EVALUATION,
    REFERENCE,
    TRAINING,
    WHOLE_PASS,
    Calibration,
    Work,
    calibrations_in,
    work_of,
)

if TYPE_CHECKING:
    from optuna.study import Study

    from peftsearch.core.config import TrialConfig
    from peftsearch.storage.records import Record

TIMED_IN = "timed_in"
"""Among what a worker says of itself: the kind of the seconds of a trial that has not ended yet."""


@dataclass(frozen=True)
class Scale:
    """The kinds of device that a study has measured.

    The reference of each kind of work is what was measured first, so that it is known before the first trial ends.
    Where two workers of different kinds measured at the same moment and neither knew of the other, it is the one with
    the earlier time; so there is exactly one, whoever looks.

    Attributes:
        calibrations: of each kind, in the order in which they were measured.
        named: a part of the name of the kind that is the reference as soon as it has been measured.
    """

    calibrations: tuple[Calibration, ...] = ()
    named: str | None = None

    @cached_property
    def references(self) -> Mapping[Work, Calibration]:
        """The reference of each kind of work."""
        found: dict[Work, Calibration] = {}
        for each in sorted(self.calibrations, key=lambda each: (not self._is_named(each), not each.first)):
            found.setdefault(each.work, each)
        return found

    @property
    def nobody_is_named(self) -> bool:
        """Whether a reference is named, and kinds were measured, but none of that name."""
        return self.named is not None and bool(self.calibrations) and not any(map(self._is_named, self.calibrations))

    def _is_named(self, kind: Calibration) -> bool:
        return self.named is not None and self.named.casefold() in kind.timed_in.casefold()

    @cached_property
    def measured(self) -> Mapping[tuple[Work, str], Factors]:
        """By what the seconds of each kind are multiplied that is not the reference, where the encoder is trained.

        Trials with and without `--exact` do other work, so no factor leads from one to the other.
        """
        found: dict[tuple[Work, str], Factors] = {}
        for own in self.calibrations:
            reference = self.references[own.work]
            if own != reference and own.exact == reference.exact:
                pieces = (reference.seconds[piece] / own.seconds[piece] for piece in (TRAINING, EVALUATION))
                found[own.work, own.timed_in] = Factors(*pieces)
        return found

    def whole_pass(self, timed_in: str | None) -> float | None:
        """The seconds of a pass of the training rows through the encoder on a kind of device; None if not known."""
        found = (each for each in self.calibrations if (each.work, each.timed_in) == ("encoder", timed_in))
        return next((each.seconds.get(WHOLE_PASS) for each in found), None) or None

    def factors(self, config: TrialConfig, timed_in: str | None) -> Factors | None:
        """By what the seconds of a trial of this kind are multiplied; None if they stay as they are.

        They do if the kind is the reference, or if no factor is known. What trains no part of an encoder passes rows
        through it, as an evaluation does.
        """
        work, method = work_of(config.method), METHODS.get(config.method)
        found = self.measured.get((work, timed_in)) if timed_in else None
        if found and method and work == "encoder" and method.passes(config.settings, config.training.epochs) <= 1:
            return Factors(found.evaluation, found.evaluation)
        return found

    def of_reference(self, config: TrialConfig, measurement: Measurement) -> Measurement:
        """What a trial measured, with the seconds of the reference."""
        factors = self.factors(config, measurement.timed_in)
        return scaled(measurement, factors) if factors else measurement


def scale_in(attributes: Mapping[str, Any]) -> Scale:
    """The scale of a study with these attributes."""
    return Scale(calibrations_in(attributes), attributes.get(REFERENCE))


def scale_of(study: Study) -> Scale:
    """The scale of a study, as it is now."""
    return scale_in(study.user_attrs)


def on_scale(found: Record, scale: Scale) -> Record:
    """A whole trial, whose own seconds were read, with those of the study's reference.

    Values are read from what was measured. Those that Optuna was told are on the scale too, as it was then.
    """
    if not scale.calibrations or found.config is None:
        return found
    timed = found.measurement or found.so_far
    factors = scale.factors(found.config, timed.timed_in if timed else found.worker.get(TIMED_IN))
    measurement = scaled(found.measurement, factors) if found.measurement and factors else found.measurement
    values = {
        name: told if measurement is None or (own := value_of(name, measurement)) is None else own
        for name, told in found.values.items()
    }
    if factors is None:
        return found if values == found.values else replace(found, values=values)
    return replace(
        found,
        values=values,
        measurement=measurement,
        so_far=scaled(found.so_far, factors) if found.so_far else None,
        curve=tuple(scaled_epoch(epoch, factors) for epoch in found.curve),
        checks=checks_of(found.constraints, measurement) if measurement else found.checks,
    )

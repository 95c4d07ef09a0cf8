"""A trial as it stands in the storage, read back into a `Record`."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from peftsearch.core.config import TrialConfig
from peftsearch.core.constraints import Check, Constraint, checks_of, checks_of_values
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.points import Point
from peftsearch.core.progress import StepReport
from peftsearch.storage import trial_attributes as attributes
from peftsearch.storage.budget import counts
from peftsearch.storage.database import objective_names
from peftsearch.storage.optuna_access import ended_trials, storage_of
from peftsearch.storage.study_attributes import constraints_in
from peftsearch.storage.times.scale import TIMED_IN, Scale, on_scale, scale_in

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

State = Literal["waiting", "running", "complete", "pruned", "failed"]

Known = dict[int, tuple["FrozenTrial", "Record | None"]]
"""Number of a finished trial → the trial, and its record if tables show it."""

_KNOWN: WeakKeyDictionary[BaseStorage, dict[tuple[str, ...], Known]] = WeakKeyDictionary()
"""By storage, then by the study's name, objectives, constraints and scale of seconds.

An entry goes when its storage does, which holds the trials."""


@dataclass(frozen=True)
class Record:
    """One trial as it stands in the storage, or as it was after one of its epochs.

    Attributes:
        epoch: after which of its epochs, as if its training had ended there; None for the whole trial.
        values: objective → number, once the trial is complete; until then empty.
        so_far: what it had measured when it was pruned; trials of older versions have none.
        curve: one report for each finished epoch.
        reason: why the trial was pruned, in one line.
        dominated_by: the number of the trial that dominates it, if that is why it was pruned.
        constraints: the study's.
        by_epoch: what `storage.points.epochs_of` has found, by the objectives it was found for.
        checks: each of the study's constraints with what the trial has, as far as it has ended and knows it.
        failure: `kind`, `message` and, for an `error`, `traceback` and `place`, where it was raised.
        counts: whether the trial counts toward the budget of a search (see `storage.budget`).
        baseline: the trial's place among the baselines that the study file writes, if it is one of them.
        starting_point: whether it was enqueued before the search, as a baseline or as a method's default settings.
        retry_of: the number of the killed trial whose configuration is tried once more.
        worker: `pid`, `host`, `started` and `device` of the process that trains or trained the trial.
        heartbeat: the unix time at which that process was last seen alive.
        last_step: the unix time at which the trial last made a step.
        slowest_step: the seconds that its slowest step so far took.
        at: the step that the trial had last made when its worker wrote `last_step`.
        whole_pass: the seconds of a pass of the training rows forward through the encoder, as they were estimated on
            the trial's kind of device before its first trial; None where that is not known.
    """

    number: int
    state: State
    config: TrialConfig | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    measurement: Measurement | None = None
    curve: tuple[EpochReport, ...] = ()
    reason: str | None = None
    dominated_by: int | None = None
    failure: Mapping[str, str] | None = None
    counts: bool = True
    baseline: int | None = None
    starting_point: bool = False
    retry_of: int | None = None
    worker: Mapping[str, Any] = field(default_factory=dict)
    heartbeat: float | None = None
    last_step: float | None = None
    slowest_step: float | None = None
    at: StepReport | None = None
    whole_pass: float | None = None
    started: datetime | None = None
    ended: datetime | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    epoch: int | None = None
    so_far: Measurement | None = None
    _computed: dict[tuple[str, str], tuple[float, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    by_epoch: dict[tuple[str, ...], tuple[Record, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def point(self) -> Point:
        """The point of a front that it is."""
        return Point(self.number, self.epoch)

    @property
    def done(self) -> bool:
        """Whether the trial has ended and counts toward the budget."""
        return self.counts and self.state not in ("waiting", "running")

    @property
    def feasible(self) -> bool:
        """Whether the trial breaks no constraint, as far as it is known."""
        return not any(check.broken for check in self.checks)

    def bests(self, metric: str) -> tuple[float, ...]:
        """After each epoch: the best value of `metric` until then.

        A pruner asks every trial for it after every epoch, so it is computed once; so is `later`.
        """
        computed = self._computed.get(("bests", metric))
        if computed is None:
            computed = tuple(accumulate((report.metrics[metric] for report in self.curve), max))
            self._computed["bests", metric] = computed
        return computed

    def spent(self, name: str) -> tuple[float, ...]:
        """The seconds that all epochs until then took together, after each epoch.

        Args:
            name: the attribute of `EpochReport` that holds the seconds.
        """
        computed = self._computed.get(("spent", name))
        if computed is None:
            computed = tuple(accumulate(getattr(report, name) for report in self.curve))
            self._computed["spent", name] = computed
        return computed

    def later(self, name: str) -> tuple[float, ...]:
        """After each epoch but the last: how long the later epochs take, relative to the fastest epoch until then.

        Args:
            name: the attribute of `EpochReport` that holds the seconds.

        Returns:
            The mean of the later epochs divided by the least of the epochs until then, at index `epoch - 1`.
        """
        computed = self._computed.get(("later", name))
        if computed is None:
            seconds = [getattr(report, name) for report in self.curve]
            left = [sum(seconds[now:]) / (len(seconds) - now) for now in range(1, len(seconds))]
            cheapest = accumulate(seconds, min)
            computed = tuple(mean / least if least else 0.0 for mean, least in zip(left, cheapest, strict=False))
            self._computed["later", name] = computed
        return computed


def records(study: Study) -> list[Record]:
    """Every trial by number, but for those that were only ever claims."""
    with without_collector():
        return _records_of(study, study.get_trials(deepcopy=False))


def ended_records(study: Study) -> list[Record]:
    """The trials of `records` that have ended.

    They are read once, whereas the others, as many as there are workers, are read anew each time.
    """
    with without_collector():
        return _records_of(study, ended_trials(study))


def _records_of(study: Study, trials: Sequence[FrozenTrial]) -> list[Record]:
    written = study.user_attrs
    read = Reading(objective_names(study), constraints_in(written), scale_in(written))
    known = _KNOWN.setdefault(storage_of(study), {}).setdefault((study.study_name, *read.key), {})
    return [found for trial in trials if (found := _known_record(trial, read, known)) is not None]


@dataclass(frozen=True)
class Reading:
    """What a study says of how its trials are read.

    Attributes:
        objectives: their names, in order.
        scale: on which seconds are compared.
    """

    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()
    scale: Scale = field(default_factory=Scale)

    @property
    def key(self) -> tuple[str, ...]:
        """The same for studies whose trials are read alike."""
        return (*self.objectives, *map(str, self.constraints), str(self.scale))


@contextmanager
def without_collector() -> Iterator[None]:
    """Read trials without the garbage collector, which otherwise takes half of the time and finds nothing to free."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _known_record(trial: FrozenTrial, read: Reading, known: Known) -> Record | None:
    """A finished trial never changes, and Optuna keeps one object for it, so its record is made once."""
    found = known.get(trial.number)
    if found is not None and found[0] is trial:
        return found[1]
    made = None if attributes.failure_kind(trial) in attributes.HIDDEN else record(trial, read)
    if trial.state.is_finished():
        known[trial.number] = (trial, made)
    return made


def record(trial: FrozenTrial, read: Reading) -> Record:
    """`trial` read back, with its seconds on the study's scale."""
    return on_scale(_as_written(trial, read), read.scale)


def _as_written(trial: FrozenTrial, read: Reading) -> Record:
    raw, worker = trial.user_attrs, attributes.worker_of(trial)
    config, measured = raw.get(attributes.CONFIG), raw.get(attributes.MEASUREMENT)
    measurement = Measurement.from_dict(measured) if measured else None
    so_far = raw.get(attributes.SO_FAR)
    return Record(
        number=trial.number,
        state=_state(trial),
        config=TrialConfig.from_dict(config) if config else None,
        values=dict(zip(read.objectives, trial.values or (), strict=False)),
        measurement=measurement,
        curve=tuple(EpochReport.from_dict(epoch) for epoch in raw.get(attributes.CURVE) or ()),
        reason=raw.get(attributes.REASON),
        dominated_by=raw.get(attributes.DOMINATED_BY),
        failure=raw.get(attributes.FAILURE),
        counts=counts(trial),
        baseline=raw.get(attributes.BASELINE),
        starting_point=raw.get(attributes.BASELINE) is not None or bool(raw.get(attributes.DEFAULT)),
        retry_of=raw.get(attributes.RETRY_OF),
        worker=worker,
        heartbeat=attributes.heartbeat_of(trial),
        last_step=attributes.progress_of(trial).get("last_step"),
        slowest_step=attributes.progress_of(trial).get("slowest_step"),
        at=attributes.step_of(trial),
        whole_pass=read.scale.whole_pass(worker.get(TIMED_IN)),
        started=trial.datetime_start,
        ended=trial.datetime_complete,
        params=trial.params,
        checks=checks_of(read.constraints, measurement)
        if measurement
        else checks_of_values(read.constraints, raw.get(attributes.CONSTRAINED) or {}),
        constraints=read.constraints,
        so_far=Measurement.from_dict(so_far) if so_far else None,
    )


def _state(trial: FrozenTrial) -> State:
    """A failure that the configuration caused is told to the sampler as PRUNED; people see it as a failure."""
    from optuna.trial import TrialState

    if attributes.failure_kind(trial):
        return "failed"
    states: dict[TrialState, State] = {
        TrialState.WAITING: "waiting",
        TrialState.RUNNING: "running",
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    return states[trial.state]

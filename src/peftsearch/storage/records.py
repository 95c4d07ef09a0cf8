"""What stands on a study and on its trials, written and read back. The only place that knows the attributes' names."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import EpochReport, Measurement, SplitScores
from peftsearch.core.objectives import directions_of
from peftsearch.storage.database import open_storage, sqlite_url

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = [
    "Opening",
    "Record",
    "SeedRun",
    "State",
    "confirmed",
    "keep_opening",
    "keep_run",
    "open_storage",
    "open_study",
    "openings",
    "record",
    "records",
    "sqlite_url",
]

State = Literal["waiting", "running", "complete", "pruned", "failed"]

HIDDEN: frozenset[str] = frozenset({"withdrawn", "duplicate"})
"""Kinds of failure of trials that never were: claims beyond the budget, and configurations met before."""


CONFIRMED, OPENED = "confirmed:", "test_opened"
"""Attributes of the study: a run with another seed, `confirmed:TRIAL:SEED`, and when the test split was opened."""

Kept = dict[int, tuple["FrozenTrial", "Record | None"]]
"""Trial id → the finished trial, and its record if it has one."""

_KEPT: WeakKeyDictionary[BaseStorage, dict[tuple[str, ...], Kept]] = WeakKeyDictionary()
"""By storage and objectives; what is kept goes when the storage does, which holds the trials themselves."""


@dataclass(frozen=True)
class Record:
    """One trial as it stands in the storage.

    Attributes:
        values: objective → number, once the trial is complete; else empty.
        curve: one report per finished epoch.
        reason: why it was pruned, in one line.
        dominated_by: the number of the trial that rules it out, if it was pruned.
        failure: `kind`, `message` and, for an `error`, `traceback`.
        baseline: the place among the study's baselines, if it is one.
        retry_of: the number of the killed trial whose configuration this is.
        worker: `pid`, `host`, `started`, `device` of the process that has or had it.
        heartbeat: unix time of its worker's last sign of life.
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
    baseline: int | None = None
    retry_of: int | None = None
    worker: Mapping[str, Any] = field(default_factory=dict)
    heartbeat: float | None = None
    started: datetime | None = None
    ended: datetime | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    _kept: dict[tuple[str, str], tuple[float, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def bests(self, metric: str) -> tuple[float, ...]:
        """The best value of a metric so far, after each epoch. Asked of every trial at every epoch, so it is kept."""
        kept = self._kept.get(("bests", metric))
        if kept is None:
            kept = tuple(accumulate((report.metrics[metric] for report in self.curve), max))
            self._kept["bests", metric] = kept
        return kept

    def later(self, name: str) -> tuple[float, ...]:
        """After each epoch but the last: the mean seconds of those after it, over the cheapest until then; kept too."""
        kept = self._kept.get(("later", name))
        if kept is None:
            seconds = [getattr(report, name) for report in self.curve]
            left = [sum(seconds[now:]) / (len(seconds) - now) for now in range(1, len(seconds))]
            cheapest = accumulate(seconds, min)
            kept = tuple(mean / least if least else 0.0 for mean, least in zip(left, cheapest, strict=False))
            self._kept["later", name] = kept
        return kept


@dataclass(frozen=True)
class SeedRun:
    """A finished trial's configuration, trained once more with another seed.

    Attributes:
        trial: the number of the trial.
        measurement: on the validation split; None if it failed.
        test: the same classifier on the test split; None if it failed.
        seconds: from loading to the last metric.
        ended: ISO 8601, in UTC.
        failure: `kind` and `message`, if it failed.
    """

    trial: int
    seed: int
    seconds: float
    ended: str
    measurement: Measurement | None = None
    test: SplitScores | None = None
    failure: Mapping[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SeedRun:
        measurement, test = data.get("measurement"), data.get("test")
        read = {
            "measurement": Measurement.from_dict(measurement) if measurement else None,
            "test": SplitScores.from_dict(test) if test else None,
        }
        return cls(**{**data, **read})


@dataclass(frozen=True)
class Opening:
    """One time that the test split was opened: when (ISO 8601, in UTC), and for which trials."""

    when: str
    trials: tuple[int, ...]


def open_study(storage: BaseStorage, name: str, objectives: Sequence[str]) -> Study:
    """The study `name`, made if it is not there; its directions follow from `objectives`."""
    import optuna

    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=directions_of(objectives),
        load_if_exists=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(objectives))
    return study


def records(study: Study) -> list[Record]:
    """Every trial by number, but those that only ever were a claim."""
    names = objective_names(study)
    kept = _KEPT.setdefault(study._storage, {}).setdefault(names, {})
    with without_collector():
        trials = study.get_trials(deepcopy=False)
        return [found for trial in trials if (found := _kept_record(trial, names, kept)) is not None]


@contextmanager
def without_collector() -> Iterator[None]:
    """For reading trials: objects that stay, among which the garbage collector looks for waste half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _kept_record(trial: FrozenTrial, names: Sequence[str], kept: Kept) -> Record | None:
    """A finished trial never changes, and Optuna keeps one object for it: its record is made once."""
    found = kept.get(trial._trial_id)
    if found is not None and found[0] is trial:
        return found[1]
    made = None if failure_kind(trial) in HIDDEN else record(trial, names)
    if trial.state.is_finished():
        kept[trial._trial_id] = (trial, made)
    return made


def record(trial: FrozenTrial, objectives: Sequence[str]) -> Record:
    """`trial` read back."""
    attrs = trial.user_attrs
    return Record(
        number=trial.number,
        state=_state(trial),
        config=TrialConfig.from_dict(attrs["config"]) if attrs.get("config") else None,
        values=dict(zip(objectives, trial.values or (), strict=False)),
        measurement=Measurement.from_dict(attrs["measurement"]) if attrs.get("measurement") else None,
        curve=tuple(EpochReport.from_dict(epoch) for epoch in attrs.get("curve") or ()),
        reason=attrs.get("reason"),
        dominated_by=attrs.get("dominated_by"),
        failure=attrs.get("failure"),
        baseline=attrs.get("baseline"),
        retry_of=attrs.get("retry_of"),
        worker=attrs.get("worker") or {},
        heartbeat=attrs.get("heartbeat"),
        started=trial.datetime_start,
        ended=trial.datetime_complete,
        params=trial.params,
    )


def keep_run(study: Study, run: SeedRun) -> None:
    """An attribute of the study: Optuna takes none of a trial that has ended. One a run, so that none grows large."""
    study.set_user_attr(f"{CONFIRMED}{run.trial}:{run.seed}", run.to_dict())


def confirmed(study: Study) -> list[SeedRun]:
    """Every run that was kept, by trial and seed."""
    found = [SeedRun.from_dict(raw) for name, raw in study.user_attrs.items() if name.startswith(CONFIRMED)]
    return sorted(found, key=lambda run: (run.trial, run.seed))


def keep_opening(study: Study, trials: Sequence[int]) -> None:
    """Write down that the test split is opened now, for these trials."""
    known = study.user_attrs.get(OPENED, [])
    study.set_user_attr(OPENED, [*known, {"when": now(), "trials": list(trials)}])


def openings(study: Study) -> list[Opening]:
    """Every time that the test split was opened, the first one first."""
    return [Opening(raw["when"], tuple(raw["trials"])) for raw in study.user_attrs.get(OPENED, [])]


def now() -> str:
    """ISO 8601 to the second, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def objective_names(study: Study) -> tuple[str, ...]:
    """The study's objectives in the order of its directions."""
    return tuple(study.metric_names or ())


def failure_kind(trial: FrozenTrial) -> str | None:
    """The kind of failure written on `trial`."""
    failure = trial.user_attrs.get("failure")
    return failure["kind"] if failure else None


def _state(trial: FrozenTrial) -> State:
    """A configuration's own failure is told as PRUNED, so that the sampler learns from it; people see a failure."""
    from optuna.trial import TrialState

    if failure_kind(trial):
        return "failed"
    states: dict[TrialState, State] = {
        TrialState.WAITING: "waiting",
        TrialState.RUNNING: "running",
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    return states[trial.state]

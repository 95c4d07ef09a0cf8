"""How a study is made ready for workers: checked, with dead workers' trials reclaimed and the baselines enqueued."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError
from peftsearch.storage.budget import counted, counts
from peftsearch.storage.connection.patience import PATIENCE_SECONDS
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.liveness.recovery import reclaim, withdraw
from peftsearch.storage.liveness.worker_identity import is_gone, this_process
from peftsearch.storage.optuna_access import add_waiting_trial, storage_of
from peftsearch.storage.study_attributes import (
    read_enqueuing,
    read_space,
    write_constraints,
    write_enqueuing,
    write_every_epoch,
    write_space,
    write_tolerance,
)
from peftsearch.storage.times.calibrations import write_reference_device
from peftsearch.storage.trial_attributes import (
    baseline_attributes,
    enqueued_with,
    failure_kind,
    has_config,
    is_released,
)
from peftsearch.study.signature import differences, signature, without_secrets
from peftsearch.study.spec import Baseline, StudySpec
from peftsearch.study.suggest import baseline_config, sampled_params

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from peftsearch.core.config import TrialConfig

OTHERS_SECONDS = 5.0
"""A process of another machine that enqueues baselines is taken for dead when it has added none for this long. If it
lives all the same, the baselines that two processes have enqueued are withdrawn."""

LATE_SECONDS = 1.0
"""A process that finds some baselines and misses others waits this long for the next one."""

POLL_SECONDS = 0.2


OTHERWISE = {
    "backbones": "were trained on other backbones",
    "data": "were trained on other data",
    "methods": "were searched over another space",
    "objectives": "were searched for other objectives",
    "training": "were trained with other settings",
}
"""What differs where a section of the study file does."""


def prepare(spec: StudySpec, url: str, name: str | None = None, *, patience: float = PATIENCE_SECONDS) -> Study:
    """Open the study of `spec` in the storage at `url`, reclaim the trials of dead workers and enqueue the baselines.

    It may be called again at any time: a baseline that is there already is not enqueued twice.

    Args:
        name: the study's name in the storage, if it is not the spec's own.
        patience: how many seconds each call waits for a storage that does not answer.

    Raises:
        UserError: the storage cannot be opened, or holds trials of another study under this name.
    """
    storage, name = open_storage(url, patience=patience, write=True), name or spec.name
    _refuse_another_space(name, read_space(storage, name), spec)  # before opening, which writes the objectives' names
    study = open_study(storage, name, spec.objectives)
    check_space(study, spec)
    write_constraints(study, spec.constraints)
    write_tolerance(study, spec.tolerance)
    write_every_epoch(study, spec.every_epoch)
    write_reference_device(study, spec.search.reference_device)
    reclaim(study)
    enqueue_baselines(study, spec)
    return study


def check_space(study: Study, spec: StudySpec) -> None:
    """Write the search space onto a new study; refuse a study that was searched over another one.

    Raises:
        UserError: says what differs.
    """
    stored = read_space(storage_of(study), study.study_name)
    if stored is None:
        write_space(study, signature(spec))
    _refuse_another_space(study.study_name, stored, spec)
    if stored is not None and without_secrets(stored) != stored:
        write_space(study, without_secrets(stored))


def _refuse_another_space(name: str, stored: str | None, spec: StudySpec) -> None:
    found = differences(spec, stored) if stored is not None else []
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        how = " and ".join(OTHERWISE[section] for section in dict.fromkeys(re.split("[.:]", line)[0] for line in found))
        raise UserError(
            f"the trials of {name!r} in the storage {how} ({'; '.join(found[:3])}{more}); undo the change, or keep both"
            f" with --fork NEW_NAME"
        )


def enqueue_baselines(study: Study, spec: StudySpec) -> int:
    """Enqueue the study's baselines that have not been tried, each once however many processes do so at once.

    A baseline that failed with an error is enqueued again, since its cause may have been mended; one that killed its
    worker, or made it hang, is not.

    No lock is common to all storages, but the numbers of trials tell who was first. Each process enqueues one missing
    baseline. The process whose trial for it has the lowest number enqueues the others too; the rest of the processes
    wait until all baselines are there, and begin anew if the first one seems to have died. Whoever comes so late that
    some are there waits first, to see whether there will be more.

    Returns:
        How many were enqueued.
    """
    mine: list[tuple[int, TrialConfig]] = []
    if 0 < len(_missing(study, spec)) < len(spec.baselines):
        _wait_for_others(study, spec, LATE_SECONDS)
    while missing := _missing(study, spec):
        mine.append(_enqueue(study, spec, *missing[0]))
        if _has_earlier_twin(_held(study, spec), *mine[-1]):
            _wait_for_others(study, spec, OTHERS_SECONDS)
        else:
            write_enqueuing(study, this_process())
            mine += [_enqueue(study, spec, *each) for each in missing[1:]]
            write_enqueuing(study, None)
    trials = _held(study, spec)
    twins = [number for number, config in mine if _has_earlier_twin(trials, number, config)]
    for number in twins:
        withdraw(study, number, "another process has enqueued the same baseline")
    return len(mine) - len(twins)


def _missing(study: Study, spec: StudySpec) -> list[tuple[Baseline, TrialConfig]]:
    """The baselines that are still to be enqueued, with their configurations."""
    failed = [t for t in study.get_trials(deepcopy=False) if not counts(t) and failure_kind(t) in ("killed", "hung")]
    tried = [*_held(study, spec), *failed]
    new: dict[str, tuple[Baseline, TrialConfig]] = {}
    for baseline in spec.baselines:
        config = baseline_config(spec, baseline)
        if not any(has_config(trial, config) for trial in tried):
            new.setdefault(config.key(), (baseline, config))
    return list(new.values())


def _held(study: Study, spec: StudySpec) -> list[FrozenTrial]:
    """The trials that count, but for those that a constraint had stopped which the study no longer has."""
    return [trial for trial in counted(study) if not is_released(trial, spec.constraints)]


def _enqueue(study: Study, spec: StudySpec, baseline: Baseline, config: TrialConfig) -> tuple[int, TrialConfig]:
    """Enqueue a baseline; the number of its trial, and `config`."""
    attributes = baseline_attributes(baseline, config)
    return add_waiting_trial(study, attributes, enqueued_with(sampled_params(spec, baseline))), config


def _has_earlier_twin(trials: Sequence[FrozenTrial], number: int, config: TrialConfig) -> bool:
    return any(trial.number < number and has_config(trial, config) for trial in trials)


def _wait_for_others(study: Study, spec: StudySpec, seconds: float) -> None:
    """Return once no baseline is missing, or none has been added for so many seconds and nobody here is about to."""
    left, since = len(_missing(study, spec)), time.monotonic()
    while left and (time.monotonic() - since < seconds or is_gone(read_enqueuing(study) or {}) is False):
        time.sleep(POLL_SECONDS)
        now = len(_missing(study, spec))
        if now != left:
            left, since = now, time.monotonic()

"""How a study is made ready for workers: checked, with dead workers' trials reclaimed and the baselines enqueued."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError
from peftsearch.storage.budget import counted
from peftsearch.storage.connection.patience import PATIENCE_SECONDS
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.recovery import reclaim
from peftsearch.storage.study_attributes import read_space, write_space
from peftsearch.storage.trial_attributes import baseline_attributes, failure_kind, has_config
from peftsearch.study.signature import differences, signature
from peftsearch.study.spec import Baseline, StudySpec
from peftsearch.study.suggest import baseline_config, sampled_params

if TYPE_CHECKING:
    from optuna.study import Study

    from peftsearch.core.config import TrialConfig


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
    """Enqueue the study's baselines that have not been tried.

    A baseline that failed with an error is enqueued again, since its cause may have been mended; one that killed its
    worker is not.

    Returns:
        How many were enqueued.
    """
    tried = counted(study)
    tried += [trial for trial in study.get_trials(deepcopy=False) if failure_kind(trial) == "killed"]
    new: dict[str, tuple[Baseline, TrialConfig]] = {}
    for baseline in spec.baselines:
        config = baseline_config(spec, baseline)
        if not any(has_config(trial, config) for trial in tried):
            new.setdefault(config.key(), (baseline, config))
    for baseline, config in new.values():
        study.enqueue_trial(sampled_params(spec, baseline), user_attrs=baseline_attributes(baseline, config))
    return len(new)

"""A study's trials brought into a state in which workers can start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError
from peftsearch.storage.claims import counted, has_config
from peftsearch.storage.records import failure_kind, open_storage, open_study
from peftsearch.storage.recovery import reclaim
from peftsearch.study.signature import differences, signature
from peftsearch.study.spec import StudySpec
from peftsearch.study.suggest import baselines, suggest

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

SPACE = "space"
"""User attribute of the study: what its trials were drawn from, as `study.signature` writes it."""


def prepare(spec: StudySpec, url: str, name: str | None = None) -> Study:
    """The study of `spec` in the storage at `url`, with dead workers' trials reclaimed and the baselines enqueued.

    May be called again at any time: what is there already is not enqueued twice.

    Args:
        name: the study's name in the storage, if it is not the spec's own.

    Raises:
        UserError: the storage cannot be opened, or holds a study of this name over another space.
    """
    storage, name = open_storage(url), name or spec.name
    _refuse_another_space(name, _stored_space(storage, name), spec)  # opening writes the objectives' names
    study = open_study(storage, name, spec.objectives)
    check_space(study, spec)
    reclaim(study)
    enqueue_baselines(study, spec)
    return study


def check_space(study: Study, spec: StudySpec) -> None:
    """Write the searched space onto a new study; refuse one that was searched over another.

    Raises:
        UserError: says what differs.
    """
    stored = study.user_attrs.get(SPACE)
    if stored is None:
        study.set_user_attr(SPACE, signature(spec))
    _refuse_another_space(study.study_name, stored, spec)


def _stored_space(storage: BaseStorage, name: str) -> str | None:
    """What a study of this name was drawn from; None if there is none."""
    try:
        attrs = storage.get_study_user_attrs(storage.get_study_id_from_name(name))
    except KeyError:
        return None
    space: str | None = attrs.get(SPACE)
    return space


def _refuse_another_space(name: str, stored: str | None, spec: StudySpec) -> None:
    found = differences(spec, stored) if stored is not None else []
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise UserError(
            f"the storage holds trials of {name!r} over another space ({'; '.join(found[:3])}{more});"
            f" undo the change, or start a study beside it with --fork NEW_NAME"
        )


def enqueue_baselines(study: Study, spec: StudySpec) -> int:
    """Enqueue the study's baselines that have not been tried; how many.

    One that failed with an error is tried again, since that may be mended; one that killed its worker is not.
    """
    from optuna.trial import FixedTrial

    tried = counted(study)
    tried += [trial for trial in study.get_trials(deepcopy=False) if failure_kind(trial) == "killed"]
    mine: set[str] = set()
    enqueued = 0
    for baseline in baselines(spec):
        probe = FixedTrial(dict(baseline.params))
        for key, value in baseline.user_attrs.items():
            probe.set_user_attr(key, value)
        config = suggest(spec, probe)
        if config.key() not in mine and not any(has_config(trial, config) for trial in tried):
            study.enqueue_trial(dict(baseline.params), user_attrs={**baseline.user_attrs, "config": config.to_dict()})
            mine.add(config.key())
            enqueued += 1
    return enqueued

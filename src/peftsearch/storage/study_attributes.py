"""The attributes that a study carries in the storage, but for those that confirming writes (see `confirmations`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from peftsearch.core.constraints import Constraint
from peftsearch.core.front.tolerance import Tolerance, read_margin
from peftsearch.core.secrets import hide_source
from peftsearch.storage.optuna_access import storage_of, study_id

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

SPACE, ABOUT, REFERENCE, TOLD = "space", "about", "reference", "told"

CONSTRAINTS = "constraints"
"""Objective → bound."""

TOLERANCE = "tolerance"
"""Objective → margin as a study file writes it, of the objectives for which the study file names one."""

EVERY_EPOCH = "every_epoch"
"""Whether each epoch of a trial is a point of its own, as in studies that do not say."""

SUPERVISED, ENQUEUING = "peftsearch:supervised", "peftsearch:enqueuing"
"""Among what Optuna calls system attributes, which people do not look at."""


@dataclass(frozen=True)
class About:
    """What `optimize` has written down of the study file.

    Attributes:
        data: the `data:` section as it was searched, `--data` and `--limit` included.
        budget: the total of trials that was asked for last.
    """

    goal: str | None = None
    data: Mapping[str, Any] | None = None
    budget: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def write_about(study: Study, about: About) -> None:
    """Write `about` onto the study, unless that is what it carries. Secrets of URLs are not kept."""
    if about.data and "source" in about.data:
        about = replace(about, data={**about.data, "source": hide_source(about.data["source"])})
    if read_about(study) != about:
        study.set_user_attr(ABOUT, about.to_dict())


def read_about(study: Study) -> About:
    """What was written of the study file; all unknown for a study that no `optimize` has begun."""
    return About(**study.user_attrs.get(ABOUT, {}))


def write_reference(study: Study, reference: Mapping[str, Any]) -> None:
    """Write the scores of the reference model, as JSON data (`results.reference.Reference.to_dict`)."""
    study.set_user_attr(REFERENCE, dict(reference))


def read_reference(study: Study) -> Mapping[str, Any] | None:
    """The scores of the reference model, if the search has measured it."""
    reference: Mapping[str, Any] | None = study.user_attrs.get(REFERENCE)
    return reference


def not_told_yet(study: Study, notes: Iterable[str]) -> list[str]:
    """Those of `notes` that no earlier search of the study has said. From now on they count as said.

    The study carries their hashes only, since a note may quote a URL with a secret.
    """
    hashed = {hashlib.sha256(note.encode()).hexdigest()[:16]: note for note in notes}
    told: list[str] = study.user_attrs.get(TOLD, [])
    new = {key: note for key, note in hashed.items() if key not in told}
    if new:
        study.set_user_attr(TOLD, [*told, *new])
    return list(new.values())


def write_space(study: Study, signature: str) -> None:
    """Write what the study's trials are drawn from, as `study.signature` describes it."""
    study.set_user_attr(SPACE, signature)


def read_space(storage: BaseStorage, name: str) -> str | None:
    """What the trials of the study `name` were drawn from; None if there is no such study, or if it does not say."""
    try:
        space: str | None = storage.get_study_user_attrs(storage.get_study_id_from_name(name)).get(SPACE)
    except KeyError:
        return None
    return space


def write_constraints(study: Study, constraints: Iterable[Constraint]) -> None:
    """Write the bounds that the study's trials must keep from now on, unless that is what it carries."""
    bounds = {constraint.objective: constraint.bound for constraint in constraints}
    if study.user_attrs.get(CONSTRAINTS, {}) != bounds:
        study.set_user_attr(CONSTRAINTS, bounds)


def read_constraints(study: Study) -> tuple[Constraint, ...]:
    """The bounds that the study's trials must keep, as its last search has written them."""
    return constraints_in(study.user_attrs)


def constraints_in(attributes: Mapping[str, Any]) -> tuple[Constraint, ...]:
    """Those of a study with these attributes."""
    return tuple(Constraint(name, bound) for name, bound in attributes.get(CONSTRAINTS, {}).items())


def write_tolerance(study: Study, tolerance: Tolerance) -> None:
    """Write what the study file says to count as equal on the front, unless that is what the study carries."""
    written = {name: str(margin) for name, margin in tolerance.items()}
    if study.user_attrs.get(TOLERANCE, {}) != written:
        study.set_user_attr(TOLERANCE, written)


def read_tolerance(study: Study) -> Tolerance:
    """What the study file said in the last search; empty where it said nothing, as in an earlier version."""
    return {name: read_margin(name, written) for name, written in study.user_attrs.get(TOLERANCE, {}).items()}


def write_every_epoch(study: Study, counts: bool) -> None:
    """Write whether each epoch of a trial is a point that can be on the front, unless that is what the study says."""
    if read_every_epoch(study) != counts:
        study.set_user_attr(EVERY_EPOCH, counts)


def read_every_epoch(study: Study) -> bool:
    """Whether each epoch of a trial is a point that can be on the front, as the last search had it.

    It is in a study of an earlier version, whose learning curves are as good.
    """
    return bool(study.user_attrs.get(EVERY_EPOCH, True))


def write_supervised(study: Study, seconds: float) -> None:
    """Write the unix time at which a process that supervises workers was alive and able to write."""
    storage_of(study).set_study_system_attr(study_id(study), SUPERVISED, seconds)


def write_enqueuing(study: Study, process: Mapping[str, Any] | None) -> None:
    """Write which process enqueues the baselines, as `worker_identity.this_process` tells it; None once it is done."""
    storage_of(study).set_study_system_attr(study_id(study), ENQUEUING, process)


def read_enqueuing(study: Study) -> Mapping[str, Any] | None:
    """The process that enqueues the baselines, unless it is done."""
    process: Mapping[str, Any] | None = storage_of(study).get_study_system_attrs(study_id(study)).get(ENQUEUING)
    return process


def read_foreign_attributes(study: Study) -> Mapping[str, Any]:
    """What Optuna and optuna-dashboard have written onto the study for themselves."""
    return storage_of(study).get_study_system_attrs(study_id(study))

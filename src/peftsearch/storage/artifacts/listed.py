"""What the storage says of artifacts: where they are, which there are, and which were removed.

Optuna writes an artifact's attribute before its content, so there is no artifact of which the storage does not know.
Most stand on their trial, to be read with it once. One that is uploaded after its trial has ended stands on the study,
because Optuna takes no attribute for such a trial, and no attribute can be deleted. `optuna.artifacts` lists them too,
but fails on one that optuna-dashboard (0.21) has deleted, in whose place it writes `null`.

What becomes of an artifact is said by an attribute of its own, so that no two machines that write at the same moment
overwrite what the other one says.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from peftsearch.core.points import Point, parse_point
from peftsearch.storage.artifacts.archive import SUFFIX
from peftsearch.storage.optuna_access import ended_trials, storage_of, study_id

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

PREFIX = "artifacts:"
"""With what the names of Optuna's attributes of artifacts begin."""

MIMETYPE = "application/vnd.peftsearch.checkpoint+tar"
"""By this, a checkpoint is told from what a person has given to a trial on the dashboard."""

PLACE = "artifacts"
"""`place` and `marker`: where weights are kept, and the artifact that shows that it is this place."""

WRITTEN = "peftsearch:artifact-written:"
"""`peftsearch:artifact-written:ID` stands on the study once an artifact of the study was written to its end."""

REMOVED = "peftsearch:artifact-removed:"
"""`peftsearch:artifact-removed:ID` stands on the study once an artifact was removed, or is about to be: true if nobody
writes it any more, false if the process that began to may still be at it."""

EARLIER_WRITTEN, EARLIER_REMOVED = "artifacts_late", "artifacts_removed"
"""The lists of ids that earlier versions kept in their place, among a study's user attributes."""

UNWRITTEN = "artifacts_unwritten"
"""On a trial: the ids of those that were not, since the store was away."""


@dataclass(frozen=True)
class Artifact:
    """A checkpoint in the store.

    Attributes:
        id: its name in the store.
        point: whose checkpoint it is. A whole trial may be kept as its best epoch, which has the same weights.
        late: whether it was uploaded after its trial had ended.
        whole: whether it is known to have been written to its end. Those of a trial that failed are not: whoever was
            wrongly taken for dead may still write them.
    """

    id: str
    point: Point
    late: bool = False
    whole: bool = True

    @property
    def file(self) -> str:
        """The name of the file, as a page shows it."""
        return f"{self.point}{SUFFIX}"


@dataclass(frozen=True)
class Place:
    """Where the weights of a study are kept.

    Attributes:
        name: a folder, or the URL of a bucket.
        marker: the id of an artifact that lies there, whatever the folder is called on other machines.
    """

    name: str
    marker: str


def read_place(study: Study) -> Place | None:
    """Where the weights of `study` were last said to be kept."""
    written = study.user_attrs.get(PLACE)
    return Place(written["place"], written["marker"]) if written else None


def write_place(study: Study, place: Place | None) -> None:
    """Write where the weights of `study` are kept, unless that is what it carries; None for each machine alone."""
    if read_place(study) != place:
        study.set_user_attr(PLACE, {"place": place.name, "marker": place.marker} if place else None)


@dataclass(frozen=True)
class OnStudy:
    """What stands on a study of its artifacts, read at one moment.

    Attributes:
        late: those that were uploaded after their trial had ended, removed ones included.
        removed: the ids of those that were removed, those that are about to be included.
        unsettled: of these, the ids of those that may still be written.
    """

    late: tuple[Artifact, ...]
    removed: Set[str]
    unsettled: Set[str]

    @classmethod
    def of(cls, study: Study) -> OnStudy:
        earlier, said = study.user_attrs, storage_of(study).get_study_system_attrs(study_id(study))
        written = {*_said(said, WRITTEN), *(earlier.get(EARLIER_WRITTEN) or ())}
        late = tuple(replace(one, late=True, whole=one.id in written) for one in _listed(said))
        removed = _said(said, REMOVED)
        unsettled = {one for one, settled in removed.items() if not settled}
        return cls(late, {*removed, *(earlier.get(EARLIER_REMOVED) or ())}, unsettled)


def artifacts_of(study: Study) -> list[Artifact]:
    """The checkpoints of ended trials that are in the store, or were begun to be written there."""
    of_study = OnStudy.of(study)
    of_trials = [artifact for trial in ended_trials(study) for artifact in on_trial(trial)]
    return [artifact for artifact in (*of_trials, *of_study.late) if artifact.id not in of_study.removed]


def on_trial(trial: FrozenTrial) -> list[Artifact]:
    """The checkpoints that stand on a trial, removed ones included."""
    from optuna.trial import TrialState

    unwritten, failed = trial.user_attrs.get(UNWRITTEN) or (), trial.state is TrialState.FAIL
    own = (artifact for artifact in _listed(trial.system_attrs) if artifact.point.trial == trial.number)
    return [replace(artifact, whole=not failed and artifact.id not in unwritten) for artifact in own]


def write_unwritten(trial: Trial, ids: Iterable[str]) -> None:
    """Write which artifacts of a trial were not written to their end, or are an earlier attempt's."""
    trial.set_user_attr(UNWRITTEN, list(ids))


def without_removed(trial: FrozenTrial, removed: Collection[str]) -> FrozenTrial:
    """A trial as a page is to show it: without artifacts that are not in the store any more."""
    gone = {f"{PREFIX}{one}" for one in removed}.intersection(trial.system_attrs)
    if not gone:
        return trial
    shown = copy.copy(trial)
    shown.system_attrs = {name: value for name, value in trial.system_attrs.items() if name not in gone}
    return shown


def unlisted(study: Study) -> dict[str, str]:
    """By these attributes in place of a study's own, a page does not list the checkpoints that stand on the study."""
    return {f"{PREFIX}{artifact.id}": json.dumps(None) for artifact in OnStudy.of(study).late}


def removed_artifacts(study: Study) -> Set[str]:
    """The ids of artifacts that were removed from the store."""
    return OnStudy.of(study).removed


def unsettled_artifacts(study: Study) -> Set[str]:
    """The ids of artifacts that were removed while the process that began to write them may have gone on."""
    return OnStudy.of(study).unsettled


def without_artifacts(system_attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What another try of a trial inherits: the artifacts of the first are not its own."""
    return {name: value for name, value in system_attributes.items() if not name.startswith(PREFIX)}


def write_removed(study: Study, ids: Iterable[str], *, settled: bool = True) -> None:
    """Write that these artifacts were removed.

    Args:
        settled: whether nobody writes them any more. Otherwise this is to be written before they are removed: whoever
            writes one to its end then either sees it, or has done so before the removal.
    """
    storage, own = storage_of(study), study_id(study)
    for one in ids:
        storage.set_study_system_attr(own, f"{REMOVED}{one}", settled)


def write_late(study: Study, artifact: str) -> bool:
    """Write that an artifact of the study was written to its end; False if it was removed meanwhile."""
    storage_of(study).set_study_system_attr(study_id(study), f"{WRITTEN}{artifact}", True)
    return artifact not in removed_artifacts(study)


def _said(attributes: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The ids of the artifacts of which a study's attributes say this, with what they say."""
    return {name.removeprefix(what): value for name, value in attributes.items() if name.startswith(what)}


def _listed(attributes: Mapping[str, Any]) -> list[Artifact]:
    metas = (json.loads(value) for name, value in attributes.items() if name.startswith(PREFIX))
    ours = (meta for meta in metas if meta and meta["mimetype"] == MIMETYPE)
    named = ((meta["artifact_id"], parse_point(meta["filename"].removesuffix(SUFFIX))) for meta in ours)
    return [Artifact(artifact, point) for artifact, point in named if point is not None]

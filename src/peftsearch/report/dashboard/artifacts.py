"""The artifacts of each trial: its learning curve, confusion matrix and report, made when a page asks for them.

Neither the storage nor a file keeps them, so they are always those of the trial as it stands there now. Beside them are
the weights of the front, where the machines of a search share a place for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from peftsearch.core.escaping import visible
from peftsearch.report.figures.trial_pictures import confusion_png, curve_png
from peftsearch.report.trial_details import trial_details
from peftsearch.results.checkpoints import where_weights_are
from peftsearch.storage.artifacts.listed import (
    MIMETYPE,
    artifacts_of,
    read_place,
    removed_artifacts,
    unlisted,
    without_removed,
    write_removed,
)
from peftsearch.storage.artifacts.place import Store, open_place
from peftsearch.storage.artifacts.settle import place_of
from peftsearch.storage.optuna_access import trial_ids

if TYPE_CHECKING:
    from optuna.artifacts import FileSystemArtifactStore
    from optuna.trial import FrozenTrial

    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.records import Record

LISTED = "dashboard:artifacts:{trial}:{artifact}"
"""The attribute of a study by which optuna-dashboard (0.21) knows an artifact of a trial that has ended.

`optuna.artifacts.upload_artifact` writes onto the trial itself, which Optuna refuses after its end."""

REPORT_WIDTH = 120


class Kind(NamedTuple):
    """One kind of artifact.

    Attributes:
        mimetype: what the browser is told.
        there: whether a trial has it.
        make: makes it.
    """

    mimetype: str
    there: Callable[[Record], bool]
    make: Callable[[StoredStudy, Record], bytes]


def _curve(stored: StoredStudy, record: Record) -> bytes:
    return curve_png(record, stored.quality)


def _confusion(_: StoredStudy, record: Record) -> bytes:
    assert record.measurement is not None
    assert record.measurement.classes is not None
    return confusion_png(record, record.measurement.classes)


def _report(stored: StoredStudy, record: Record) -> bytes:
    """What `peftsearch trial` prints."""
    from rich.console import Console

    console = Console(file=None, width=REPORT_WIDTH, no_color=True, markup=False, highlight=False, emoji=False)
    where = where_weights_are(stored.study, record, stored.folder.weights)
    with console.capture() as printed:
        for part in trial_details(record, stored.objectives, where):
            console.print(part)
    return visible(printed.get()).encode()


KINDS: dict[str, Kind] = {
    "learning-curve.png": Kind("image/png", lambda record: bool(record.curve), _curve),
    "confusion-matrix.png": Kind(
        "image/png", lambda record: bool(record.measurement and record.measurement.classes), _confusion
    ),
    "report.txt": Kind("text/plain; charset=utf-8", lambda record: record.config is not None, _report),
}
"""File name → the artifact."""


class TrialArtifacts:
    """An artifact store as Optuna's protocol has it.

    It makes the artifacts of every trial, and keeps what a person uploads under the study's run folder. Weights are
    read from the place where they are.
    """

    def __init__(self, stored: StoredStudy) -> None:
        self._stored = stored
        self._listed: Mapping[str, str] = {}
        self._kept: frozenset[str] = frozenset()
        self._removed: frozenset[str] = frozenset()

    def refresh(self) -> None:
        """List the artifacts that the trials have by now."""
        study = self._stored.study
        ids, kept = trial_ids(study), artifacts_of(study)
        made = {
            LISTED.format(trial=ids[record.number], artifact=artifact): _listed(artifact, name, kind.mimetype)
            for record in self._stored.records()
            for place, (name, kind) in enumerate(KINDS.items())
            if kind.there(record) and (artifact := f"{record.number:x}-{place:x}")
        }
        late = {
            LISTED.format(trial=ids[one.point.trial], artifact=one.id): _listed(one.id, one.file, MIMETYPE)
            for one in kept
            if one.late and one.whole
        }
        place = read_place(study)
        self._kept = frozenset([*(one.id for one in kept if one.whole), *([place.marker] if place else [])])
        self._removed = frozenset([*removed_artifacts(study), *(one.id for one in kept if not one.whole)])
        self._listed = {**made, **late, **unlisted(study)}

    def attributes(self, study: str) -> Mapping[str, str]:
        """The attributes by which the pages know the artifacts, if `study` is the name of this study."""
        return self._listed if study == self._stored.name else {}

    def seen(self, trial: FrozenTrial) -> FrozenTrial:
        """A trial as the pages show it: without the weights that are not kept any more."""
        return without_removed(trial, self._removed)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Make an artifact, or open weights, or what a person has uploaded."""
        if artifact_id in self._kept:
            return self._place.open_reader(artifact_id)
        if not _is_made(artifact_id):
            return self._uploads.open_reader(artifact_id)
        number, place = (int(part, 16) for part in artifact_id.split("-"))
        kind = list(KINDS.values())[place]
        return BytesIO(kind.make(self._stored, self._stored.trial(number)))

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keep what a person uploads."""
        self._stored.folder.artifacts.mkdir(parents=True, exist_ok=True)
        self._uploads.write(artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        """Delete weights, or what a person has uploaded; what is made needs no deleting."""
        if artifact_id in self._kept:
            self._place.remove(artifact_id)
            write_removed(self._stored.study, [artifact_id])
            self.refresh()
        elif not _is_made(artifact_id):
            self._uploads.remove(artifact_id)

    @property
    def _place(self) -> Store:
        from optuna.artifacts.exceptions import ArtifactNotFound

        place = place_of(self._stored.study)
        if place is None:
            raise ArtifactNotFound("the study has no place for weights any more")
        return open_place(place)

    @property
    def _uploads(self) -> FileSystemArtifactStore:
        from optuna.artifacts import FileSystemArtifactStore

        return FileSystemArtifactStore(self._stored.folder.artifacts)


def _listed(artifact: str, name: str, mimetype: str) -> str:
    return json.dumps({"artifact_id": artifact, "filename": name, "mimetype": mimetype, "encoding": None})


def _is_made(artifact_id: str) -> bool:
    """Whether this is one of ours; the id of an upload has four hyphens."""
    return artifact_id.count("-") == 1

"""The artifacts of each trial: its learning curve, confusion matrix and report, made when a page asks for them.

Neither the storage nor a file keeps them, so they are always those of the trial as it stands there now.
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
from peftsearch.storage.optuna_access import trial_ids

if TYPE_CHECKING:
    from optuna.artifacts import FileSystemArtifactStore

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

    It makes the artifacts of every trial, and keeps what a person uploads under the study's run folder.
    """

    def __init__(self, stored: StoredStudy) -> None:
        self._stored = stored
        self._listed: Mapping[str, str] = {}

    def refresh(self) -> None:
        """List the artifacts that the trials have by now."""
        ids = trial_ids(self._stored.study)
        self._listed = {
            LISTED.format(trial=ids[record.number], artifact=artifact): json.dumps(
                {"artifact_id": artifact, "filename": name, "mimetype": kind.mimetype, "encoding": None}
            )
            for record in self._stored.records()
            for place, (name, kind) in enumerate(KINDS.items())
            if kind.there(record) and (artifact := f"{record.number:x}-{place:x}")
        }

    def attributes(self, study: str) -> Mapping[str, str]:
        """The attributes by which the pages know the artifacts, if `study` is the name of this study."""
        return self._listed if study == self._stored.name else {}

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Make an artifact, or open one that a person has uploaded."""
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
        """Delete what a person has uploaded; what is made needs no deleting."""
        if not _is_made(artifact_id):
            self._uploads.remove(artifact_id)

    @property
    def _uploads(self) -> FileSystemArtifactStore:
        from optuna.artifacts import FileSystemArtifactStore

        return FileSystemArtifactStore(self._stored.folder.artifacts)


def _is_made(artifact_id: str) -> bool:
    """Whether this is one of ours; the id of an upload has four hyphens."""
    return artifact_id.count("-") == 1

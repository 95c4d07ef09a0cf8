"""Each trial's learning curve, confusion matrix and report, as the pages get them, without a trace in the storage."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import create_trial
from optuna_dashboard import wsgi
from PIL import Image

from peftsearch.core.measurement import ClassReport
from peftsearch.report.dashboard.artifacts import TrialArtifacts
from peftsearch.report.dashboard.guard import Application, guarded
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirm_queue import without_queues
from peftsearch.storage.records import Record
from tests.helpers.records import complete, config, report, store
from tests.report.dashboard.test_guard import OURS, OWN, PORT, ask

DONE = complete(0, "lora", 0.9, 1000, 2.0)
assert DONE.measurement is not None
CLASSES = ClassReport(("cat", "<b>$x^{$\x1b[2J"), ((0, 0, 5), (0, 1, 2), (1, 1, 4)))
KNOWN = [
    replace(DONE, measurement=replace(DONE.measurement, classes=CLASSES)),
    Record(1, "pruned", config("probe"), curve=(report(1, 0.3),), reason="it was \x1b[2J dominated"),
    complete(2, "tfidf", 0.8, 10, 1.0),
]


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredStudy:
    monkeypatch.chdir(tmp_path)
    return open_stored("toy", store(tmp_path, KNOWN))


@pytest.fixture
def artifacts(stored: StoredStudy) -> TrialArtifacts:
    found = TrialArtifacts(stored)
    found.refresh()
    return found


@pytest.fixture
def pages(stored: StoredStudy, artifacts: TrialArtifacts) -> Application:
    shown = without_queues(stored.storage, artifacts.attributes)
    return guarded(wsgi(shown, artifact_store=artifacts), PORT, allow_edit=True)


def listed(pages: Application) -> list[list[str]]:
    detail: dict[str, Any] = json.loads(ask(pages, "GET", "/api/studies/1", **OURS)[1])
    return [sorted(artifact["filename"] for artifact in trial["artifacts"]) for trial in detail["trials"]]


def test_every_trial_lists_what_it_has(pages: Application, stored: StoredStudy) -> None:
    curve, matrix, text = "learning-curve.png", "confusion-matrix.png", "report.txt"
    assert listed(pages) == [[matrix, curve, text], [curve, text], [curve, text]]
    assert not [key for key in stored.storage.get_study_system_attrs(1) if "artifacts" in key]
    assert not stored.folder.artifacts.exists()


def test_another_study_of_the_storage_lists_none_of_them(stored: StoredStudy, artifacts: TrialArtifacts) -> None:
    optuna.create_study(study_name="other", storage=stored.storage).add_trial(create_trial(value=1.0))
    shown = without_queues(stored.storage, artifacts.attributes)
    found = {study.study_name: set(study.system_attrs) for study in shown.get_all_studies()}
    assert set(artifacts.attributes("toy")) <= found["toy"]
    assert not any(name.startswith("dashboard:") for name in found["other"] | set(shown.get_study_system_attrs(2)))


def test_pictures_are_pictures_and_the_report_is_plain_text(pages: Application) -> None:
    images = [Image.open(BytesIO(ask(pages, "GET", f"/artifacts/1/1/0-{kind}", **OURS)[1])) for kind in (0, 1)]
    assert [image.format for image in images] == ["PNG", "PNG"]
    assert (0, 114, 178) in {colour[:3] for _, colour in images[0].convert("RGB").getcolors(1 << 20) or []}
    text = ask(pages, "GET", "/artifacts/1/2/1-2", **OURS)[1].decode()
    assert text.startswith("trial 1: pruned, probe on tiny/bert\n")
    assert "\\x1b[2J dominated" in text
    assert "\x1b" not in text
    assert ask(pages, "GET", "/artifacts/1/1/9-0", **OURS)[0] == "404 Not Found"


def test_another_site_reads_no_artifact(pages: Application) -> None:
    assert ask(pages, "GET", "/artifacts/1/1/0-2", HTTP_HOST=OWN)[0] == "200 OK"
    assert ask(pages, "GET", "/artifacts/1/1/0-2", HTTP_HOST=OWN, HTTP_ORIGIN="http://evil.example")[0][:3] == "403"
    assert ask(pages, "GET", "/artifacts/1/1/0-2", HTTP_HOST="evil.example")[0][:3] == "403"


def test_what_a_person_uploads_is_kept_under_the_run_folder(artifacts: TrialArtifacts, stored: StoredStudy) -> None:
    upload = "0b0d3d1e-0000-4000-8000-000000000000"
    artifacts.write(upload, BytesIO(b"mine"))
    assert (stored.folder.artifacts / upload).read_bytes() == b"mine"
    assert artifacts.open_reader(upload).read() == b"mine"
    artifacts.remove(upload)
    with pytest.raises(ArtifactNotFound):
        artifacts.open_reader(upload)


def test_a_study_with_artifacts_can_be_deleted(pages: Application, stored: StoredStudy) -> None:
    assert ask(pages, "DELETE", "/api/studies/1", **OURS)[0] == "204 No Content"
    assert stored.storage.get_all_studies() == []

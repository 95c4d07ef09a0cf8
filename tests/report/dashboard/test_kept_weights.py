"""Weights that lie in the place that machines share, as the pages list, give and delete them."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from optuna_dashboard import wsgi

from peftsearch.core.files.run_folder import TENSORS
from peftsearch.report.dashboard.artifacts import TrialArtifacts
from peftsearch.report.dashboard.guard import Application, guarded
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.artifacts.listed import artifacts_of
from peftsearch.storage.confirm_queue import without_queues
from tests.helpers.stores import Machine, in_store, machine
from tests.report.dashboard.test_guard import OURS, PORT, ask


@pytest.fixture
def there(tmp_path: Path) -> Machine:
    """Trials 0 and 1 were trained before there was a place; 2 takes the front over from 1."""
    url = f"sqlite:///{tmp_path}/trials.db"
    machine(tmp_path, url, None).train(0.5, seconds=0.1)
    made = machine(tmp_path, url, tmp_path / "shared")
    made.train(0.7, seconds=3.0)
    made.train(0.8, seconds=2.0)
    return made


@pytest.fixture
def pages(there: Machine, tmp_path: Path) -> Application:
    return pages_of(there, tmp_path)


def pages_of(there: Machine, tmp_path: Path) -> Application:
    stored = open_stored("toy", f"sqlite:///{tmp_path}/trials.db")
    artifacts = TrialArtifacts(stored)
    artifacts.refresh()
    shown = without_queues(stored.storage, artifacts.attributes, artifacts.seen)
    return guarded(wsgi(shown, artifact_store=artifacts), PORT, allow_edit=True)


def weights_listed(pages: Application) -> list[list[str]]:
    detail = json.loads(ask(pages, "GET", "/api/studies/1", **OURS)[1])
    return [[a["filename"] for a in trial["artifacts"] if a["filename"].endswith(".tar")] for trial in detail["trials"]]


def test_each_trial_lists_the_weights_that_are_kept_of_it_and_the_study_none(
    pages: Application, there: Machine
) -> None:
    assert in_store(there.study) == ["0", "2"]
    assert weights_listed(pages) == [["0.tar"], [], ["2.tar"]]
    detail = json.loads(ask(pages, "GET", "/api/studies/1", **OURS)[1])
    assert [artifact["filename"] for artifact in detail["artifacts"]] == ["weights-are-kept-here.txt"]


def test_a_page_gives_the_checkpoint(pages: Application, there: Machine) -> None:
    for artifact in artifacts_of(there.study):
        status, body = ask(pages, "GET", f"/artifacts/1/{artifact.point.trial + 1}/{artifact.id}", **OURS)
        assert status == "200 OK"
        with tarfile.open(fileobj=BytesIO(body)) as opened:
            assert {TENSORS, "trial.json", "checksums.json"} <= set(opened.getnames())


def test_what_is_deleted_on_a_page_counts_as_not_kept(pages: Application, there: Machine, tmp_path: Path) -> None:
    late = next(artifact for artifact in artifacts_of(there.study) if artifact.late)
    ask(pages, "DELETE", f"/api/artifacts/1/1/{late.id}", **OURS)
    assert in_store(there.study) == ["2"]
    assert weights_listed(pages_of(there, tmp_path)) == [[], [], ["2.tar"]]


def test_deleting_the_study_empties_the_place(pages: Application, there: Machine, tmp_path: Path) -> None:
    assert len(list((tmp_path / "shared").iterdir())) == 3
    assert ask(pages, "DELETE", "/api/studies/1", **OURS)[0] == "204 No Content"
    assert list((tmp_path / "shared").iterdir()) == []

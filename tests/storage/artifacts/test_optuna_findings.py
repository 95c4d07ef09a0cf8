"""What Optuna's artifacts lack: once one of these tests fails, what works around it can go."""

from __future__ import annotations

import time
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import Backoff, FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.artifacts.exceptions import ArtifactNotFound


def test_backoff_removes_again_what_it_has_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna 5.0: `Backoff.remove` goes on after it has removed an artifact; `place.Store` waits instead."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    (tmp_path / "weights").write_bytes(b"weights")
    store = Backoff(FileSystemArtifactStore(tmp_path), max_retries=2)
    with pytest.raises(ArtifactNotFound):
        store.remove("weights")


def test_artifacts_are_not_listed_beside_one_that_the_dashboard_has_deleted(tmp_path: Path) -> None:
    """Optuna 5.0 and optuna-dashboard 0.21: `null` in the place of a deleted artifact; `listed.py` reads past it."""
    study = optuna.create_study()
    (tmp_path / "file").write_bytes(b"weights")
    artifact = upload_artifact(
        artifact_store=FileSystemArtifactStore(tmp_path), file_path=str(tmp_path / "file"), study_or_trial=study
    )
    assert [meta.artifact_id for meta in get_all_artifact_meta(study)] == [artifact]
    study._storage.set_study_system_attr(study._study_id, f"artifacts:{artifact}", "null")
    with pytest.raises(TypeError):
        get_all_artifact_meta(study)

"""Working folders as a user has them: a study file, its data and a model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.files import json_lines
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import KEYS, toy_data


def fill_toy_folder(folder: Path, study: str, file: str = "toy.yaml") -> None:
    """Write a tiny random model, the rows of the toy task and a study over them."""
    fill_without_study(folder)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(study, encoding="utf-8")


def fill_without_study(folder: Path) -> None:
    """Write a tiny random model, `model`, and the rows of the toy task, `rows.jsonl`."""
    tiny_model(folder / "model")
    toy = [row for part in toy_data().splits.values() for row in part]
    json_lines(folder / "rows.jsonl", [{"text": row["text"], "label": KEYS[row["label"]]} for row in toy])


def work_in_copy(folder: Path, parent: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy `folder` below `parent`, so that a test may change it, and make the copy the working folder."""
    work = Path(shutil.copytree(folder, parent / "work"))
    monkeypatch.chdir(work)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    return work

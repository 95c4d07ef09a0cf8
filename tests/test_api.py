"""What the public functions hand to the search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import peftsearch
from peftsearch import api
from peftsearch.workers.supervisor import Outcome


def test_random_trials_come_beside_those_tried_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted among them, the model would take over after one point a method, and propose those points again."""
    monkeypatch.chdir(tmp_path)
    jobs: list[Any] = []
    monkeypatch.setattr(api, "run_workers", lambda _, job, *__, **___: jobs.append(job) or Outcome("done"))
    spec = peftsearch.load_study("quickstart")
    peftsearch.run_study(spec, trials=12)
    assert jobs[0].startup_trials == spec.search.startup_trials + len(spec.baselines) == 12


def test_public_names_are_listed_and_found() -> None:
    assert set(dir(peftsearch)) == set(peftsearch.__all__)
    assert all(getattr(peftsearch, name) for name in peftsearch.__all__)

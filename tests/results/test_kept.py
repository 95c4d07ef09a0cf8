"""`studies` lists the studies whose trials are kept, with their state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from peftsearch.cli import main
from peftsearch.results.kept import Kept, kept_studies
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.confirm_queue import open_queue
from peftsearch.storage.records import Record
from tests.helpers.records import complete, config, store

RECORDS = [
    complete(0, "full", 0.9, 100, 4.0),
    complete(1, "lora", 0.8, 10, 2.0),
    Record(2, "pruned", config("probe"), reason="trial 0 has 0.9"),
    Record(3, "running", config("probe")),
]


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    monkeypatch.delenv("PEFTSEARCH_RUNS", raising=False)
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def listed(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["studies", "--json", *arguments])
    assert done.exit_code == 0, done.output
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_the_studies_in_runs_and_their_states(runs: Path) -> None:
    store(runs, RECORDS, name="far", about={"budget": 12, "goal": "Which one?"})
    store(runs, RECORDS[:1], name="one")
    store(runs, [], name="begun")
    (runs / "made").mkdir()
    (runs / "made" / "study.yaml").write_text("name: made")
    store(runs, RECORDS[:2], name="made", about={"budget": 2})
    (runs / "broken.db").write_bytes(b"no database" * 100)
    open_queue(open_stored("far").study)
    found = {kept.name: kept for kept in kept_studies()}
    assert {name: kept.state for name, kept in found.items() if name != "broken"} == {
        "begun": "0 trials done",
        "far": "3 of 12 trials done, 1 running",
        "made": "2 trials done",
        "one": "1 trial done",
    }
    assert found["broken"].state.startswith("cannot be read: ")
    assert (found["far"].goal, found["far"].file, found["made"].file) == ("Which one?", None, "runs/made/study.yaml")
    rows = listed()
    assert rows["far"] == {
        "name": "far", "goal": "Which one?", "path": None,
        "kept": {"done": 3, "trials": 12, "running": 1, "problem": None},
    }  # fmt: skip
    assert rows["quickstart"]["kept"] is None
    assert list(rows) == sorted(rows)
    shown = CliRunner().invoke(main, ["studies"]).stdout
    for state in ("3 of 12 trials done, 1 running", "1 trial done", "runs/made/study.yaml"):
        assert state in shown


def test_the_studies_of_a_database_that_is_named(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option goes before the variable, and either before the folder."""
    (runs.parent / "other").mkdir()
    one, two = store(runs.parent / "other", RECORDS, name="one"), store(runs.parent / "other", RECORDS[:1], name="two")
    store(runs, [], name="here")
    open_queue(open_stored("one", one).study)
    assert [kept.name for kept in kept_studies()] == ["here"]
    monkeypatch.setenv("PEFTSEARCH_STORAGE", one)
    assert [(kept.name, kept.done, kept.running) for kept in kept_studies()] == [("one", 3, 1)]
    assert kept_studies(two) == [Kept("two", done=1)]
    assert listed("--storage", two)["two"]["kept"]["done"] == 1


def test_nothing_is_made_where_nothing_is_kept(runs: Path) -> None:
    runs.rmdir()
    assert kept_studies() == []
    assert not runs.exists()

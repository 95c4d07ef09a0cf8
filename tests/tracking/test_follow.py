"""What trackers are told in a search, with trackers of our own in the table, and that one that fails harms no trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.errors import TrialFailure, UserError
from peftsearch.study.spec import load_study
from peftsearch.tracking import table
from peftsearch.tracking.contract import Beginning, Tracker
from peftsearch.workers.job import WorkerReport
from tests.helpers import fake_trainer
from tests.helpers.search import Search, in_study


@dataclass
class Kept:
    """A run that keeps what it is told, and fails at the given point."""

    beginning: Beginning
    fails: str = ""
    epochs: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)
    state: str = ""
    values: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reach("start")

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._reach("epoch")
        self.epochs.append((epoch, values))

    def end(self, state: str, values: Mapping[str, float]) -> None:
        self._reach("end")
        self.state, self.values = state, values

    def _reach(self, point: str) -> None:
        if point == self.fails:
            raise ConnectionError("no route to https://key:hidden@host/api\nat all")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    """The runs of the trackers `kept` and, at their point of failure, `start`, `epoch` and `end`."""
    found: list[Kept] = []

    def start(fails: str) -> Any:
        def begin(beginning: Beginning) -> Kept:
            run = Kept(beginning, fails)
            found.append(run)
            return run

        return begin

    trackers = {"kept": Tracker("json", start(""))}
    trackers |= {name: Tracker("json", start(name)) for name in ("start", "epoch", "end")}
    monkeypatch.setattr(table, "TRACKERS", trackers)
    for module in ("peftsearch.tracking.follow", "peftsearch.study.sections"):
        monkeypatch.setattr(f"{module}.TRACKERS", trackers)
    return found


def tracked(search: Search, *names: str) -> Search:
    path = Path(search.job.path)
    path.write_text(path.read_text() + f"tracking: {json.dumps(names)}\n")
    spec = load_study(str(path))
    assert spec.tracking == names
    return Search(spec, replace(search.job, document=spec.document))


def in_process(search: Search, train: Any = fake_trainer.train) -> WorkerReport:
    return in_study(search.prepare(), search, train)


def test_every_trial_gets_a_run_with_its_settings_curve_and_objectives(search: Search, runs: list[Kept]) -> None:
    assert in_process(tracked(search, "kept")) == WorkerReport("budget")
    for record, run in zip(search.records(), runs, strict=True):
        assert record.config is not None
        assert (run.beginning.trial, run.beginning.name) == (record.number, f"{search.job.name}-{record.number}")
        assert run.beginning.folder == search.job.run_folder.root / "tracking" / "kept"
        assert run.beginning.settings["method"] == record.config.method
        assert run.beginning.settings["learning_rate"] == record.config.settings["learning_rate"]
        assert run.beginning.settings["training.epochs"] == 3
        assert json.dumps(run.beginning.settings)
        assert [epoch for epoch, _ in run.epochs] == [report.epoch for report in record.curve]
        assert run.epochs[-1][1]["macro_f1"] == record.curve[-1].metrics["macro_f1"]
        assert run.state == record.state == "complete"
        assert run.values.items() >= record.values.items()


def test_a_study_without_the_key_tracks_nothing(search: Search, runs: list[Kept]) -> None:
    assert in_process(search) == WorkerReport("budget")
    assert (search.spec.tracking, runs) == ((), [])
    assert not search.job.run_folder.tracking.exists()


def test_a_failed_trial_ends_its_run_as_failed(search: Search, runs: list[Kept]) -> None:
    def train(*_: Any) -> Any:
        raise TrialFailure("not_finite", "the loss is nan")

    in_process(tracked(search, "kept"), train)
    assert {(run.state, len(run.epochs), len(run.values)) for run in runs} == {("failed", 0, 0)}


@pytest.mark.parametrize("point", ["start", "epoch", "end"])
def test_a_tracker_that_fails_is_told_of_once_and_harms_neither_trials_nor_other_trackers(
    search: Search, runs: list[Kept], capsys: pytest.CaptureFixture[str], point: str
) -> None:
    assert in_process(tracked(search, point, "kept")) == WorkerReport("budget")
    assert [record.state for record in search.records()] == ["complete"] * 6
    assert [run.state for run in runs if not run.fails] == ["complete"] * 6
    assert capsys.readouterr().err.splitlines() == [
        f"tracking with {point} has failed and stops here; the search goes on: "
        f"ConnectionError: no route to https://key:***@host/api at all"
    ]


def test_an_unknown_tracker_is_refused_with_the_nearest_name(search: Search) -> None:
    path = Path(search.job.path)
    path.write_text(path.read_text() + "tracking: [wandbb, mlflow, mlflow]\n")
    with pytest.raises(UserError) as refused:
        load_study(str(path))
    assert "tracking[0]: no tracker 'wandbb'; did you mean 'wandb'?" in str(refused.value)
    assert "tracking[2]: 'mlflow' is written twice; keep one" in str(refused.value)


def test_a_tracker_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TRACKERS, "wandb", Tracker("no_such_package", Kept))
    with pytest.raises(UserError) as refused:
        table.check_installed(["wandb"])
    assert str(refused.value) == (
        "tracking: wandb is not installed; pip install 'peftsearch[wandb]', or take it out of tracking"
    )
    table.check_installed([])


def test_each_tracker_has_an_extra_of_its_name() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    for name, tracker in table.TRACKERS.items():
        assert any(needed.startswith(tracker.package) for needed in extras[name])

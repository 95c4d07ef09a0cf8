"""A study with epochs on its front: every command names them, and takes the names that it prints."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from peftsearch.cli import main
from peftsearch.confirm.summary import confirmation
from peftsearch.core.points import parse_point
from peftsearch.report.dashboard.note import study_note, trial_note
from peftsearch.report.figures.interactive import front_figure
from peftsearch.report.figures.picture import front_picture
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirmations import write_opening, write_run
from peftsearch.study.spec import load_study
from tests.confirm.test_summary import run as made
from tests.confirm.test_summary import said
from tests.helpers.records import EPOCHS, store

FRONT = ["0", "0@2", "1@2", "1@1", "2@2", "2@1"]
"""The points on the front of `EPOCHS`, best quality first."""

NAME = re.compile(r"\b\d+@\d+\b")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredStudy:
    """The study, of which the trial 0 and an epoch of the pruned trial 2 were confirmed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    (tmp_path / "rows.csv").touch()
    (tmp_path / "runs").mkdir()
    about = {"data": {"source": "rows.csv"}, "budget": 3}
    stored = open_stored("toy", store(tmp_path / "runs", EPOCHS, about=about, every_epoch=True))
    for trial, epoch, wrong, seconds in ((0, None, 120, 60.0), (2, 2, 500, 2.0)):
        for seed in (43, 44):
            write_run(stored.study, replace(made(trial, seed, said(wrong, seed), seconds), epoch=epoch))
    write_opening(stored.study, [stored.point(0), stored.point("2@2")])
    return stored


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [arguments[0], *arguments[1:], "--study", "toy"])


def shown(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_name_that_a_command_prints_is_taken_by_every_command_that_takes_one(study: StoredStudy) -> None:
    printed = [
        shown("front"),
        shown("trials"),
        shown("status"),
        shown("recommend"),
        shown("recommend", "--prefer", "fast"),
    ]
    names = sorted({name for text in printed for name in NAME.findall(text)})
    assert names == ["0@2", "1@1", "1@2", "2@1", "2@2"]
    for name in names:
        point = parse_point(name)
        assert point is not None
        one = json.loads(shown("trial", name, "--json"))
        assert (one["trial"], one["epoch"]) == (point.trial, point.epoch)
        assert point.in_words in shown("trial", name)
        file = Path(f"{name}.yaml")
        shown("export", "--trial", name, "--config", str(file))
        spec = load_study(file)
        assert spec.origin is not None
        assert (spec.origin.trial, spec.origin.epoch, spec.origin.best_epoch) == (point.trial, point.epoch, point.epoch)
        assert spec.training.epochs == 3, "the schedule stays that of all epochs"
        missing = run("export", "--trial", name, "--out", "out")
        assert missing.exit_code != 0
        gone = f"is missing (runs/toy/weights/{name}); to train the trial again and then export it, add --retrain"
        assert missing.stderr.rstrip().endswith(gone)


def test_the_front_has_a_row_for_each_trial_and_says_what_the_names_mean(study: StoredStudy) -> None:
    text = shown("front")
    assert text.splitlines()[0] == "toy: 3 of 3 trials are on the Pareto front, with 6 points"
    rows = [found[1] for line in text.splitlines() if (found := re.match(r" *(\d+(?:@\d+)?)  ", line))]
    assert rows == ["0", "1@2", "2@2"]
    assert "0@2 is trial 0 as it was after its epoch 2; --trial 0@2 names it" in text
    whole = shown("front", "--whole-trials")
    assert whole.splitlines()[0] == "toy: 2 of 3 trials are on the Pareto front"
    assert not NAME.search(whole.partition("are confirmed")[0])


def test_data_for_programs(study: StoredStudy) -> None:
    front = json.loads(shown("front", "--json"))
    named = [f"{row['trial']}@{row['epoch']}" if row["epoch"] else str(row["trial"]) for row in front]
    assert named == FRONT
    assert front[1]["objectives"] == {"macro_f1": 0.85, "trainable_parameters": 22_000_000.0, "train_seconds": 40.0}
    assert front[1]["measurement"]["epochs"] == 2
    assert [row["confirmed"] is not None for row in front] == [name in ("0", "2@2") for name in FRONT]
    assert [row["on_front"] for row in json.loads(shown("trials", "--json"))] == [
        ["0@2", 0], ["1@1", "1@2"], ["2@1", "2@2"]
    ]  # fmt: skip
    status = json.loads(shown("status", "--json"))
    assert [(row["trial"], row["epoch"]) for row in status["confirmed"]] == [(0, None), (2, 2)]
    chosen = json.loads(shown("recommend", "--prefer", "fast", "--json"))
    assert (chosen["trial"]["trial"], chosen["trial"]["epoch"], chosen["trial"]["confirmed"]) == (2, 2, True)


def test_a_trial_says_which_of_its_epochs_are_on_the_front(study: StoredStudy) -> None:
    marked = [line.rstrip() for line in shown("trial", "1").splitlines() if "on the front" in line]
    assert [line.split()[0] for line in marked] == ["1", "2"]
    assert marked[1].endswith("best, on the front")
    one = shown("trial", "2@1")
    assert one.startswith("trial 2, epoch 1: as it was then, probe on tiny/bert\n  macro F1 0.5000")
    assert "after epoch 1 of a schedule of 3" in one
    assert "trained again with other seeds" in shown("trial", "2@2")
    assert "trained again with other seeds" not in shown("trial", "2")


def test_what_to_take_and_what_to_do_next(study: StoredStudy) -> None:
    fast = shown("recommend", "--prefer", "fast")
    assert fast.splitlines()[0] == "toy: take trial 2, epoch 2, probe (lr 3.1e-4)"
    assert fast.splitlines()[-1] == "  next: peftsearch export --study toy --trial 2@2 --out DIR"
    small = shown("recommend", "--max-parameters", "300k", "--min-quality", "0.75", "--prefer", "fast")
    assert small.splitlines()[0] == "toy: take trial 1, epoch 2, lora (lr 3.1e-4)"
    assert small.splitlines()[-1] == "  next: peftsearch confirm --study toy"
    first = shown("recommend", "--max-parameters", "300k", "--min-quality", "0.7", "--prefer", "fast")
    assert first.splitlines()[-1] == "  next: peftsearch confirm --study toy --trial 1@1"


def test_files_and_pages(study: StoredStudy, tmp_path: Path) -> None:
    shown("export", "--front", "--configs", "configs")
    assert sorted(file.name for file in Path("configs").iterdir()) == [
        "trial-0-full.yaml", "trial-0@2-full.yaml", "trial-1@1-lora.yaml", "trial-1@2-lora.yaml",
        "trial-2@1-probe.yaml", "trial-2@2-probe.yaml",
    ]  # fmt: skip
    document = yaml.safe_load(Path("configs/trial-2@1-probe.yaml").read_text(encoding="utf-8"))
    assert (document["name"], document["training"]["epochs"]) == ("toy-2-after-1", 3)
    hovers = [text for trace in front_figure(front_picture(study)).data for text in trace.text or ()]
    for name in ("trial 0, epoch 2: full", "trial 2, epoch 1: probe"):
        assert any(name in text for text in hovers)
    note = study_note(study, found := confirmation(study))
    assert "| 2@2 |" in note
    assert "3 of 3 trials are on the Pareto front, with 6 points, best quality first:" in note
    own = trial_note(study.trial(2), study.objectives, [row for row in found.measured if row.point.trial == 2],
                     [row.point for row in study.front() if row.point.trial == 2])  # fmt: skip
    assert "- epoch 2 confirmed: macro F1" in own
    assert "- on the front: 2@2, 2@1" in own
    shown("report", "--out", "report.html", "--texts", "0")
    page = Path("report.html").read_text(encoding="utf-8")
    assert "3 of 3 trials are on the Pareto front, with 6 points" in page
    assert "2@2" in page
    shown("front", "--plot", "front.png")
    assert Path("front.png").stat().st_size > 10_000

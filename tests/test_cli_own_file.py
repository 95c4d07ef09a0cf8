"""From a file of one's own to a front: `init`, and `optimize --data` without a study."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from peftsearch import api
from peftsearch.cli import main
from peftsearch.optimize.begin import ENDLESS
from peftsearch.workers.outcome import Outcome
from tests.helpers.records import complete
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import KEYS, toy_data

FOUND = """\
reviews.csv: 192 rows, 3 classes
text: 'body' (its name is usual for texts)
label: 'stars' (its name is usual for classes)
classes: 'cat' 64, 'dog' 64, 'red' 64
"""
MADE = "this study is runs/reviews/study.yaml; later commands find it with --study reviews\n"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    tiny_model(tmp_path / "model")
    lines = [f"{row['text']},{KEYS[row['label']]}" for split in toy_data().splits.values() for row in split]
    (tmp_path / "reviews.csv").write_text("\n".join(["body,stars", *lines]))
    return tmp_path


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs of searches, which end at their time limit if they have one."""
    found: list[Any] = []

    def run_workers(_: object, job: Any, __: object, *, timeout: float | None, **rest: Any) -> Outcome:
        found.append((job, timeout))
        if timeout:
            rest["on_tick"]([complete(n, "lora", 0.9, 100, 2.0) for n in range(2)])
        return Outcome("timeout" if timeout else "done")

    monkeypatch.setattr("peftsearch.optimize.run.run_workers", run_workers)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_init_writes_a_study_that_check_accepts(work: Path) -> None:
    shown = run("init", "reviews.csv", "--backbone", "./model", "--effort", "quick")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout == (
        f"{FOUND}searched: tfidf, probe, lora, at most 10 epochs\n"
        "written to studies/reviews.yaml; search it with:\n"
        "  peftsearch optimize --study reviews --time-limit 15m\n"
    )
    checked = run("check", "--study", "reviews", "--json")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["data"]["rows"].keys() == {"train", "validation", "test"}


def test_a_name_cannot_pretend_to_be_lines_or_commands(work: Path) -> None:
    (work / "a b\nError: no\x1b[2J.csv").write_text((work / "reviews.csv").read_text())
    shown = run("init", "a b\nError: no\x1b[2J.csv", "--backbone", "./model", "--out", "other/a b.yaml")
    assert shown.stdout.splitlines()[0] == "a b\\nError: no\\x1b[2J.csv: 192 rows, 3 classes"
    assert shown.stdout.splitlines()[-2:] == [
        "written to other/a b.yaml; search it with:",
        "  peftsearch optimize --study 'other/a b.yaml' --time-limit 15m",
    ]
    assert api.load_study("other/a b.yaml").name == "a-b"


def test_from_a_file_to_a_front(work: Path) -> None:
    """Trains two trials in a real worker; later commands find the study by its name."""
    begin = ("optimize", "--data", "reviews.csv", "--label", "stars", "--backbone", "./model")
    shown = run(*begin, "--trials", "2", "--json")
    assert shown.exit_code == 0, shown.output
    assert shown.stderr.startswith(FOUND.replace("its name is usual for classes", "as you named it"))
    assert MADE in shown.stderr
    assert {row["method"] for row in json.loads(shown.stdout)} <= {"tfidf", "probe"}
    status = run("status", "--study", "reviews", "--json")
    assert json.loads(status.stdout)["done"] == 2
    assert run("check", "--study", "reviews").exit_code == 0
    again = run(*begin, "--trials", "2")
    assert (again.exit_code, "2 of 2 trials are already done" in again.stderr) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "budget", "seconds"),
    [
        (("--trials", "7"), 7, None),
        (("--time-limit", "1h30m"), ENDLESS, 5400.0),
        (("--timeout", "90", "--trials", "7"), 7, 90.0),
        (("--effort", "quick"), 8, None),
        (("--effort", "quick", "--trials", "3"), 3, None),
    ],
)
def test_what_ends_a_search(
    work: Path, jobs: list[Any], arguments: tuple[str, ...], budget: int, seconds: float | None
) -> None:
    shown = run("optimize", "--data", "reviews.csv", "--backbone", "./model", *arguments)
    assert shown.exit_code == 0, shown.output
    assert [(job.budget, timeout) for job, timeout in jobs] == [(budget, seconds)]


def test_a_time_limit_that_ends_a_search_is_no_failure(work: Path, jobs: list[Any]) -> None:
    shown = run("optimize", "--data", "reviews.csv", "--backbone", "./model", "--time-limit", "30m")
    assert shown.exit_code == 0
    assert shown.stderr.splitlines()[-1] == (
        "the time limit of 30 min 0 s has ended the search: 0 trials are done; the same command continues"
    )
    assert run("status", "--study", "reviews").stdout.startswith("reviews: 0 trials done")


def test_options_of_a_made_study_are_written_into_it(work: Path, jobs: list[Any]) -> None:
    options = ("--limit", "train=60", "--text", "body", "--effort", "thorough", "--fork", "mine")
    assert run("optimize", "--data", "train=reviews.csv", "--backbone", "./model", *options).exit_code == 0
    made = api.load_study("mine")
    assert (made.name, made.data.limit.train, made.backbones[0].name) == ("mine", 60, "./model")
    assert "ia3" in made.methods


def test_columns_of_other_data_for_a_study_that_is_named(work: Path, jobs: list[Any]) -> None:
    assert run("init", "reviews.csv", "--backbone", "./model").exit_code == 0
    (work / "other.csv").write_text((work / "reviews.csv").read_text().replace("body,stars", "words,kind"))
    chosen = ("--study", "reviews", "--data", "other.csv", "--text", "words", "--label", "kind")
    assert run("optimize", *chosen, "--trials", "1").exit_code == 0
    data = jobs[0][0].document["data"]
    assert (data["text"], data["label"]) == ("words", "kind")
    assert data["source"] == {"train": str(work / "other.csv")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say when the search ends: with --trials, --time-limit, --until-flat or several"),
        (("--trials", "1"), "name a study with --study, or a file of labelled texts with --data FILE"),
        (("--trials", "1", "--label", "x"),
         "--text and --label name columns of the file that --data names; add --data FILE"),
        (("--trials", "1", "--study", "quickstart", "--effort", "quick"),
         "--effort is for a study that is made from --data, but --study names one"),
        (("--trials", "1", "--data", "train=reviews.csv,label=x", "--label", "y"),
         "label= in --data and an option name the same column; keep one"),
        (("--trials", "1", "--data", "reviews.csv", *("--text", "a") * 3),
         "--text is given 3 times; name one column, or two for pairs of texts"),
        (("--trials", "1", "--data", "none.csv"), r"data.source: no file or folder 'none.csv' in /.*"),
        (("--time-limit", "soon"),
         "Invalid value for '--time-limit' / '--timeout': 'soon' is not a time; write 90s, 30m, 1h30m, or a number of "
         "seconds"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_before_anything_is_made(
    work: Path, arguments: tuple[str, ...], message: str
) -> None:
    shown = run("optimize", *arguments)
    assert shown.exit_code == 2
    assert re.fullmatch(f"Error: {message}", shown.stderr.splitlines()[-1])
    assert not (work / "runs").exists()

"""An option goes before a variable, and a variable before the study file: one rule, for all that can be said twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from peftsearch import Overrides, api, load_study
from peftsearch.cli import COMMANDS, main
from peftsearch.core.calls.precedence import RUNS_VARIABLE, STORAGE_VARIABLE
from peftsearch.core.files.run_folder import runs_folder
from peftsearch.storage.connection.where import storage_url
from peftsearch.storage.database import open_storage, open_study
from peftsearch.workers.job import Job
from peftsearch.workers.outcome import Outcome
from tests.helpers.files import json_lines, rows
from tests.helpers.tiny import tiny_model

STUDY = """\
name: mine
data: {source: written.jsonl, splits: {validation: 0.2, test: 0.2}, max_length: 16, WRITTEN_DATA}
backbones: [written]
methods: {probe: {}}
search: {WRITTEN}
"""

IN_A_STUDY: dict[str, tuple[str, str, str, Callable[[Job], Any], tuple[Any, Any, Any]]] = {
    "sampler": ("--sampler random", "search", "sampler: tpe", lambda job: job.sampler, ("random", "tpe", "ehvi")),
    "pruner": ("--pruner none", "search", "pruner: median", lambda job: job.pruner, ("none", "median", "dominated")),
    "seed": ("--seed 0", "search", "seed: 7", lambda job: job.seed, (0, 7, 0)),
    "limit": (
        "--limit train=20", "data", "limit: {train: 30}",
        lambda job: (job.document["data"].get("limit") or {}).get("train"), (20, 30, None),
    ),
    "label": (
        "--data train=other.jsonl,label=other", "data", "label: label",
        lambda job: job.document["data"].get("label"), ("other", "label", None),
    ),
    "backbone": ("--backbone ./other", "data", "", lambda job: job.document["backbones"],
                 ([{"name": "./other"}], ["written"], ["written"])),
}  # fmt: skip
"""Each option → as it is given, the section and the text of the same in a study file, where it ends up, and the values
of the option, of the file and of neither."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in (STORAGE_VARIABLE, RUNS_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.mark.parametrize("given", [None, "option.db"])
@pytest.mark.parametrize("storage", [None, "", "variable.db"])
@pytest.mark.parametrize("runs", [None, "", "elsewhere"])
def test_where_trials_are_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, storage: str | None, runs: str | None
) -> None:
    """For every command that has --storage, and for the Python functions."""
    for variable, value in ((STORAGE_VARIABLE, storage and f"sqlite:///{storage}"), (RUNS_VARIABLE, runs)):
        if value is not None:
            monkeypatch.setenv(variable, value)
    option = given and f"sqlite:///{given}"
    folder = runs or "runs"
    expected = option or (storage and f"sqlite:///{storage}") or f"sqlite:///{folder}/mine.db"
    assert str(runs_folder()) == folder
    assert storage_url("mine", option) == expected
    found = 0
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and "--storage" in parameter.opts:
                arguments = ["--storage", option] if option else []
                context = command.make_context(name, arguments, resilient_parsing=True)
                assert storage_url("mine", context.params["storage"]) == expected, name
                found += 1
    assert found >= 10


def test_every_option_that_a_variable_sets_is_in_this_test() -> None:
    named = {option.envvar for command in COMMANDS.values() for option in command.params if option.envvar}
    assert named == {STORAGE_VARIABLE}


@pytest.mark.parametrize(("key", "written", "given"), list(itertools.product(IN_A_STUDY, [False, True], [False, True])))
def test_an_option_goes_before_the_study_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, key: str, written: bool, given: bool
) -> None:
    option, section, text, value_of, (of_option, of_file, of_neither) = IN_A_STUDY[key]
    for name in ("written", "other"):
        tiny_model(here / name)
        json_lines(here / f"{name}.jsonl", [{**row, "other": row["label"]} for row in rows(60)])
    added = {"data": "", "search": "", section: text if written else ""}
    study = STUDY.replace("WRITTEN_DATA", added["data"]).replace("WRITTEN", added["search"]).replace(", }", "}")
    (here / "mine.yaml").write_text(study)
    jobs: list[Job] = []

    def run_workers(_: object, job: Job, *rest: object, **options: object) -> Outcome:
        jobs.append(job)
        return Outcome("done")

    monkeypatch.setattr("peftsearch.optimize.run.run_workers", run_workers)
    arguments = ["optimize", "--study", "mine.yaml", "--trials", "1", *(option.split() if given else [])]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert value_of(jobs[0]) == (of_option if given else of_file if written else of_neither)


def test_python_has_the_same_rule(here: Path) -> None:
    (here / "mine.yaml").write_text(STUDY.replace("WRITTEN_DATA", "limit: {train: 30}").replace("WRITTEN", ""))
    assert load_study("mine.yaml").data.limit.train == 30
    assert load_study("mine.yaml", Overrides(limit={"train": 20})).data.limit.train == 20
    assert load_study("mine.yaml", Overrides(limit={"test": 20})).data.limit.train == 30
    open_study(open_storage("sqlite:///x.db"), "mine", ["macro_f1"])
    assert api.open_results("mine.yaml", storage="sqlite:///x.db").name == "mine"

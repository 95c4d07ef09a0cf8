"""The public functions: their names, what they take, what their documentation says, and that its examples run."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import peftsearch
from peftsearch import api
from peftsearch.core.errors import UserError
from peftsearch.optimize import begin
from peftsearch.workers.job import Job
from peftsearch.workers.local import LocalEngine
from peftsearch.workers.outcome import Outcome
from tests.helpers.folders import fill_toy_folder
from tests.helpers.hub import Hub
from tests.helpers.records import complete, store

# Named like the package's own study, before which the one in ./studies goes: the examples mean that one.
QUICKSTART = """\
name: quickstart
data: {source: ../rows.jsonl, splits: {validation: 0.25, test: 0.25}, max_length: 24}
backbones: [model]
training: {epochs: 2, batch_size: 16}
search: {portfolio: false}
methods:
  probe: {learning_rate: 0.05}
  lora: {learning_rate: {log: [1.0e-3, 1.0e-1]}}
"""
FUNCTIONS = [name for name in api.__all__ if inspect.isfunction(getattr(api, name))]
EXAMPLES = (
    *(
        "list_studies",
        "init_study",
        "load_study",
        "check_study",
        "run_study",
        "run_worker",
        "open_results",
        "StoredStudy",
    ),
    *("confirm_study", "open_confirmation", "recommend_trial", "report_study"),
    *("export_trial", "export_config", "export_front_configs"),
    *("export_script", "train_config", "push_export", "load_classifier", "LoadedClassifier"),
)
"""In the order of a user's day: each one needs what those before it have left."""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a study named quickstart, its data and a tiny random model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    fill_toy_folder(tmp_path, QUICKSTART, "studies/quickstart.yaml")
    return tmp_path


def test_public_names_are_one_list() -> None:
    assert peftsearch.__all__ == api.__all__ == sorted(api.__all__)
    assert set(dir(peftsearch)) == set(peftsearch.__all__)
    assert all(getattr(peftsearch, name) is getattr(api, name) for name in api.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_it_takes_gives_and_raises(name: str) -> None:
    function = getattr(api, name)
    documentation, parameters = inspect.getdoc(function) or "", inspect.signature(function).parameters
    needed = ["Returns:", "Examples:", *(["Args:", "Raises:"] if parameters else [])]
    assert [section for section in needed if f"\n{section}\n" not in documentation] == []
    assert [parameter for parameter in parameters if f"\n    {parameter}: " not in documentation] == []


def test_every_public_function_has_an_example_that_runs() -> None:
    assert set(FUNCTIONS) <= set(EXAMPLES)


def test_the_examples_of_the_documentation_are_true(work: Path, hub: Hub) -> None:
    """Trains two trials in a real worker, and confirms one of them."""
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    for name in EXAMPLES:
        [example] = finder.find(getattr(api, name), name, globs={key: getattr(api, key) for key in api.__all__})
        ran = runner.run(example)
        assert (ran.failed, ran.attempted, "+SKIP" in example.docstring) == (0, len(example.examples), False)
        assert example.examples


OPENERS: dict[str, Callable[..., Any]] = {
    "open_results": peftsearch.open_results,
    "confirm_study": peftsearch.confirm_study,
    "export_trial": lambda study, **rest: peftsearch.export_trial(study, 7, "out", **rest),
}


@pytest.mark.parametrize("name", OPENERS)
def test_a_study_is_a_name_a_path_or_a_loaded_study(work: Path, name: str) -> None:
    """There are no results yet, which all of them find in the same way."""
    path = work / "studies" / "quickstart.yaml"
    for study in ("quickstart", str(path), path, peftsearch.load_study(path)):
        with pytest.raises(UserError, match="study 'quickstart' has no trials yet"):
            OPENERS[name](study)
    with pytest.raises(UserError, match="study 'other' has no trials yet"):
        OPENERS[name]("quickstart", fork="other")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"trials": "2"}, "trials must be a whole number, at least 1, but got '2'"),
        ({"trials": 2.5}, "trials must be a whole number, at least 1, but got 2.5"),
        ({"trials": 0}, "trials must be a whole number, at least 1, but got 0"),
        ({"trials": 1, "fork": "../x"}, "fork: '../x' names files, so it may have letters, digits, - and _ only"),
    ],
)
def test_what_no_search_can_be_asked_for(work: Path, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        peftsearch.run_study("quickstart", **asked)
    assert str(caught.value) == told
    assert not (work / "runs").exists()


def test_overrides_apply_to_a_loaded_study(work: Path) -> None:
    loaded = peftsearch.load_study("quickstart")
    assert peftsearch.load_study(loaded) is loaded
    nine = peftsearch.Overrides(limit={"train": 9})
    limited = peftsearch.load_study(loaded, nine)
    assert len(peftsearch.check_study(limited).splits["train"]) == 9
    assert len(peftsearch.check_study(loaded, overrides=nine).splits["train"]) == 9


def test_results_of_another_space_are_refused(work: Path) -> None:
    def limited(rows: int) -> Any:
        return peftsearch.load_study("quickstart", peftsearch.Overrides(limit={"train": rows}))

    begin.begin(limited(60), trials=1, storage=None, fork=None, say=lambda _: None)
    assert peftsearch.open_results(limited(60)).name == "quickstart"
    with pytest.raises(UserError, match="the trials of 'quickstart' in the storage were trained on other data"):
        peftsearch.open_results(limited(50))


def test_results_need_no_study_file(work: Path) -> None:
    store(work / "runs", [complete(0, "lora", 0.9, 1000, 2.0)], name="gone")
    assert peftsearch.open_results("gone").best().record.number == 0
    with pytest.raises(UserError, match="no study named 'never'"):
        peftsearch.open_results("never")


def test_training_again_needs_the_study_file(work: Path) -> None:
    store(work / "runs", [complete(0, "lora", 0.9, 1000, 2.0)], name="gone")
    calls = (
        lambda: peftsearch.confirm_study("gone"),
        lambda: peftsearch.export_trial("gone", 0, work / "new", retrain=True),
    )
    for call in calls:
        with pytest.raises(UserError) as caught:
            call()
        assert str(caught.value) == (
            "the trials of 'gone' are in the storage, but its study file is not here, and training needs it; copy it"
            " into ./studies (optimize --data has kept it as runs/gone/study.yaml where it was run)"
        )
    assert not (work / "new").exists()


def test_random_trials_come_beside_the_baselines(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted among them, the model would take over after one point a method, and propose those points again."""
    jobs: list[Any] = []
    monkeypatch.setattr(
        "peftsearch.optimize.run.run_workers", lambda _, job, *__, **___: jobs.append(job) or Outcome("done")
    )
    spec = peftsearch.load_study("quickstart")
    results = peftsearch.run_study(spec, trials=12)
    assert jobs[0].startup_trials == spec.search.startup_trials + len(spec.baselines) == 8
    assert results.outcome == Outcome("done")


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("sampler", "valid: ehvi, random, tpe"),
        ("pruner", "did you mean 'none'?"),
        ("engine", "valid: local, ray"),
    ],
)
def test_an_unknown_sampler_pruner_or_engine_is_refused(work: Path, kind: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        peftsearch.run_study("quickstart", trials=1, **{kind: "nonne"})  # type: ignore[arg-type]
    assert str(error.value) == f"no {kind} 'nonne'; {hint}"


def test_options_of_a_search_go_before_the_study_s(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def run_workers(_: object, job: Job, engine: object, **options: object) -> Outcome:
        given.append({**vars(job), **options, "engine": engine})
        return Outcome("timeout")

    monkeypatch.setattr("peftsearch.optimize.run.run_workers", run_workers)
    asked = {"sampler": "random", "pruner": "none", "seed": 7, "exact": True, "cache_size": 10, "timeout": 5.0}
    ticks: list[Any] = []
    results = peftsearch.run_study("quickstart", trials=3, workers=3, on_tick=ticks.append, **asked)
    assert {name: given[0][name] for name in asked} == asked
    assert (given[0]["budget"], given[0]["engine"]) == (3, LocalEngine(3))
    assert results.outcome == Outcome("timeout")
    assert [len(records) for records in ticks] == [len(results.records())]

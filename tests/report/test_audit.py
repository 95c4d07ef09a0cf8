"""The audit in words, from a storage to the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from peftsearch.cli import main
from peftsearch.core.dimensions import Choice, Range
from peftsearch.results.audit import audit
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.searched_space import searched_space
from tests.helpers.records import complete, measurement, store

DISTRIBUTIONS = {
    "method": CategoricalDistribution(("full", "lora")),
    "full.learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
    "full.batch_size": IntDistribution(8, 64, log=True),
}


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredStudy:
    """Two trials of full fine-tuning, the better one at the highest learning rate, and none of LoRA."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    (tmp_path / "runs").mkdir()
    stored = open_stored("toy", store(tmp_path / "runs", []))
    for number, (macro_f1, rate) in enumerate([(0.8, 1e-4), (0.9, 1e-3)]):
        found = complete(number, "full", macro_f1, 1000, 10.0)
        assert found.config is not None
        assert found.measurement is not None
        attributes = {
            "config": found.config.to_dict(),
            "measurement": found.measurement.to_dict(),
            "curve": [epoch.to_dict() for epoch in found.curve],
        }
        trial = optuna.trial.create_trial(
            values=list(found.values.values()),
            params={"method": "full", "full.learning_rate": rate, "full.batch_size": 32},
            distributions=DISTRIBUTIONS,
            user_attrs=attributes,
        )
        stored.study.add_trial(trial)
    return stored


WARNINGS = [
    "fewer than 3 trials have finished of full (2), lora (0); so few say little about a method: give the search more "
    "trials",
    "not trained to its end, because the validation loss still fell in the last epoch, is the best trial of full "
    "(trial 1: by 33 %): give it more epochs",
    "the best trial of full has its learning rate, 1e-3, at the upper end of what was searched, 1e-5 … 1e-3 (log): "
    "search beyond it",
]


def test_the_space_is_read_back_from_the_trials(searched: StoredStudy) -> None:
    assert searched_space(searched.study) == {
        "full.batch_size": Range(8, 64, log=True, integer=True),
        "full.learning_rate": Range(1e-5, 1e-3, log=True),
        "method": Choice(("full", "lora")),
    }


def test_the_command_prints_it_after_the_front(searched: StoredStudy) -> None:
    result = CliRunner().invoke(main, ["front", "--study", "toy", "--audit"])
    assert result.exit_code == 0, result.output
    front, given = result.stdout.split("what each method was given\n")
    assert front.startswith("toy: 1 of 2 trials is on the Pareto front")
    assert ["full", "2", "0", "0", "0", "6", "1"] in [line.split() for line in given.splitlines()]
    assert [line.strip() for line in given.splitlines()[-3:]] == WARNINGS
    assert "what each method" not in CliRunner().invoke(main, ["front", "--study", "toy"]).stdout


def test_programs_get_it_beside_the_front(searched: StoredStudy) -> None:
    result = CliRunner().invoke(main, ["front", "--study", "toy", "--audit", "--json"])
    found = json.loads(result.stdout)
    assert [trial["trial"] for trial in found["front"]] == [1]
    assert found["audit"]["warnings"] == WARNINGS
    rate = found["audit"]["methods"][0]["dimensions"][1]
    expected = {"name": "learning_rate", "dimension": "1e-5 … 1e-3 (log)", "tried": 2, "best": 1e-3, "edge": "high"}
    assert rate == expected
    assert found["audit"]["finished"] == audit(searched).finished == 2


def test_a_study_without_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    (tmp_path / "runs").mkdir()
    store(tmp_path / "runs", [replace(complete(0, "tfidf", 0.9, 100, 1.0), curve=())])
    shown = CliRunner().invoke(main, ["front", "--study", "toy", "--audit"]).stdout
    assert shown.splitlines()[-1] == "nothing in the trials speaks against this result"
    assert "what was searched" not in shown


def test_trials_of_several_versions_of_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    (tmp_path / "runs").mkdir()
    had = [("1.7.0", "2.3.0"), ("1.7.0", "2.3.1"), ("1.8.0", "2.3.1")]
    measured = [measurement(versions={"scikit-learn": sklearn, "numpy": numpy}) for sklearn, numpy in had]
    trials = [complete(number, "tfidf", 0.9, 100, 1.0) for number in range(3)]
    store(tmp_path / "runs", [replace(t, measurement=m, curve=()) for t, m in zip(trials, measured, strict=True)])
    shown = CliRunner().invoke(main, ["front", "--study", "toy", "--audit", "--json"]).stdout
    assert json.loads(shown)["audit"]["warnings"][-1] == (
        "not all trials had the same versions of packages: of the finished ones, 1 with scikit-learn 1.7.0 and numpy "
        "2.3.0, 1 with scikit-learn 1.7.0 and numpy 2.3.1, 1 with scikit-learn 1.8.0 and numpy 2.3.1; peftsearch "
        "confirm trains the best again with the same versions"
    )

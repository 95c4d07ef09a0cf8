"""Workers that take trials of encoders, and workers that take text methods: together exactly the budget."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial

from peftsearch.core.config import TrialConfig
from peftsearch.storage.budget import claimable, finished
from peftsearch.storage.claims import SpaceExhausted, claim, claim_new
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.records import records
from peftsearch.storage.takes import takes_method
from peftsearch.study.starting_points.baselines import Baseline
from tests.helpers.claimers import claim_in_processes

ME = {"pid": 1}


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1", "train_seconds"])


def config(trial: Trial, baseline: Baseline | None = None, *, draws: dict[int, str]) -> TrialConfig:
    """The method that `draws` has for the trial's number; tfidf for any other."""
    trial.suggest_float("x", 0.0, 1.0)
    method = draws.get(trial.number, "tfidf")
    return TrialConfig("b", method, {"x": trial.params["x"]})


@pytest.mark.parametrize(
    ("method", "encoders", "texts"), [("tfidf", False, True), ("none", True, False), ("lora", True, False)]
)
def test_only_a_method_without_an_encoder_is_for_a_worker_without_a_gpu(
    method: str, encoders: bool, texts: bool
) -> None:
    assert takes_method("all", method)
    assert (takes_method("encoders", method), takes_method("texts", method)) == (encoders, texts)


def test_a_text_method_that_is_drawn_waits_for_its_worker_with_its_configuration(study: Study) -> None:
    draw = partial(config, draws={1: "full", 3: "lora"})
    assert claim_new(study, 4, ME, draw, takes="texts") is None, "it draws nothing itself"
    taken = [claim_new(study, 4, ME, draw, takes="encoders") for _ in range(3)]
    assert [claimed and claimed[0].number for claimed in taken] == [1, 3, None]
    waiting = [record for record in records(study) if record.state == "waiting"]
    assert [(record.number, record.worker) for record in waiting] == [(0, {}), (2, {})]
    assert [claimable(study, 4, takes) for takes in ("all", "encoders", "texts")] == [2, 0, 2]
    mine = [claim_new(study, 4, ME, draw, takes="texts") for _ in range(3)]
    assert [claimed and claimed[0].number for claimed in mine] == [0, 2, None]
    assert [claimed[1] for claimed in mine if claimed] == [record.config for record in waiting]
    assert len(study.trials) == 4


def test_the_last_trial_is_kept_by_who_draws_it(study: Study) -> None:
    """The worker of a GPU would end, while another one would have to start."""
    draw = partial(config, draws={1: "full"})
    taken = [claim_new(study, 3, ME, draw, takes="encoders") for _ in range(3)]
    assert [claimed and (claimed[0].number, claimed[1].method) for claimed in taken] == [
        (1, "full"),
        (2, "tfidf"),
        None,
    ]
    assert [record.state for record in records(study)] == ["waiting", "running", "running"]


def test_a_trial_for_others_is_passed_over(study: Study) -> None:
    """Whatever it was enqueued with: a configuration, or parameters through Optuna."""
    study.enqueue_trial({}, user_attrs={"config": TrialConfig("b", "tfidf").to_dict()})
    study.enqueue_trial({"method": "tfidf"})
    study.enqueue_trial({"method": "full"})
    study.enqueue_trial({"x": 0.5})
    assert [claimable(study, None, takes) for takes in ("all", "encoders", "texts")] == [4, 2, 2]
    numbers = {}
    for takes in ("encoders", "texts"):
        claimed = [claim(study, 4, ME, takes) for _ in range(3)]
        numbers[takes] = [trial and trial.number for trial in claimed]
    assert numbers == {"encoders": [2, 3, None], "texts": [0, 1, None]}


def test_a_space_without_anything_new_ends_the_search_although_text_methods_wait(study: Study) -> None:
    study.enqueue_trial({}, user_attrs={"config": TrialConfig("b", "tfidf").to_dict()})

    def same(trial: Trial, baseline: Baseline | None) -> TrialConfig:
        return TrialConfig("b", "full")

    assert claim_new(study, 9, ME, same, takes="encoders") is not None
    with pytest.raises(SpaceExhausted):
        claim_new(study, 9, ME, same, takes="encoders")
    assert claimable(study, 9, "texts") == 1


def test_four_processes_in_both_roles_make_exactly_the_budget(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    study = open_study(open_storage(url), "x", ["macro_f1"])
    claimed = claim_in_processes(url, "x", 30, 4, "encoders", "texts")
    assert max(Counter(number for numbers in claimed for number in numbers).values()) == 1
    assert finished(study) == 30
    assert claimable(study, 30) == 0
    found = [record for record in records(study) if record.counts]
    assert {record.state for record in found} == {"complete"}
    assert {record.config.method for record in found if record.config} == {"full", "tfidf"}

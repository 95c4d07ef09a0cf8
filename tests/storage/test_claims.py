from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState, create_trial

from peftsearch.core.config import TrialConfig
from peftsearch.search.samplers import make_sampler
from peftsearch.storage import budget, claims
from peftsearch.storage.budget import claimable, finished
from peftsearch.storage.claims import SpaceExhausted, claim, claim_new
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.records import records
from peftsearch.study.starting_points.baselines import Baseline
from tests.helpers.claimers import claim_in_processes

ME = {"pid": 1}


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1", "train_seconds"])


def config(trial: Trial, baseline: Baseline | None = None, options: int = 3) -> TrialConfig:
    return TrialConfig("b", "full", {"option": trial.suggest_categorical("option", list(range(options)))})


@pytest.mark.parametrize("attempt", range(2))
def test_four_processes_make_exactly_the_budget(tmp_path: Path, attempt: int) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    study = open_study(open_storage(url), "x", ["macro_f1"])
    study.enqueue_trial({})
    claimed = claim_in_processes(url, "x", budget=30, processes=4)
    assert max(Counter(number for numbers in claimed for number in numbers).values()) == 1
    assert finished(study) == 30
    assert claimable(study, 30) == 0
    states = Counter(record.state for record in records(study))
    assert states["running"] == states["waiting"] == 0


def test_waiting_trials_go_first_and_count(study: Study) -> None:
    study.enqueue_trial({"x": 1})
    study.enqueue_trial({"x": 2})
    assert claimable(study, 3) == 3
    taken = [claim(study, 3, ME) for _ in range(4)]
    assert [trial.number if trial else None for trial in taken] == [0, 1, 2, None]
    assert [trial.user_attrs["worker"] for trial in taken if trial] == [ME] * 3


def test_a_waiting_trial_beyond_the_budget_is_left_alone(study: Study) -> None:
    for place in range(3):
        study.enqueue_trial({"x": place})
    taken = [claim(study, 2, ME) for _ in range(3)]
    assert [trial.number if trial else None for trial in taken] == [0, 1, None]


def test_a_failed_trial_makes_room(study: Study) -> None:
    first = claim(study, 1, ME)
    assert first is not None
    assert claim(study, 1, ME) is None
    study.tell(first, state=TrialState.FAIL)
    second = claim(study, 1, ME)
    assert second is not None
    study.tell(second, state=TrialState.PRUNED)
    assert claim(study, 1, ME) is None
    assert finished(study) == 1


def test_a_new_trial_whose_place_is_taken_is_withdrawn_and_shown_nowhere(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker makes the last trial between this one's counting and its making."""
    counted, calls = budget.counted, []

    def late(study: Study) -> list[optuna.trial.FrozenTrial]:
        calls.append(counted(study))
        if len(calls) == 1:
            study.add_trial(create_trial(state=TrialState.RUNNING))
            return calls[-1]
        return counted(study)

    monkeypatch.setattr(budget, "counted", late)
    assert claim(study, 1, ME) is None
    monkeypatch.undo()
    assert [record.number for record in records(study)] == [0]
    assert len(study.trials) == 2
    assert study.trials[1].user_attrs["failure"]["kind"] == "withdrawn"


def test_a_waiting_trial_that_proves_to_be_beyond_the_budget_is_put_back(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker takes the last trial within the budget after this one has seen it wait."""
    study.ask()
    study.enqueue_trial({"x": 1}, user_attrs={"config": TrialConfig("b", "full").to_dict()})
    monkeypatch.setattr(claims, "claimable", lambda study, budget, takes: 1)
    assert claim(study, 1, ME) is None
    assert [(record.state, record.worker) for record in records(study)] == [("running", {}), ("waiting", {})]


def test_the_same_configuration_is_not_given_out_twice(study: Study) -> None:
    seen = []
    while (claimed := claim_new(study, 3, ME, config)) is not None:
        seen.append(claimed[1].settings["option"])
    assert sorted(seen) == [0, 1, 2]
    assert {trial.state for trial in records(study)} == {"running"}


def test_a_space_with_nothing_new_says_so(study: Study) -> None:
    for _ in range(3):
        claim_new(study, 5, ME, config)
    with pytest.raises(SpaceExhausted) as error:
        claim_new(study, 5, ME, config)
    assert str(error.value) == "100 configurations in a row had been tried before; the space holds nothing new"
    assert len(records(study)) == 3
    assert sum(trial.state is TrialState.RUNNING for trial in study.trials) == 3


def test_a_stuck_sampler_is_relieved_by_random_search(study: Study) -> None:
    class Stuck(optuna.samplers.RandomSampler):
        def sample_independent(self, *args: object) -> int:
            return 0

    study.sampler = stuck = Stuck()
    options = [claimed[1].settings["option"] for _ in range(3) if (claimed := claim_new(study, 3, ME, config))]
    assert sorted(options) == [0, 1, 2]
    assert study.sampler is stuck


def test_of_two_equal_enqueued_trials_the_first_is_trained(study: Study) -> None:
    same = TrialConfig("b", "full", {"option": 1}).to_dict()
    for _ in range(2):
        study.enqueue_trial({"option": 1}, user_attrs={"config": same})
    numbers = [claimed[0].number for _ in range(2) if (claimed := claim_new(study, 2, ME, config))]
    assert numbers[0] == 0
    assert 1 not in numbers


def test_two_searches_with_one_seed_do_not_follow_each_other(tmp_path: Path) -> None:
    """They began at once, so that their samplers draw the same numbers; the second one sees it at its first draw."""
    url, numbers = f"sqlite:///{tmp_path / 'x.db'}", []
    for parent in ("first", "second"):
        study = open_study(open_storage(url), "x", ["macro_f1", "train_seconds"])
        study.sampler = make_sampler("random", 0, 4, worker=0, trials=0)
        for _ in range(20):
            claimed = claim_new(study, 40, {"pid": 1, "parent": parent}, partial(config, options=10_000))
            assert claimed is not None
            numbers.append(claimed[0].number)
    assert numbers[20] == 21
    assert max(numbers) < 43, "a few more may be equal by chance"


def test_a_row_of_equal_enqueued_trials_is_no_exhausted_space(study: Study) -> None:
    """Other processes may have enqueued the same baselines."""
    same = TrialConfig("b", "full", {"option": 1}).to_dict()
    for place in range(2 * claims.EXHAUSTED_AFTER + 1):
        study.enqueue_trial({"option": 1}, user_attrs=None if place % 2 else {"config": same})
    numbers = [claimed[0].number for _ in range(3) if (claimed := claim_new(study, 3, ME, config))]
    assert numbers[0] == 0
    assert len(numbers) == 3
    assert min(numbers[1:]) > 2 * claims.EXHAUSTED_AFTER, "the sampler's"


@pytest.mark.parametrize("seed", range(3))
def test_enqueued_trials_that_do_not_fit_fail_with_the_reason(study: Study, seed: int) -> None:
    rng = random.Random(seed)
    options = rng.choices([*range(3), 7, "text", None, [1], float("nan")], k=150)
    for option in options:
        study.enqueue_trial({"option": option})

    def misfit(params: Mapping[str, Any]) -> str | None:
        return f"got {params['option']!r}" if params and params["option"] not in (0, 1, 2) else None

    seen = []
    while (claimed := claim_new(study, 3, ME, config, misfit)) is not None:
        seen.append(claimed[1].settings["option"])
    assert sorted(seen) == [0, 1, 2]
    failed = [trial for trial in records(study) if trial.failure]
    wrong = [option for option in options if option not in (0, 1, 2)]
    assert [trial.failure for trial in failed] == [
        {"kind": "outside_space", "message": f"got {option!r}"} for option in wrong[: len(failed)]
    ]
    assert len(failed) > 3


def test_a_claimed_trial_that_another_process_fails_is_passed_over(study: Study) -> None:
    def suggest(trial: Trial, baseline: Baseline | None) -> TrialConfig:
        if trial.number == 0:
            study.tell(0, state=TrialState.FAIL)
        return config(trial)

    claimed = claim_new(study, 3, ME, suggest)
    assert claimed is not None
    assert claimed[0].number == 1


def test_a_claim_reads_no_more_of_a_long_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a claim asks of the storage, and the configurations whose keys it makes, do not grow with the trials."""
    storage = open_storage(f"sqlite:///{tmp_path / 'x.db'}")
    study = open_study(storage, "x", ["macro_f1", "train_seconds"])
    study.sampler = make_sampler("tpe", 0, 4, worker=0, trials=0)
    calls: Counter[str] = Counter()

    def counting(where: Any, name: str) -> None:
        plain = getattr(where, name)
        monkeypatch.setattr(where, name, lambda *args, **named: (calls.update([name]), plain(*args, **named))[1])

    for where, name in [(storage, "get_all_trials"), (storage, "get_trial"), (TrialConfig, "key")]:
        counting(where, name)
    seen = []
    for _ in range(30):
        calls.clear()
        claimed = claim_new(study, 99, ME, partial(config, options=10_000))
        assert claimed is not None
        seen.append(dict(calls))
        study.tell(claimed[0], [0.5, 1.0 + claimed[0].number])
    assert seen[29] == seen[9]
    assert seen[29]["get_all_trials"] <= 7

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from optuna.study import Study

from peftsearch.core.errors import UserError
from peftsearch.storage import prepare as preparing
from peftsearch.storage.claims import claim_new
from peftsearch.storage.database import objective_names, open_storage, open_study
from peftsearch.storage.prepare import enqueue_baselines, prepare
from peftsearch.storage.records import records
from peftsearch.storage.study_attributes import read_constraints, read_enqueuing, read_tolerance, write_enqueuing
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import load_study
from peftsearch.study.suggest import baseline_config, suggest
from tests.helpers.preparers import prepare_in_processes
from tests.helpers.search import STUDY, Search
from tests.helpers.workers import other_process


def test_baselines_wait_in_their_order_with_their_configurations(search: Search) -> None:
    study = search.prepare()
    found = records(study)
    assert [record.config.method for record in found if record.config] == ["probe", "full", "lora"]
    assert [record.state for record in found] == ["waiting"] * 3
    assert [record.baseline for record in found] == [None, 0, None]
    assert found[1].config is not None
    assert found[1].config.settings["learning_rate"] == 2e-5


def test_preparing_again_enqueues_nothing_twice(search: Search) -> None:
    search.prepare()
    assert len(records(search.prepare())) == 3


def test_a_baseline_that_is_added_later_is_enqueued(search: Search) -> None:
    search.prepare()
    Path(search.job.path).write_text(STUDY + "  - {method: full, learning_rate: 3e-5}\n")
    study = prepare(load_study(search.job.path), search.job.storage)
    assert [record.baseline for record in records(study)] == [None, 0, None, 1]


def test_a_storage_of_an_earlier_version_keeps_its_numbers(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has enqueued the baselines in the file before all others."""
    spec = load_study(search.job.path)
    probe, full, lora = spec.baselines
    before = [
        record.number for record in records(prepare(replace(spec, baselines=(full, lora, probe)), search.job.storage))
    ]
    found = records(search.prepare())
    assert [record.config.method for record in found if record.config] == ["full", "lora", "probe"]
    assert [record.number for record in found] == before == [0, 1, 2]


def many(search: Search, baselines: int) -> None:
    """Write so many baselines into the study's file, and take what it had away."""
    written = "".join(f"  - {{method: full, learning_rate: {i + 1}e-6}}\n" for i in range(baselines))
    Path(search.job.path).write_text(STUDY.partition("  - ")[0] + written)


@pytest.mark.parametrize("attempt", range(2))
def test_processes_that_begin_at_once_enqueue_each_baseline_once(search: Search, attempt: int) -> None:
    many(search, 30)
    prepare_in_processes(search.job.path, search.job.storage, processes=4)
    study = prepare(load_study(search.job.path), search.job.storage)
    baselines = [record.baseline for record in records(study) if record.counts]
    assert baselines == [None, *range(30), None], "in their order"
    assert len(study.trials) <= 2 * 32, "most were enqueued by one process alone"


def test_a_process_waits_for_one_that_enqueues_as_long_as_that_lives(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow it is: on a machine under load, seconds may pass between two baselines."""
    many(search, 5)
    spec = load_study(search.job.path)
    study = open_study(open_storage(search.job.storage), "toy", spec.objectives)
    enqueue_baselines(study, spec)
    many(search, 8)
    spec, pauses = load_study(search.job.path), count(1)
    monkeypatch.setattr(preparing, "LATE_SECONDS", 0.0)
    with ExitStack() as lives:
        write_enqueuing(study, lives.enter_context(other_process()))
        monkeypatch.setattr(preparing.time, "sleep", lambda _: lives.close() if next(pauses) == 3 else None)
        assert enqueue_baselines(study, spec) == 3
    assert next(pauses) == 4, "it waited until the other one had ended"
    assert read_enqueuing(study) is None


def test_a_process_goes_on_where_one_that_enqueued_has_died(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    many(search, 5)
    spec = load_study(search.job.path)
    study = open_study(open_storage(search.job.storage), "toy", spec.objectives)
    monkeypatch.setattr(preparing, "OTHERS_SECONDS", 0.0)
    added = preparing.add_waiting_trial

    def late(study: Study, *attributes: Any) -> int:
        if not study.trials:
            added(study, *attributes)  # the other one has enqueued the first baseline, and will enqueue no more
        return added(study, *attributes)

    monkeypatch.setattr(preparing, "add_waiting_trial", late)
    assert enqueue_baselines(study, spec) == 6
    assert [record.baseline for record in records(study)] == [None, 0, 1, 2, 3, 4, None]


@pytest.mark.parametrize("seed", range(5))
def test_however_two_processes_take_turns_each_baseline_is_there_once(
    search: Search, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The other one enqueues the same baselines in any of the moments between this one's."""
    many(search, 6)
    spec, rng = load_study(search.job.path), random.Random(seed)
    study = open_study(open_storage(search.job.storage), "toy", spec.objectives)
    monkeypatch.setattr(preparing, "OTHERS_SECONDS", 0.0)
    added, mine = preparing.add_waiting_trial, []

    def in_turns(study: Study, *attributes: Any) -> int:
        while mine and rng.random() < 0.4:
            added(study, *rng.choice(mine))
        mine.append(attributes)
        return added(study, *attributes)

    monkeypatch.setattr(preparing, "add_waiting_trial", in_turns)
    enqueue_baselines(study, spec)
    monkeypatch.undo()
    claimed = []
    while (one := claim_new(study, 8, {"pid": 1}, partial(suggest, spec))) is not None:
        claimed.append(one[1].key())
    assert len(set(claimed)) == len(claimed) == 8
    assert {baseline_config(spec, baseline).key() for baseline in spec.baselines} == set(claimed)


@pytest.mark.parametrize(
    ("kind", "again"), [("error", 1), ("killed", 0), ("hung", 0), ("withdrawn", 1), ("interrupted", 1)]
)
def test_a_failed_baseline_is_tried_again_unless_it_killed_its_worker(search: Search, kind: str, again: int) -> None:
    from optuna.trial import TrialState

    study = search.prepare()
    trial = study.ask()
    trial.set_user_attr("failure", {"kind": kind, "message": ""})
    study.tell(trial, state=TrialState.FAIL)
    assert enqueue_baselines(study, search.spec) == again


def test_a_storage_with_another_space_is_refused_and_nothing_is_lost(search: Search) -> None:
    search.prepare()
    Path(search.job.path).write_text(STUDY.replace("[1.0e-4, 1.0e-2]", "[1.0e-4, 2.0e-2]"))
    with pytest.raises(UserError) as error:
        prepare(load_study(search.job.path), search.job.storage)
    assert str(error.value) == (
        "the trials of 'toy' in the storage were searched over another space"
        " (methods.lora.learning_rate: 0.0001 … 0.02 (log) here, 0.0001 … 0.01 (log) there);"
        " undo the change, or keep both with --fork NEW_NAME"
    )
    assert len(search.records()) == 3


@pytest.mark.parametrize("objectives", ["[macro_f1]", "[macro_f1, peak_memory_mb, train_seconds]"])
def test_other_objectives_are_refused_before_their_names_are_written(search: Search, objectives: str) -> None:
    before = search.prepare()
    Path(search.job.path).write_text(f"{STUDY}objectives: {objectives}\n")
    with pytest.raises(UserError, match=r"were searched for other objectives \(objectives: macro_f1"):
        prepare(load_study(search.job.path), search.job.storage)
    assert objective_names(before) == ("macro_f1", "trainable_parameters", "train_seconds")


def test_other_data_is_named_as_a_study_file_has_it(search: Search) -> None:
    search.prepare()
    with pytest.raises(UserError) as error:
        prepare(load_study(search.job.path, Overrides(limit={"train": 100})), search.job.storage)
    assert "were trained on other data (data.limit.train: 100 here, not set there); undo" in str(error.value)


def test_a_fork_stands_beside_the_study(search: Search) -> None:
    search.prepare()
    Path(search.job.path).write_text(STUDY.replace("[1.0e-4, 1.0e-2]", "[1.0e-4, 2.0e-2]"))
    fork = prepare(load_study(search.job.path), search.job.storage, name="toy-2")
    assert len(records(fork)) == 3
    assert len(records(prepare(search.spec, search.job.storage))) == 3


def test_what_does_not_decide_a_trials_result_may_change(search: Search) -> None:
    search.prepare()
    changed = replace(search.spec, goal="another", search=replace(search.spec.search, seed=9, pruner="none"))
    assert len(records(prepare(changed, search.job.storage))) == 3


def test_other_constraints_replace_those_of_the_last_search(search: Search) -> None:
    file = Path(search.job.path)
    for written, bounds in (("{macro_f1: 0.5, train_seconds: 9}", [0.5, 9.0]), ("{macro_f1: 0.7}", [0.7]), ("{}", [])):
        file.write_text(f"{STUDY}constraints: {written}\n")
        study = prepare(load_study(str(file)), search.job.storage)
        assert [constraint.bound for constraint in read_constraints(study)] == bounds


def test_the_tolerance_of_the_last_search_is_kept_with_the_study(search: Search) -> None:
    file = Path(search.job.path)
    for written, kept in (("{macro_f1: 0.01, train_seconds: 20%}", True), ("none", True), ("{}", False)):
        file.write_text(f"{STUDY}tolerance: {written}\n")
        spec = load_study(str(file))
        assert read_tolerance(prepare(spec, search.job.storage)) == spec.tolerance
        assert bool(spec.tolerance) == kept

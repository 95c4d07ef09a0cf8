"""A whole search under a constraint: what it proposes, trains, keeps and shows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from optuna.study import Study
from rich.console import Console

from peftsearch.core.errors import UserError
from peftsearch.report.study_views import front_view, methods_view, trial_line
from peftsearch.results.stored_study import StoredStudy
from peftsearch.search import execute
from peftsearch.search.samplers import make_sampler
from peftsearch.storage.claims import claim_new
from peftsearch.storage.liveness.worker_identity import identity
from peftsearch.storage.prepare import prepare
from peftsearch.study.spec import load_study
from peftsearch.study.suggest import suggest
from tests.helpers import fake_trainer
from tests.helpers.search import STUDY, Search
from tests.search.test_execute import front_of_points, front_of_whole_trials


def searched(search: Search, constraints: str, trials: int, sampler: str = "tpe") -> StoredStudy:
    """As a worker does it, in this process. In a third of random proposals the method is probe, of 3,000 parameters."""
    Path(search.job.path).write_text(f"{STUDY}constraints: {constraints}\n")
    spec = load_study(search.job.path)
    study: Study = prepare(spec, search.job.storage)
    study.sampler = make_sampler(sampler, 0, 9, worker=0, trials=0)
    train = fake_trainer.trainer(spec, search.job)
    while claimed := claim_new(study, trials, identity("cpu", None), partial(suggest, spec)):
        execute.run(study, *claimed, train, "none", search.job.run_folder, lambda: False)
    return StoredStudy("toy", study, spec.objectives, search.job.run_folder, search.job.storage)


def shown(*parts: object) -> str:
    console = Console(width=120, highlight=False)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    return captured.get()


def test_it_proposes_what_keeps_the_constraint_more_often_than_chance(search: Search) -> None:
    found = searched(search, "{trainable_parameters: 10_000}", 26)
    late = [record.feasible for record in found.records()[12:]]
    assert sum(late) / len(late) > 0.6, "a third by chance"
    untrained = [record for record in found.records() if record.state == "pruned"]
    assert untrained
    assert all(record.config and record.config.method != "probe" and not record.curve for record in untrained)
    assert {row.config.method for row in found.front()} == {"probe"}
    assert {path.name for path in found.folder.weights.iterdir()} == (
        front_of_points(found.study) | front_of_whole_trials(found.study)
    )


def test_what_breaks_a_constraint_is_said_wherever_trials_are_shown(search: Search) -> None:
    found = searched(search, "{trainable_parameters: 10_000}", 3)
    assert trial_line(found.records()[1], found.objectives) == (
        "trial 1 pruned: full (lr 2e-5): breaks the constraint trainable_parameters <= 10,000: has 22,000,000"
    )
    line = "constraint trainable_parameters <= 10,000: broken by 2 trials, 2 of which were not trained\n"
    for view in (front_view(found), methods_view(found)):
        assert line in shown(*view)
    assert str(found.status().constraints[0]) == line.strip()


def test_a_front_that_nothing_reaches_says_which_trial_is_nearest(search: Search) -> None:
    found = searched(search, "{macro_f1: 0.99, trainable_parameters: 1_000_000}", 3)
    complete = [record for record in found.records() if record.state == "complete"]
    nearest = max(complete, key=lambda record: record.values["macro_f1"])
    why = (
        f"no trial keeps the constraints; the nearest is trial {nearest.number}, which breaks the constraint "
        f"macro_f1 >= 0.99: has {nearest.values['macro_f1']:.4f}"
    )
    assert front_view(found) == [f"toy: {why}"]
    with pytest.raises(UserError) as caught:
        found.best()
    assert str(caught.value) == f"study 'toy' has no front: {why}; see peftsearch status --study toy"
    assert not list(found.folder.weights.glob("*"))


def test_a_front_is_chosen_anew_when_a_study_is_searched_with_other_constraints(search: Search) -> None:
    loose, strict, again = (
        {row.config.method for row in searched(search, f"{{trainable_parameters: {bound}}}", 3).front()}
        for bound in (1_000_000, 10_000, 1_000_000)
    )
    assert (loose, strict, again) == ({"lora", "probe"}, {"probe"}, {"lora", "probe"})


def test_what_a_constraint_stopped_is_tried_again_once_the_study_has_it_no_more(search: Search) -> None:
    searched(search, "{trainable_parameters: 10_000}", 3)
    found = searched(search, "{trainable_parameters: 1_000_000}", 4)
    methods = [(record.config.method, record.state) for record in found.records() if record.config]
    assert methods == [("probe", "complete"), ("full", "pruned"), ("lora", "pruned"), ("lora", "complete")]
    configs = [record.config for record in found.records()]
    assert configs[3] == configs[2]
    assert len(searched(search, "{trainable_parameters: 1_000_000}", 4).records()) == 4

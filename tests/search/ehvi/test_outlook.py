from __future__ import annotations

from dataclasses import replace

import numpy as np

from peftsearch.core.constraints import Constraint
from peftsearch.search.ehvi.encoding import Encoding
from peftsearch.search.ehvi.outlook import Outlook
from peftsearch.storage.points import epochs_of
from peftsearch.storage.records import Record, records
from tests.helpers.records import measurement
from tests.search.ehvi.test_sampler import OBJECTIVES, played, sampler, study_of


def trials_and_space() -> tuple[list[Record], Encoding]:
    """Complete and pruned trials with what each has measured."""
    study = study_of(sampler())
    played(study, 24)
    space = study.sampler.infer_relative_search_space(study, study.trials[-1])
    found = [record for record in records(study) if record.state in ("complete", "pruned")]
    measured = measurement(best_epoch=3)
    return [
        replace(record, measurement=measured) if record.state == "complete" else replace(record, so_far=measured)
        for record in found
    ], Encoding(space)


def outlook(trials: list[Record], encoding: Encoding, *, every_epoch: bool) -> Outlook:
    found = Outlook.of(trials, encoding, OBJECTIVES, (), every_epoch=every_epoch)
    assert found is not None
    return found


def test_an_end_that_an_epoch_has_reached_promises_nothing() -> None:
    """The quickest epochs open what no whole trial has, so whole trials alone would let it be found once more."""
    trials, encoding = trials_and_space()
    whole, points = (outlook(trials, encoding, every_epoch=each) for each in (False, True))
    reached = [epoch for trial in trials for epoch in epochs_of(trial, OBJECTIVES)]
    assert {trial.state for trial in trials} == {"complete", "pruned"}
    mean = np.stack(
        [q.scale.losses(np.array([e.values[q.scale.objective.name] for e in reached])) for q in whole.quantities],
        axis=1,
    )
    promised = [each._target().score(mean, np.zeros_like(mean), each.quantities) for each in (whole, points)]
    assert (promised[0] > 1e-6).any()
    np.testing.assert_allclose(promised[1], 0, atol=1e-6)
    assert (promised[1] <= promised[0] + 1e-6).all()


def test_an_epoch_that_breaks_a_constraint_closes_nothing() -> None:
    trials, encoding = trials_and_space()
    bound = Constraint("macro_f1", 2.0)
    broken = [replace(trial, constraints=(bound,)) for trial in trials]
    assert len(outlook(trials, encoding, every_epoch=True)._losses_of_epochs()) > 0
    assert outlook(broken, encoding, every_epoch=True)._losses_of_epochs().shape == (0, 3)

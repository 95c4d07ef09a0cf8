"""The front by times measured again is that of a search in which no trial had a neighbour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from peftsearch.core.constraints import Constraint, checks_of
from peftsearch.core.seconds import timed_in
from peftsearch.results.front import front
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.results.times.again import candidates, share_a_device, timed_again, times_in_words
from peftsearch.storage.points import points_of
from peftsearch.storage.records import Record
from peftsearch.storage.retiming import write_timed
from peftsearch.storage.times.calibrations import write_calibration
from tests.helpers.records import OBJECTIVES, store
from tests.helpers.shared_gpu import EPOCHS, QUIET, SEARCHED, trial


def whole(records: Sequence[Record]) -> list[int]:
    return [row.record.number for row in front(records, OBJECTIVES)]


def chosen(records: Sequence[Record], every_epoch: bool = False) -> list[int]:
    return [record.number for record in candidates(records, OBJECTIVES, every_epoch=every_epoch)]


def again(quiet: Mapping[int, float], numbers: Sequence[int]) -> dict[int, tuple[float, ...]]:
    return {number: (quiet[number] / EPOCHS,) * EPOCHS for number in numbers}


def test_the_noise_of_a_neighbour_disappears_from_the_front() -> None:
    alone = [trial(r.number, r.values["macro_f1"], 1000, QUIET[r.number], 1) for r in SEARCHED]
    assert whole(SEARCHED) == [0, 2, 3]
    assert whole(alone) == [0, 1, 3]
    numbers = chosen(SEARCHED)
    assert numbers == [0, 1, 2, 3]
    assert whole(timed_again(SEARCHED, OBJECTIVES, again(QUIET, numbers), every_epoch=False)) == whole(alone)


@pytest.mark.parametrize("every_epoch", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_no_trial_is_left_out_that_quiet_times_put_on_the_front(seed: int, every_epoch: bool) -> None:
    rng = np.random.default_rng(seed)
    searched, alone = [], []
    for number in range(12):
        f1, seconds, shared = rng.uniform(0.5, 0.9), rng.uniform(1, 10), int(rng.integers(1, 4))
        begin = 2 * number  # alone, unless others begin in the same hour
        searched.append(trial(number, f1, 1000, seconds, shared, begin))
        searched += [trial(100 * number + k, 0.1, 9000, 90.0, shared, begin) for k in range(1, shared)]
        alone.append(trial(number, f1, 1000, seconds, 1))
    points = points_of(alone, OBJECTIVES, every_epoch=every_epoch)
    values = np.array([[-point.values["macro_f1"], point.values["train_seconds"]] for point in points])
    best = {
        point.number
        for point, own in zip(points, values, strict=True)
        if not ((values <= own).all(axis=1) & (values < own).any(axis=1)).any()
    }
    assert best <= set(chosen(searched, every_epoch))


def test_each_epoch_gets_its_part_of_the_times_and_keeps_those_of_the_search() -> None:
    [found] = timed_again(SEARCHED[:1], OBJECTIVES, {0: (1.0, 2.0, 3.0)}, every_epoch=True)
    points = points_of([found], OBJECTIVES)
    assert [point.values["train_seconds"] for point in points] == [1.0, 3.0, 6.0]
    measured = [point.measurement for point in points if point.measurement]
    assert [each.train_seconds for each in measured] == [1.0, 3.0, 6.0]
    assert [each.searched_train_seconds for each in measured] == pytest.approx([20 / 3, 40 / 3, 20.0])


def test_an_epoch_of_a_pruned_trial_is_measured_again_too() -> None:
    whole_trial = SEARCHED[0]
    pruned = replace(whole_trial, state="pruned", values={}, measurement=None, so_far=whole_trial.measurement)
    assert chosen([pruned], every_epoch=False) == []
    assert chosen([pruned], every_epoch=True) == [0]
    [found] = timed_again([pruned], OBJECTIVES, {0: (1.0, 1.0, 1.0)}, every_epoch=True)
    assert [point.values["train_seconds"] for point in points_of([found], OBJECTIVES)] == [1.0, 2.0, 3.0]


def test_a_front_never_mixes_times() -> None:
    """A newer trial that may be on it brings the times of the search back."""
    times = again(QUIET, [0, 1, 2, 3])
    newer = trial(5, 0.88, 1000, 8.0, 1, begin=5)
    assert timed_again([*SEARCHED, newer], OBJECTIVES, times, every_epoch=False) == [*SEARCHED, newer]
    worse = trial(5, 0.5, 1000, 30.0, 1, begin=5)
    assert timed_again([*SEARCHED, worse], OBJECTIVES, times, every_epoch=False)[0].values["train_seconds"] == 10.0


def test_a_bound_on_the_time_is_checked_with_the_time_alone() -> None:
    bound = Constraint("train_seconds", 15.0)
    broken = [
        replace(r, constraints=(bound,), checks=checks_of((bound,), r.measurement)) for r in SEARCHED if r.measurement
    ]
    assert not broken[0].feasible
    numbers = [record.number for record in candidates(broken, OBJECTIVES, every_epoch=False)]
    assert 0 in numbers
    assert timed_again(broken, OBJECTIVES, again(QUIET, numbers), every_epoch=False)[0].feasible


def test_only_trials_that_shared_a_gpu_make_it_worth_while() -> None:
    alone = [trial(n, 0.5 + n / 10, 1000, 1.0 + n, 1, begin=n) for n in range(3)]
    assert not share_a_device(alone, candidates(alone, OBJECTIVES, every_epoch=True))
    assert share_a_device(SEARCHED, candidates(SEARCHED, OBJECTIVES, every_epoch=True))
    assert candidates(SEARCHED, ("macro_f1", "trainable_parameters"), every_epoch=True) == []


@pytest.fixture
def stored(tmp_path: Path) -> StoredStudy:
    return open_stored("toy", store(tmp_path, SEARCHED, every_epoch=False))


def test_a_stored_study_shows_the_median_of_the_turns_once_all_are_there(stored: StoredStudy) -> None:
    assert times_in_words(stored.study, stored.objectives) == []
    for turn, noise in enumerate((1.0, 5.0, 1.1)):
        for number in (0, 1, 3):
            write_timed(stored.study, number, turn, tuple(noise * s for s in again(QUIET, [number])[number]))
    assert [row.record.number for row in stored.front()] == [0, 2, 3]
    assert times_in_words(stored.study, stored.objectives) == [
        "the front has the train times of the search, because 1 trial that may be on it was not yet measured again, "
        "alone; peftsearch optimize does that at its end"
    ]
    write_timed(stored.study, 2, 0, (3.5, 3.5, 3.5))
    assert [row.record.number for row in stored.front()] == [0, 1, 3]
    found = stored.trial(0).measurement
    assert found is not None
    assert (found.train_seconds, found.searched_train_seconds) == (pytest.approx(11.0), 20.0)
    assert times_in_words(stored.study, stored.objectives) == [
        "the train times of the trials that may be on the front were measured again, alone and in turns"
    ]


def test_times_measured_again_on_another_device_are_on_the_scale_of_the_study(stored: StoredStudy) -> None:
    for device, training in (("the reference", 0.1), ("H100", 0.05)):
        kind, seconds = timed_in("wall", device, exact=False), {"training": training, "evaluation": training}
        write_calibration(stored.study, "encoder", kind, seconds, exact=False)
    assert [row.record.number for row in stored.front()] == [0, 2, 3], "all of them were scaled alike"
    for number in (0, 1, 2, 3):
        write_timed(stored.study, number, 0, again(QUIET, [number])[number])
    times = {row.record.number: row.objectives["train_seconds"] for row in stored.front()}
    assert times == pytest.approx({0: 20.0, 1: 12.0, 2: 18.0, 3: 6.0}), "2 is no longer within 0.1 s of a tenth of 0"
    found = stored.trial(0).measurement
    assert found is not None
    assert (found.train_seconds, found.searched_train_seconds) == (pytest.approx(20.0), pytest.approx(40.0))
    assert (found.own_train_seconds, found.scaled_by) == (pytest.approx(10.0), 2.0)

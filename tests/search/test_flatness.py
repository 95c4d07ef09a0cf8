from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from peftsearch.core.constraints import Constraint, checks_of
from peftsearch.core.front.tolerance import AS_MEASURED, Margin
from peftsearch.search.flatness import LEAST, WINDOW, Flatness, added_after, added_by_last, flatness_of
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.records import Record
from peftsearch.storage.study_attributes import write_tolerance
from tests.helpers.records import OBJECTIVES, complete

BEFORE = 4


def search(gain_at: int | None = None, trials: int = BEFORE + WINDOW) -> list[Record]:
    """A search whose first trial dominates all others, but for one that gains a lot."""
    made = [complete(number, "lora", 0.7 - 0.001 * number, 1000, 10.0) for number in range(trials)]
    if gain_at is not None:
        made[gain_at] = complete(gain_at, "lora", 0.8, 1000, 10.0)
    return made


def reached(records: list[Record], first: int = 0) -> str | None:
    return Flatness(first, OBJECTIVES).reached(records)


FLAT = "the last 16 of {} trials added 0.00 % to the hypervolume, less than 0.5 %"


def test_a_search_ends_when_its_last_trials_have_added_nothing() -> None:
    assert reached(search()) == FLAT.format(WINDOW + 1), "at the first number of trials at which that is so"
    assert reached(search(trials=WINDOW)) is None
    assert reached(search(gain_at=WINDOW)) is None
    assert reached(search(gain_at=3)) == FLAT.format(WINDOW + BEFORE)


def test_less_than_half_a_percent_is_next_to_nothing() -> None:
    for share, goes_on in ((0.9 * LEAST, False), (1.1 * LEAST, True)):
        trials = search(trials=WINDOW + 1)
        trials[5] = complete(5, "lora", 0.7 / (1 - share), 1000, 10.0)
        assert added_by_last(trials, OBJECTIVES) == pytest.approx(share)
        assert (reached(trials) is None) == goes_on


def test_trials_that_are_faster_by_the_noise_of_their_times_add_nothing() -> None:
    """Each of the last 16 takes 4 to 7 % less than all trials before them, but once the very last one 20 %."""
    before = [complete(0, "lora", 0.7, 1000, 100.0), complete(1, "full", 0.6, 1000, 200.0)]
    last = [complete(2 + number, "lora", 0.7, 1000, 96.0 - 0.2 * number) for number in range(WINDOW)]
    by_the_clock = added_by_last([*before, *last], OBJECTIVES)
    assert by_the_clock is not None
    assert by_the_clock > 10 * LEAST
    assert added_by_last([*before, *last], OBJECTIVES, tolerance=AS_MEASURED) == 0
    faster = [*last[:-1], complete(17, "lora", 0.7, 1000, 80.0)]
    found = added_by_last([*before, *faster], OBJECTIVES, tolerance=AS_MEASURED)
    assert found is not None
    assert found > LEAST


def test_a_search_is_judged_with_the_tolerance_of_its_study(tmp_path: Path) -> None:
    study = open_study(open_storage(f"sqlite:///{tmp_path}/trials.db"), "timed", OBJECTIVES)
    write_tolerance(study, {"train_seconds": Margin(0.5, relative=True)})
    found = flatness_of(study, 3)
    assert found == Flatness(3, OBJECTIVES, every_epoch=True, tolerance={"train_seconds": Margin(0.5, relative=True)})
    assert flatness_of(study, None) is None


def test_trials_that_were_stopped_or_failed_or_break_a_constraint_add_nothing() -> None:
    trials = search(gain_at=5, trials=WINDOW + 1)
    assert reached(trials) is None
    bound = Constraint("macro_f1", 0.95)
    broken = replace(trials[5], checks=checks_of([bound], trials[5].measurement))  # type: ignore[arg-type]
    for other in (Record(5, "pruned", trials[5].config), Record(5, "failed", trials[5].config), broken):
        assert reached([*trials[:5], other, *trials[6:]]) == FLAT.format(WINDOW + 1)


def test_starting_points_do_not_make_a_search_flat() -> None:
    begun = [replace(record, starting_point=record.number < 6) for record in search(trials=6 + WINDOW)]
    assert reached(begun[:-1]) is None
    assert reached(begun) == FLAT.format(6 + WINDOW)


def test_the_decision_does_not_depend_on_when_it_is_looked_for() -> None:
    trials = search(gain_at=3, trials=60)
    trials[40] = complete(40, "lora", 0.9, 1000, 10.0)
    said = {reached(trials[:count]) for count in range(WINDOW + BEFORE, 60)}
    looked = Flatness(0, OBJECTIVES)
    often = [looked.reached(trials[:count]) for count in range(60)]
    assert said == {FLAT.format(WINDOW + BEFORE)} == {why for why in often if why}
    assert often[-1] == FLAT.format(WINDOW + BEFORE)


def test_trials_behind_a_running_one_are_not_judged_until_it_has_ended() -> None:
    trials = search(gain_at=3, trials=40)
    for state in ("running", "waiting"):
        held = [*trials[:18], Record(18, state, trials[18].config), *trials[19:]]  # type: ignore[arg-type]
        assert reached(held) is None
    assert reached(trials) is not None


def test_a_failure_that_does_not_count_is_no_trial() -> None:
    trials = search()
    trials[7] = replace(trials[7], state="failed", counts=False)
    assert reached(trials) == FLAT.format(WINDOW + 1)
    assert reached(trials[: WINDOW + 1]) is None


def test_a_search_that_goes_on_is_judged_from_where_it_begins() -> None:
    trials = search(gain_at=50, trials=60)
    assert reached(trials[:40], first=40) == FLAT.format(40), "it is flat at once"
    assert reached(trials, first=60) is None
    assert reached([*trials, *search(trials=70)[60:]], first=60) == FLAT.format(67)


def test_a_search_in_which_nothing_has_finished_is_not_flat() -> None:
    assert reached([Record(number, "pruned") for number in range(40)]) is None


def test_an_epoch_of_a_stopped_trial_can_be_what_was_added() -> None:
    """Its second epoch is the best of all, and its later ones are not known."""
    trials = search(trials=WINDOW + 1)
    better = complete(5, "lora", 0.75, 1000, 10.0)
    trials[5] = replace(better, state="pruned", values={}, measurement=None, so_far=better.measurement)
    assert Flatness(0, OBJECTIVES).reached(trials) == FLAT.format(WINDOW + 1)
    assert Flatness(0, OBJECTIVES, every_epoch=True).reached(trials) is None
    added = added_by_last(trials, OBJECTIVES, every_epoch=True)
    assert added is not None
    assert 0 < added == added_after(trials, 1, OBJECTIVES, every_epoch=True)


def test_a_search_of_which_no_point_keeps_the_constraints_is_not_flat() -> None:
    bound = Constraint("macro_f1", 0.95)
    broken = [
        replace(trial, constraints=(bound,), checks=checks_of([bound], trial.measurement))  # type: ignore[arg-type]
        for trial in search(trials=40)
    ]
    for every_epoch in (False, True):
        assert Flatness(0, OBJECTIVES, every_epoch).reached(broken) is None

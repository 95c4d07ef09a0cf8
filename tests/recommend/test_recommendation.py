"""Which trial is chosen, and why, from stored studies with and without confirmed trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from peftsearch.confirm.summary import confirmation
from peftsearch.core.errors import UserError
from peftsearch.core.points import Point
from peftsearch.recommend.preferences import PREFERENCES
from peftsearch.recommend.recommendation import recommend_trial
from peftsearch.recommend.sentences import heading, next_command, recommendation_json, sentences
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirmations import write_run
from tests.confirm.test_summary import run, said
from tests.helpers.records import complete, store, trained

FULL, LORA, PROBE, NONE, WASTEFUL = (
    complete(0, "full", 0.90, 22_000_000, 40.0),
    complete(1, "lora", 0.89, 220_000, 20.0, rank=8),
    complete(2, "probe", 0.70, 4_400, 5.0),
    complete(3, "none", 0.10, 0, 0.0),
    complete(4, "frozen", 0.60, 22_000_000, 50.0),
)
RECORDS = [FULL, LORA, PROBE, NONE, WASTEFUL]


@pytest.fixture
def searched(tmp_path: Path) -> StoredStudy:
    return open_stored("toy", store(tmp_path, RECORDS))


def confirmed(stored: StoredStudy, wrong: dict[int, list[int]]) -> StoredStudy:
    """The study with runs of these trials, one for each number of rows of 1,200 that it gets wrong."""
    for trial, by_seed in wrong.items():
        for seed, rows in enumerate(by_seed, start=43):
            write_run(stored.study, run(trial, seed, said(rows, 100 * trial + seed)))
    return stored


def told(stored: StoredStudy, **arguments: object) -> list[str]:
    found = recommend_trial(stored, **arguments)  # type: ignore[arg-type]
    return [heading(found), *sentences(found), f"next: {next_command(found, '--study toy')}"]


def test_without_limits_the_best_on_validation_is_taken_and_called_unconfirmed(searched: StoredStudy) -> None:
    assert told(searched) == [
        "toy: take trial 0, full (lr 3.1e-4)",
        "macro F1 0.9000 on validation, 22 M trainable parameters (100 % of full fine-tuning's), train time 40.00 s",
        "why: of 5 finished trials, it has the best macro F1 on validation",
        "runner-up: trial 1, lora (rank 8) would give up 0.0100 macro F1, trains 1.0 % as many parameters and takes "
        "50 % as much train time",
        "not confirmed: its scores are of one seed, on the rows by which it was chosen",
        "next: peftsearch confirm --study toy",
    ]


@pytest.mark.parametrize(
    ("arguments", "trial", "runner_up"),
    [
        ({"max_parameters": "1%"}, 1, 2),
        ({"max_parameters": "0.99%"}, 2, 3),
        ({"max_parameters": 220_000}, 1, 2),
        ({"max_train_seconds": 20}, 1, 2),
        ({"max_size_mb": 0.02}, 2, 3),
        ({"prefer": "small"}, 3, 2),
        ({"prefer": "small", "min_quality": 0.7}, 2, 1),
        ({"prefer": "fast", "min_quality": 0.8}, 1, 0),
        ({"prefer": "knee", "min_quality": 0.5}, 1, 2),
    ],
)
def test_limits_and_preferences(
    searched: StoredStudy, arguments: dict[str, object], trial: int, runner_up: int
) -> None:
    found = recommend_trial(searched, **arguments)  # type: ignore[arg-type]
    assert found.fits
    assert (found.trial, found.runner_up and found.runner_up.point.trial) == (trial, runner_up)


def test_where_none_fits_the_nearest_is_named_with_what_it_misses(searched: StoredStudy) -> None:
    assert told(searched, max_parameters="200k", min_quality=0.95) == [
        "toy: none of 5 finished trials fits; the nearest is trial 1, lora (rank 8)",
        "macro F1 0.8900 on validation, 220,000 trainable parameters (1.0 % of full fine-tuning's), train time 20.00 s",
        "it misses --max-parameters 200k: it has 220,000 (10 % more)",
        "it misses --min-quality 0.95: it has 0.8900 (6.3 % less)",
        "not confirmed: its scores are of one seed, on the rows by which it was chosen",
        "next: None",
    ]


def test_confirmed_points_are_chosen_from_by_their_scores_on_test_alone(searched: StoredStudy) -> None:
    found = recommend_trial(confirmed(searched, {1: [240, 230], 2: [480, 470]}))
    assert (found.trial, found.confirmed, found.pool) == (1, True, 2)
    assert found.by_validation is not None
    assert found.by_validation.point == Point(0)
    assert list(sentences(found))[-1] == (
        "by the search alone it would be trial 0, full (lr 3.1e-4), which is not confirmed; to compare it on test: "
        "peftsearch confirm --study toy --trial 0"
    )
    assert next_command(found, "--study toy") == "peftsearch export --study toy --trial 1 --out DIR"
    row = replace(found.chosen.row, kept=False)
    dominated = replace(found, chosen=replace(found.chosen, row=row))
    assert next_command(dominated, "--study toy") == "peftsearch export --study toy --trial 1 --retrain --out DIR"


def test_where_no_confirmed_trial_fits_one_is_chosen_by_validation(searched: StoredStudy) -> None:
    found = recommend_trial(confirmed(searched, {0: [240, 230]}), max_parameters="1%")
    assert (found.trial, found.confirmed, found.by_validation) == (1, False, None)


def test_of_confirmed_points_the_cheapest_near_the_best_is_taken(searched: StoredStudy) -> None:
    stored = confirmed(searched, {0: [160, 150, 140], 1: [165, 150, 155], 2: [360, 350, 370]})
    assert [line for line in told(stored) if line.startswith(("why", "runner"))] == [
        "why: of 3 confirmed trials, it is the cheapest of the 2 within one standard error of the best mean on test",
        "runner-up: trial 0, full (lr 3.1e-4) would gain 0.0056 macro F1 and trains 100 times as many parameters",
    ]
    row = confirmation(stored).rows[1]
    assert row.interval is not None
    assert told(stored)[1] == (
        f"macro F1 {row.interval.mean:.4f} on test (95 % interval {row.interval.low:.4f} to {row.interval.high:.4f}, 3 "
        f"seeds), 220,000 trainable parameters (1.0 % of full fine-tuning's), train time 20.00 s"
    )


def test_the_best_set_is_that_of_the_trials_that_fit(searched: StoredStudy) -> None:
    """Trial 2 is far from trial 0, which does not fit, but the best of the others."""
    stored = confirmed(searched, {0: [160, 150, 140], 2: [360, 350, 370], 3: [365, 355, 375]})
    found = recommend_trial(stored, max_parameters="1%")
    assert (found.trial, found.reason) == (
        3,
        "it is the cheapest of the 2 within one standard error of the best mean on test",
    )


def test_a_trial_that_is_better_than_all_others_by_more_than_chance_is_called_so(searched: StoredStudy) -> None:
    found = recommend_trial(confirmed(searched, {0: [160, 150, 140], 2: [360, 350, 370]}))
    assert (found.trial, found.reason) == (0, "it alone may be the best on test")


def test_one_seed_each_does_not_tell_which_may_be_the_best(searched: StoredStudy) -> None:
    found = recommend_trial(confirmed(searched, {0: [150], 1: [151]}))
    assert (found.trial, found.reason) == (0, "it has the best macro F1 on test")
    assert "on test (1 seed)," in next(iter(sentences(found)))


def test_a_trial_that_is_dominated_is_no_runner_up(searched: StoredStudy) -> None:
    found = recommend_trial(searched, min_quality=0.6, max_parameters="100%", prefer="knee")
    assert found.runner_up != WASTEFUL
    alone = recommend_trial(searched, min_quality=0.895)
    assert list(sentences(alone))[2] == "runner-up: none, since there is no other finished trial that fits"


def test_every_preference_gives_the_same_order_of_the_same_trials_again(searched: StoredStudy) -> None:
    for name in PREFERENCES:
        assert len({recommend_trial(searched, prefer=name).trial for _ in range(3)}) == 1


def test_a_wrong_preference_is_named(searched: StoredStudy) -> None:
    with pytest.raises(UserError) as caught:
        recommend_trial(searched, prefer="smal")
    assert str(caught.value) == "--prefer smal: is not a preference; did you mean 'small'?"


def test_without_a_finished_trial_there_is_nothing_to_recommend_trial(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="study 'toy' has no front: no trial has finished yet"):
        recommend_trial(open_stored("toy", store(tmp_path, [])))


def test_json_has_the_numbers_and_the_misses(searched: StoredStudy) -> None:
    found = recommendation_json(recommend_trial(searched, max_parameters=1000, min_quality=0.5))
    assert (found["fits"], found["confirmed"], found["trial"]["trial"]) == (False, False, 3)
    assert [(miss["option"], miss["bound"], miss["value"]) for miss in found["missed"]] == [("--min-quality", 0.5, 0.1)]
    assert found["missed"][0]["miss"] == pytest.approx(0.8)
    assert found["trial"]["values"]["model_size_mb"] == 0.0


def test_a_trial_that_breaks_a_constraint_of_the_study_is_not_recommended(tmp_path: Path) -> None:
    stored = open_stored("toy", store(tmp_path, RECORDS, constraints={"trainable_parameters": 1_000_000}))
    assert told(stored)[:3] == [
        "toy: take trial 1, lora (rank 8)",
        "macro F1 0.8900 on validation, 220,000 trainable parameters (1.0 % of full fine-tuning's), train time 20.00 s",
        "why: of 3 finished trials, it has the best macro F1 on validation",
    ]


def test_seconds_within_the_tolerance_do_not_decide(tmp_path: Path) -> None:
    better, faster = complete(0, "lora", 0.90, 2000, 10.5), complete(1, "lora", 0.60, 1000, 10.0)
    stored = open_stored("toy", store(tmp_path, [better, faster]))
    found = recommend_trial(stored, prefer="fast")
    assert (found.trial, found.reason) == (0, "it trains in the shortest time within the tolerance")
    exact = recommend_trial(stored.with_tolerance("none"), prefer="fast")
    assert (exact.trial, exact.reason) == (1, "it trains in the shortest time")


def test_a_trial_that_is_better_by_less_than_the_tolerance_is_no_runner_up(tmp_path: Path) -> None:
    stored = open_stored(
        "toy", store(tmp_path, [complete(0, "lora", 0.9, 100, 10.5), complete(1, "lora", 0.8, 100, 10.0)])
    )
    found = recommend_trial(stored)
    assert found.runner_up is None
    assert "runner-up: none, since no other finished trial is better in anything by more than the tolerance" in list(
        sentences(found)
    )
    runner_up = recommend_trial(stored.with_tolerance("none")).runner_up
    assert runner_up is not None
    assert runner_up.point == Point(1)


def test_the_knee_is_on_the_front_with_the_tolerance(tmp_path: Path) -> None:
    trials = [
        complete(0, "lora", 0.9, 100, 10.5),
        complete(1, "lora", 0.85, 100, 10.0),
        complete(2, "lora", 0.2, 100, 5.0),
    ]
    stored = open_stored("toy", store(tmp_path, trials))
    chosen = [recommend_trial(one, prefer="knee").trial for one in (stored, stored.with_tolerance("none"))]
    assert chosen == [0, 1]


@pytest.mark.parametrize(("best", "chosen"), [(11, Point(0)), (8, Point(0, 8))])
def test_a_whole_trial_is_taken_if_its_best_epoch_is_equal_within_the_tolerance(
    tmp_path: Path, best: int, chosen: Point
) -> None:
    """Eleven of twelve epochs take as long as twelve within 10 %, and eight do not."""
    scores = [0.9 if epoch == best else 0.1 for epoch in range(1, 13)]
    found = recommend_trial(
        open_stored("toy", store(tmp_path, [trained(0, "lora", scores, 100, 1.0)], every_epoch=True))
    )
    assert found.point == chosen
    assert found.runner_up is None, "what is left is the same trial"

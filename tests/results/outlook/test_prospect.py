from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from peftsearch.results.outlook.prospect import MORE, prospect
from peftsearch.search.flatness import added_by_last
from peftsearch.storage.records import Record
from tests.helpers.records import OBJECTIVES, complete

STARTING = 8


def trials(count: int) -> list[Record]:
    """A search whose trials are the better, the later they come, and of which every third is stopped."""
    made = [complete(n, "lora", 0.6 + 0.2 * (1 - 0.9**n), 1000, 10.0) for n in range(count)]
    made = [Record(r.number, "pruned", r.config) if r.number % 3 == 2 else r for r in made]
    return [replace(record, starting_point=record.number < STARTING) for record in made]


def test_the_gain_of_quality_falls_with_the_trials_and_follows_how_far_apart_the_best_ones_lie() -> None:
    found = prospect(trials(30), OBJECTIVES)
    assert found
    best = sorted((r.values["macro_f1"] for r in trials(30) if r.state == "complete"), reverse=True)[:8]
    assert found.quality == pytest.approx(14 * np.std(best) / 30)
    assert found.quality_at_most == pytest.approx(64 * np.std(best) / 30)


def test_the_gain_of_hypervolume_follows_what_the_last_trials_added() -> None:
    found = prospect(trials(30), OBJECTIVES)
    share = added_by_last(trials(30), OBJECTIVES, MORE, with_starting_points=True)
    assert found
    assert share
    assert found.volume == pytest.approx(0.32 * share / (1 - share))
    assert found.volume_at_most == pytest.approx(1.1 * (share / (1 - share) + 0.3 / 30))
    later = prospect(trials(60), OBJECTIVES)
    assert later
    assert 0 < later.volume < found.volume


def test_nothing_is_told_from_few_trials() -> None:
    assert prospect(trials(STARTING + 15), OBJECTIVES) is None
    assert prospect(trials(STARTING + 16), OBJECTIVES) is not None
    stopped = [r if r.number < 7 else Record(r.number, "pruned", r.config) for r in trials(40)]
    assert prospect(stopped, OBJECTIVES) is None
    assert prospect([], OBJECTIVES) is None


def test_it_is_one_sentence() -> None:
    found = prospect(trials(30), OBJECTIVES)
    assert found
    told = replace(found, quality=0.00312, quality_at_most=0.0143, volume=0.0123, volume_at_most=0.0456)
    assert told.sentence("macro_f1") == (
        "20 more trials are likely to add 0.0031 macro F1 (at most 0.0143) and 1.2 % of the hypervolume of whole"
        " trials (at most 4.6 %); nine of ten recorded searches kept each limit"
    )


def test_the_gain_is_compared_with_what_another_seed_changes() -> None:
    found = prospect(trials(30), OBJECTIVES)
    assert found
    told = replace(found, quality=0.0031)
    assert told.beside_seeds("macro_f1", 0.01021, "reviews") == (
        "that gain of macro F1 is less than what another seed changes: 0.0102, the standard deviation between the seeds"
        " of the confirmed trials"
    )
    assert (told.beside_seeds("macro_f1", 0.002, "reviews") or "").startswith(
        "that gain of macro F1 is no less than what another seed changes: 0.0020, "
    )
    assert told.beside_seeds("macro_f1", None, "reviews") == (
        "that gain of macro F1 is less than what another seed changed in a benchmark: 0.008, a standard deviation;"
        " peftsearch confirm --study reviews measures it here"
    )
    assert told.beside_seeds("accuracy", None, "reviews") is None, "no benchmark has measured it"
    assert replace(found, quality=None).beside_seeds("macro_f1", 0.01, "reviews") is None


def test_a_study_without_a_metric_is_told_the_hypervolume_alone() -> None:
    found = prospect(trials(30), OBJECTIVES[1:])
    assert found
    assert found.quality is None
    assert found.sentence("train_seconds").startswith(
        "20 more trials are likely to add 0.0 % of the hypervolume of whole trials (at most "
    )


def test_equal_trials_tell_nothing_of_better_ones() -> None:
    equal = [complete(n, "lora", 0.9, 1000, 10.0) for n in range(30)]
    found = prospect(equal, OBJECTIVES)
    assert found
    assert found.quality is found.quality_at_most is None

"""The time left of a search, and what a time limit is likely to allow: judged by trials, and by what is to come."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from peftsearch.core.progress import StepReport
from peftsearch.results.outlook.pace import SHARE, WEIGHT, likely_reached, seconds_left
from peftsearch.storage.records import Record
from tests.helpers.records import complete, config, report

NOON = datetime(2026, 1, 1, 12)

PASSES = {"tfidf": 0, "probe": 1, "lora": 6, "full": 9}
"""What trials of three epochs compute."""


def ended(number: int, method: str, seconds: float, **changes: object) -> Record:
    record = replace(complete(number, method, 0.9, 100, 1.0), curve=())
    return replace(record, started=NOON, ended=NOON + timedelta(seconds=seconds), **changes)  # type: ignore[arg-type]


def start(number: int, method: str, seconds: float | None = None, backbone: str = "tiny/bert") -> Record:
    """A starting point, which has ended or waits."""
    if seconds is not None:
        return ended(number, method, seconds, starting_point=True, config=config(method, backbone))
    return Record(number, "waiting", config(method, backbone), starting_point=True)


def at_step(number: int, method: str, whole: float) -> Record:
    """A starting point that has made a quarter of its steps by now."""
    now = datetime.now()
    began = now - timedelta(seconds=whole / 4)
    return replace(
        start(number, method), state="running", started=began, last_step=now.timestamp(), at=StepReport(10, 40, 0.5)
    )


def test_what_is_cheap_and_tried_first_says_how_long_a_pass_takes() -> None:
    known = [start(0, "probe", 4), start(1, "full"), start(2, "lora")]
    assert seconds_left(known, 2) == 4 * 9 + 4 * 6
    assert seconds_left(known, 1) == 4 * 9, "no more trials than are asked for"
    assert seconds_left(known, 7) == pytest.approx(60 + 5 * SHARE * 64 / 3)


def test_before_a_trial_has_made_steps_the_timing_of_its_device_tells() -> None:
    """A running probe's own epochs tell less, and a trial of several passes more."""
    running = replace(start(1, "probe"), state="running", whole_pass=5.0)
    known = [start(0, "tfidf", 1), running, start(2, "full"), start(3, "lora")]
    assert seconds_left(known[1:], 3) == pytest.approx(5 * (1 + 9 + 6), abs=1)
    assert seconds_left(known, 4) == pytest.approx(5 * (1 + 9 + 6) + SHARE * (1 + 5 * 16) / 4, abs=1)
    said = likely_reached(known, 60)
    assert said is not None
    assert said.startswith("about 1 to 3 more trials are likely to end in the 1 min 0 s left")
    ended = [start(0, "tfidf", 1), replace(start(1, "probe", 4), whole_pass=5.0), at_step(2, "full", 90), known[3]]
    assert seconds_left(ended, 2) == pytest.approx(0.75 * 90 + 60, abs=1)


def test_what_the_first_trial_takes_to_load_is_no_pass() -> None:
    probe = replace(start(0, "probe", 30), curve=tuple(report(epoch, 0.5) for epoch in (1, 2, 3)))
    assert seconds_left([probe, start(1, "full")], 1) == pytest.approx(3 * 3.5 * 9), (
        "3 s of training, 0.5 s to evaluate"
    )


def test_a_pass_is_as_long_as_the_wall_clock_says() -> None:
    """Processor seconds, which are an objective, say little of when a search ends on a machine that is shared."""
    probe = start(0, "probe", 30)
    epochs = [replace(report(1, 0.5), wall_seconds=6.0, evaluation_wall_seconds=1.0)]
    assert seconds_left([replace(probe, curve=tuple(epochs)), start(1, "full")], 1) == pytest.approx(7 * 9)


def test_a_trial_of_one_pass_says_nothing_beside_one_that_trains_the_encoder() -> None:
    assert seconds_left([start(0, "probe", 400), start(1, "lora", 60), start(2, "full")], 1) == pytest.approx(90)
    known = [start(0, "probe", 400), at_step(1, "full", 90), start(2, "lora")]
    assert seconds_left(known, 2) == pytest.approx(0.75 * 90 + 60, abs=1)


def test_nothing_is_told_before_anything_tells_of_an_encoder() -> None:
    known = [start(0, "tfidf", 2), start(1, "lora")]
    assert seconds_left(known, 1) is None
    assert likely_reached(known, 600) is None
    assert seconds_left([], 3) is None
    assert seconds_left([start(0, "tfidf", 2), start(1, "tfidf")], 1) == 2


def test_each_backbone_has_a_pace_of_its_own() -> None:
    known = [start(0, "lora", 60), start(1, "lora", 600, "big"), start(2, "full"), start(3, "full", backbone="big")]
    assert seconds_left(known, 1) == pytest.approx(90)
    assert seconds_left(known, 2) == pytest.approx(90 + 900)


def test_what_is_proposed_takes_ever_more_what_was_proposed_before() -> None:
    first = [start(0, "lora", 100)]
    later = [ended(n, "lora", 20, state="pruned") for n in range(1, 41)]
    for count in (0, 1, 40):
        each = (WEIGHT * SHARE * 100 + count * 20) / (WEIGHT + count)
        assert seconds_left([*first, *later[:count]], 10) == pytest.approx(10 * each)


def test_what_waits_once_more_and_methods_of_other_versions_are_no_trouble() -> None:
    again = Record(1, "waiting", config("lora"), retry_of=0)
    unknown = Record(2, "waiting", config("gone"), starting_point=True)
    assert seconds_left([start(0, "lora", 60), again, unknown], 2) == 60


@pytest.mark.parametrize(
    ("known", "left", "trials", "said"),
    [
        ([start(0, "lora", 60)], 600, None, "about 11 to 23 more trials are likely to end in the 10 min 0 s left"),
        ([start(0, "lora", 60)], 45, 2, "about 0 to 1 more trials are likely to end in the 45 s left"),
        ([start(0, "lora", 60)], 52, None, "about 1 to 2 more trials are likely to end in the 52 s left"),
        ([start(0, "lora", 60), start(1, "lora"), start(2, "full")], 86, None,
         "about 1 more trial is likely to end in the 1 min 26 s left"),
        ([start(0, "lora", 60)], 600, 10, "all 10 trials are likely to end within the 10 min 0 s left"),
        ([start(0, "lora", 60), start(1, "full")], 30, None,
         "no further trial is likely to be trained to its end in the 30 s left; one that has begun keeps its epochs"),
        ([start(0, "probe", 4), start(1, "full")], 600, None, None),
    ],
)  # fmt: skip
def test_what_a_time_limit_is_likely_to_allow(
    known: Sequence[Record], left: float, trials: int | None, said: str | None
) -> None:
    assert likely_reached(known, left, trials) == said


def test_the_steps_of_a_running_trial_are_enough_for_a_forecast() -> None:
    said = likely_reached([start(0, "probe", 4), at_step(1, "full", 40)], 600)
    assert said is not None
    assert re.fullmatch(r"about 3\d to 6\d more trials are likely to end in the 10 min 0 s left", said)

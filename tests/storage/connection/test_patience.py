from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from peftsearch.core.errors import StorageLost
from peftsearch.storage.connection.outages import StorageAway
from peftsearch.storage.connection.patience import LONGEST_PAUSE, SLOW_SECONDS, at_once, patience_of
from tests.helpers.outages import FakeTime, patience


def answers_at(time: FakeTime, seconds: float) -> Callable[[bool], bool]:
    """An operation on a database that is away until then; returns whether it was a repetition."""

    def operation(again: bool) -> bool:
        if time.now < seconds:
            raise StorageAway("connection refused")
        return again

    return operation


def test_what_succeeds_at_once_is_neither_repeated_nor_said() -> None:
    time, said = FakeTime(), list[str]()
    waiting = patience(time, said)
    assert waiting.repeat(lambda again: again) is False
    assert (time.pauses, said) == ([], [])
    assert waiting.seconds_without_trouble() == float("inf")


@pytest.mark.parametrize("seconds", [1.0, 20.0, 75.0, 299.0])
def test_an_outage_within_the_patience_is_waited_for_and_said_once(seconds: float) -> None:
    time, said = FakeTime(), list[str]()
    assert patience(time, said).repeat(answers_at(time, seconds)) is True
    assert seconds <= time.now <= seconds + LONGEST_PAUSE
    first, last = said
    assert first.startswith("the storage db does not answer (connection refused); trying for up to ")
    assert last == f"the storage answers again after {time.now:.0f} s; peftsearch goes on where it was"


def test_a_cut_connection_is_not_worth_a_line() -> None:
    time, said = FakeTime(), list[str]()
    patience(time, said).repeat(answers_at(time, 0.1))
    assert said == []


def test_pauses_grow_and_end() -> None:
    time, attempts = FakeTime(), list[float]()

    def operation(again: bool) -> None:
        attempts.append(time.now)
        raise StorageAway("locked")

    with pytest.raises(StorageLost):
        patience(time, []).repeat(operation)
    pauses = [after - before for before, after in pairwise(attempts)]
    assert 0.05 <= pauses[0] <= 0.1
    assert all(LONGEST_PAUSE / 2 <= pause <= LONGEST_PAUSE for pause in pauses[8:-1])
    assert len(attempts) < 150


def test_after_the_patience_one_line_says_so() -> None:
    time = FakeTime()
    with pytest.raises(StorageLost) as lost:
        patience(time, [], seconds=20).repeat(answers_at(time, 1e9))
    assert time.now == pytest.approx(20)
    assert str(lost.value) == (
        "the storage db has not answered for 20 s (connection refused); nothing is lost: once it answers, the same"
        " command goes on"
    )


def test_without_patience_the_first_outage_is_the_last() -> None:
    time = FakeTime()
    with pytest.raises(StorageLost, match=r"^the storage db does not answer \(connection refused\); nothing is lost"):
        patience(time, [], seconds=0).repeat(answers_at(time, 1.0))
    assert time.pauses == []


def test_a_request_to_end_shortens_a_wait_that_has_begun() -> None:
    time = FakeTime()
    waiting = patience(time, [])
    time.events.append((100.0, lambda: waiting.limit(30.0)))
    with pytest.raises(StorageLost):
        waiting.repeat(answers_at(time, 1e9))
    assert 130 <= time.now <= 131
    time.events.append((140.0, lambda: waiting.limit(0.0)))
    waiting.limit(1000.0)
    with pytest.raises(StorageLost):
        waiting.repeat(answers_at(time, 1e9))
    assert 140 <= time.now <= 141


def test_two_outages_are_said_each() -> None:
    time, said = FakeTime(), list[str]()
    waiting = patience(time, said)
    waiting.repeat(answers_at(time, 5.0))
    waiting.repeat(answers_at(time, time.now + 5.0))
    assert [line.split(" (")[0].split(" after")[0] for line in said] == [
        "the storage db does not answer",
        "the storage answers again",
    ] * 2


def test_who_cannot_wait_gets_the_outage_at_once_and_only_in_his_block() -> None:
    time, said = FakeTime(), list[str]()
    waiting = patience(time, said)
    with at_once(), pytest.raises(StorageAway, match="connection refused"):
        waiting.repeat(answers_at(time, 5.0))
    assert (time.pauses, said) == ([], [])
    assert waiting.repeat(answers_at(time, 5.0)) is True


def test_an_outage_and_a_slow_answer_are_remembered_as_trouble() -> None:
    time = FakeTime()
    waiting = patience(time, [])
    waiting.repeat(answers_at(time, 5.0))
    assert waiting.seconds_without_trouble() == 0
    time.now += 50
    assert waiting.seconds_without_trouble() == 50
    waiting.repeat(lambda _: time.pause(SLOW_SECONDS + 1))
    assert waiting.seconds_without_trouble() == 0


def test_another_storage_has_no_patience() -> None:
    assert patience_of(object()).seconds == 0  # type: ignore[arg-type]
    assert patience_of(object()).seconds_without_trouble() == float("inf")  # type: ignore[arg-type]

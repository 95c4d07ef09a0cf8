"""How many trials were on a GPU at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from peftsearch.results.times.sharing import beside_others, sharing
from peftsearch.storage.records import Record
from tests.helpers.shared_gpu import NOON, trial


def ran(number: int, begin: int, end: int, device: str = "auto") -> Record:
    times = {"started": NOON + timedelta(seconds=begin), "ended": NOON + timedelta(seconds=end)}
    return replace(trial(number, 0.8, 100, 1.0, 1), worker={"host": "a", "device": device}, **times)


def test_the_most_at_one_moment_count_and_not_all_that_a_trial_met() -> None:
    trials = [ran(0, 0, 100), ran(1, 10, 20), ran(2, 20, 30), ran(3, 25, 60), ran(4, 100, 110), ran(5, 0, 90, "cpu")]
    assert sharing(trials) == {0: 3, 1: 2, 2: 3, 3: 3, 4: 1, 5: 1}
    assert beside_others(trials) == (0, 1, 2, 3)


def test_trials_on_different_gpus_share_nothing() -> None:
    """Workers call their only GPU `auto`; which one it is, they know from the environment."""
    both = [ran(0, 0, 100), ran(1, 0, 100)]
    pinned = [replace(t, worker={**t.worker, "gpus": f"GPU-{t.number}"}) for t in both]
    assert (sharing(both), sharing(pinned)) == ({0: 2, 1: 2}, {0: 1, 1: 1})


def test_processor_seconds_share_nothing() -> None:
    timed = [ran(0, 0, 100), ran(1, 0, 100)]
    trials = [replace(t, measurement=replace(t.measurement, clock="processor")) for t in timed if t.measurement]
    assert sharing(trials) == {}

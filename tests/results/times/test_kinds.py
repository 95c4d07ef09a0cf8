"""Which times compare, of a study whose trials were timed on several kinds of device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from peftsearch.core.seconds import timed_in
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.results.times.kinds import apart, scaled_kinds, timings
from peftsearch.storage.records import Record
from peftsearch.storage.times.calibrations import Work, write_calibration
from peftsearch.storage.times.scale import scale_of
from tests.helpers.records import complete, store, trained

FAST, SLOW, NEW = (timed_in("wall", device, exact=False) for device in ("fast", "slow", "new"))


def on(device: str, found: Record) -> Record:
    measured, so_far = (each and replace(each, device=device) for each in (found.measurement, found.so_far))
    return replace(found, measurement=measured, so_far=so_far)


def calibrate(stored: StoredStudy, kind: str, training: float, work: Work = "encoder") -> None:
    seconds = {"training": training, "evaluation": training / 2}
    write_calibration(stored.study, work, kind, seconds, exact=False)


@pytest.fixture
def stored(tmp_path: Path) -> StoredStudy:
    """Trials 0 and 1 are fast, 2 and 3 slow, of which 3 was pruned, and 4 is on a device that is never timed."""
    trials = [
        on("fast", complete(0, "lora", 0.8, 1000, 10.0)),
        on("fast", complete(1, "tfidf", 0.7, 10, 1.0)),
        on("slow", complete(2, "lora", 0.8, 1000, 40.0)),
        on("slow", trained(3, "lora", (0.5,), 1000, 4.0, pruned=True)),
        on("new", complete(4, "lora", 0.8, 1000, 5.0)),
    ]
    return open_stored("toy", store(tmp_path, trials))


def test_without_a_factor_no_kind_compares_with_another_one(stored: StoredStudy) -> None:
    known = stored.records()
    assert scaled_kinds(known, scale_of(stored.study)) == ()
    assert apart(known) == timings(known) == {FAST: (0,), SLOW: (2,), NEW: (4,)}


def test_a_kind_with_a_factor_compares_with_the_reference_and_the_others_are_said(stored: StoredStudy) -> None:
    calibrate(stored, FAST, 0.1)
    calibrate(stored, SLOW, 0.4)
    known = stored.records()
    [found] = scaled_kinds(known, scale_of(stored.study))
    assert (found.work, found.timed_in, found.reference, found.trials) == ("encoder", SLOW, FAST, (2, 3))
    assert (found.training, found.evaluation) == (0.25, 0.25)
    assert apart(known) == {FAST: (0,), NEW: (4,)}
    assert timings(known) == {FAST: (0,), SLOW: (2,), NEW: (4,)}, "each trial says on which device it ran"
    calibrate(stored, NEW, 0.2)
    assert apart(stored.records()) == {}
    assert {kind.timed_in for kind in scaled_kinds(stored.records(), scale_of(stored.study))} == {SLOW, NEW}


def test_a_device_that_only_texts_were_timed_on_has_no_factor_for_encoders(stored: StoredStudy) -> None:
    calibrate(stored, FAST, 0.1, "texts")
    calibrate(stored, SLOW, 0.4, "texts")
    assert scaled_kinds(stored.records(), scale_of(stored.study)) == ()

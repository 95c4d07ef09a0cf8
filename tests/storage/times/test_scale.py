"""Seconds of two kinds of device, read back as those of one of them."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.study import Study

from peftsearch.core.constraints import Constraint
from peftsearch.core.seconds import timed_in
from peftsearch.report.audit import reference_in_words
from peftsearch.storage.database import open_storage, open_study, reopen_study
from peftsearch.storage.points import epochs_of
from peftsearch.storage.records import Record, records
from peftsearch.storage.study_attributes import write_constraints
from peftsearch.storage.times.calibrations import Work, write_calibration, write_reference_device
from peftsearch.storage.times.scale import scale_of
from tests.helpers.records import OBJECTIVES, measurement, store, trained

FAST, SLOW = (timed_in("wall", device, exact=False) for device in ("fast", "slow"))


def on(device: str, found: Record) -> Record:
    """The trial with another device's name."""
    measured, so_far = (each and replace(each, device=device) for each in (found.measurement, found.so_far))
    return replace(found, measurement=measured, so_far=so_far)


def calibrate(study: Study, kind: str, training: float, evaluation: float, work: Work = "encoder") -> None:
    write_calibration(study, work, kind, {"training": training, "evaluation": evaluation}, exact="--exact" in kind)


def stored(folder: Path, *found: Record) -> Study:
    return reopen_study(store(folder, found, every_epoch=True), "toy", 60)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """The trials 0 and 1 are full fine-tuning and a probe on the device that was timed first, 2 and 3 on a slow one."""
    full, probe = trained(0, "full", (0.6, 0.8, 0.9), 1000, 6.0), trained(0, "probe", (0.5, 0.7), 10, 2.0)
    found = stored(tmp_path, *(on(device, trial) for device in ("fast", "slow") for trial in (full, probe)))
    calibrate(found, FAST, 0.1, 0.02)
    calibrate(found, SLOW, 0.4, 0.04)
    return found


def test_seconds_of_a_slow_device_are_those_that_the_reference_would_have_taken(study: Study) -> None:
    full, probe, slow_full, slow_probe = records(study)
    assert [r.values["train_seconds"] for r in (full, probe)] == [18.0, 4.0]
    assert slow_full.values["train_seconds"] == pytest.approx(18.0 / 4)
    assert slow_probe.values["train_seconds"] == pytest.approx(4.0 / 2), "it only passes rows through the encoder"
    assert [epoch.train_seconds for epoch in slow_full.curve] == pytest.approx([1.5] * 3)
    assert [epoch.evaluation_seconds for epoch in slow_full.curve] == pytest.approx([0.25] * 3)
    ends = [epoch.values["train_seconds"] for epoch in epochs_of(slow_full, OBJECTIVES)]
    assert ends == pytest.approx([1.5, 3.0]), "the third is the whole trial"


def test_what_the_device_itself_measured_stays_known(study: Study) -> None:
    full, _, slow, _ = records(study)
    assert full.measurement
    assert slow.measurement
    assert (full.measurement.scaled_by, slow.measurement.scaled_by) == (None, 0.25)
    assert slow.measurement.own_train_seconds == pytest.approx(18.0)
    assert slow.measurement.wall_seconds == 18.0, "forecasts of when a search ends go by what has passed"
    assert [epoch.duration for epoch in slow.curve] == [epoch.duration for epoch in full.curve]
    assert study.get_trials()[2].user_attrs["measurement"]["train_seconds"] == 18.0
    epoch = epochs_of(slow, OBJECTIVES)[0].measurement
    assert epoch
    assert epoch.own_train_seconds == pytest.approx(6.0)


def test_every_timed_objective_is_on_the_scale(tmp_path: Path) -> None:
    measured = measurement(seconds=18.0, device="slow", latency_ms=8.0, median_latency_ms=6.0, prefix_seconds=4.0)
    study = stored(tmp_path, replace(trained(0, "lora", (0.5,), 10, 18.0), measurement=measured))
    calibrate(study, FAST, 0.1, 0.02)
    calibrate(study, SLOW, 0.4, 0.04)
    found = records(study)[0].measurement
    assert found
    assert (found.train_seconds, found.prefix_seconds) == pytest.approx((4.5, 1.0))
    assert (found.evaluation_seconds, found.latency_ms, found.median_latency_ms) == pytest.approx((0.5, 4.0, 3.0))
    assert found.evaluation_samples_per_second == pytest.approx(1000.0)


def test_a_bound_on_seconds_is_one_of_the_reference(study: Study) -> None:
    write_constraints(study, [Constraint("train_seconds", 10.0)])
    assert [record.feasible for record in records(study)] == [False, True, True, True]


def test_a_pruned_trial_and_a_running_one_are_on_the_scale_too(tmp_path: Path) -> None:
    pruned = on("slow", trained(0, "lora", (0.5, 0.6), 10, 4.0, pruned=True))
    running = replace(trained(1, "lora", (0.5,), 10, 4.0), state="running", values={}, measurement=None)
    study = stored(tmp_path, pruned, replace(running, worker={"timed_in": SLOW}))
    calibrate(study, FAST, 0.1, 0.1)
    calibrate(study, SLOW, 0.4, 0.1)
    stopped, now = records(study)
    assert [point.values["train_seconds"] for point in epochs_of(stopped, OBJECTIVES)] == pytest.approx([1.0, 2.0])
    assert now.curve[0].train_seconds == pytest.approx(1.0)


def test_without_a_factor_seconds_stay_as_they_are(tmp_path: Path) -> None:
    exact = trained(2, "lora", (0.5,), 10, 4.0)
    assert exact.measurement
    exact = replace(exact, measurement=replace(exact.measurement, device="slow", exact=True))
    text = on("slow", trained(3, "tfidf", (0.5,), 10, 4.0))
    study = stored(tmp_path, on("fast", trained(0, "lora", (0.5,), 10, 4.0)), on("new", exact), exact, text)
    before = [record.values for record in records(study)]
    calibrate(study, FAST, 0.1, 0.1)
    calibrate(study, timed_in("wall", "slow", exact=True), 0.4, 0.1)
    calibrate(study, SLOW, 0.4, 0.1)
    assert [record.values for record in records(study)] == before, "no other exact kind, and no text, has been timed"
    calibrate(study, FAST, 0.2, 0.1, "texts")
    calibrate(study, SLOW, 0.1, 0.1, "texts")
    assert records(study)[3].values["train_seconds"] == pytest.approx(8.0)


def test_a_person_can_name_the_reference(study: Study) -> None:
    write_reference_device(study, "SLOW")
    full, probe, *slow = records(study)
    assert [r.values["train_seconds"] for r in (full, probe)] == pytest.approx([18.0 * 4, 4.0 * 2])
    assert [r.values["train_seconds"] for r in slow] == [18.0, 4.0]
    write_reference_device(study, "an H100, which no worker has yet")
    assert records(study)[0].values["train_seconds"] == 18.0
    write_reference_device(study, None)
    assert scale_of(study).references["encoder"].timed_in == FAST


def test_a_kind_is_written_once(tmp_path: Path) -> None:
    study = stored(tmp_path)
    calibrate(study, SLOW, 0.4, 0.1)
    calibrate(study, SLOW, 0.5, 0.1)
    assert [each.seconds["training"] for each in scale_of(study).calibrations] == [0.4]


def test_there_is_one_reference_however_many_kinds_are_timed_at_once(tmp_path: Path) -> None:
    url, kinds = f"sqlite:///{tmp_path}/toy.db", [f"seconds on {number}" for number in range(8)]
    open_study(open_storage(url), "toy", OBJECTIVES)
    at_once = threading.Barrier(len(kinds))

    def begin(kind: str) -> None:
        mine = reopen_study(url, "toy", 60)
        at_once.wait()
        calibrate(mine, kind, 0.1, 0.1)

    threads = [threading.Thread(target=begin, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    studies = [reopen_study(url, "toy", 60) for _ in range(2)]
    [first, again] = [scale_of(study).references["encoder"] for study in studies]
    assert first == again
    assert first.first
    assert {each.timed_in for each in scale_of(studies[0]).calibrations} == set(kinds)
    calibrate(studies[0], "a late one", 0.1, 0.1)
    assert scale_of(studies[1]).references["encoder"] == first


@pytest.mark.parametrize(
    ("named", "nobody"), [(None, False), ("fast", False), ("SLOW", False), ("A10G", True), ("slower", True)]
)
def test_a_reference_that_nobody_has_is_told(study: Study, named: str | None, nobody: bool) -> None:
    write_reference_device(study, named)
    scale = scale_of(study)
    assert scale.nobody_is_named is nobody
    assert scale.references["encoder"].timed_in == (SLOW if named == "SLOW" else FAST)
    if nobody:
        assert reference_in_words(scale) == (
            f"the study compares seconds by the wall clock on fast: no device that was timed has {named!r} in its name,"
            " which the study file gives as reference_device"
        )

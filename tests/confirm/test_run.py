"""What confirming trains, keeps and refuses; the training itself is faked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from typing import Any

import optuna
import pytest

from peftsearch.confirm.once import Tested
from peftsearch.confirm.plan import chosen_points
from peftsearch.confirm.run import Places, searched_data
from peftsearch.confirm.summary import confirmation
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import OutOfTime, TrialFailure, UserError
from peftsearch.core.measurement import EpochReport
from peftsearch.core.points import Point
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.confirm_queue import Repeat, without_queues
from peftsearch.storage.confirmations import SeedRun, read_openings, read_runs, write_run
from peftsearch.storage.kept.predictions import read_predictions
from peftsearch.storage.study_attributes import About, write_about
from peftsearch.workers.outcome import Outcome
from tests.helpers import fake_tester
from tests.helpers.confirming import DATA, RECORDS, Confirming, confirming
from tests.helpers.fake_trainer import epoch_report
from tests.helpers.records import EPOCHS, measurement, store, trained
from tests.helpers.studies import STUDY, study


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Confirming:
    return confirming(tmp_path, monkeypatch)


def keys(toy: Confirming) -> list[tuple[int, int]]:
    return [(run.trial, run.seed) for run in read_runs(toy.again().study)]


def failing(kinds: dict[str, Exception]) -> Any:
    """A trainer that raises for some methods."""

    def train(config: TrialConfig, *rest: Any) -> Any:
        if config.method in kinds:
            raise kinds[config.method]
        return fake_tester.train(config, *rest)

    return train


def test_the_front_and_its_runners_up_are_trained_with_the_next_seeds(toy: Confirming) -> None:
    assert toy.go(seeds=2) == Outcome("done")
    assert keys(toy) == [(0, 43), (0, 44), (1, 43), (1, 44), (2, 43), (3, 43), (3, 44)]
    assert [(done.run.trial, done.run.seed, done.place, done.total) for done in toy.told] == [
        (0, 43, 1, 7), (1, 43, 2, 7), (2, 43, 3, 7), (3, 43, 4, 7), (0, 44, 5, 7), (1, 44, 6, 7), (3, 44, 7, 7),
    ]  # fmt: skip
    assert toy.said == ["7 runs to do, about 1 h 43 min of training"]


def test_what_a_run_has_found_is_kept(toy: Confirming, tmp_path: Path) -> None:
    """Its scores and the classes of its test rows in the storage, all that it said of both splits in files."""
    toy.go((0,), seeds=1)
    [run] = read_runs(toy.again().study)
    [done] = toy.told
    said = fake_tester.predictions(done.config)
    assert (run.measurement, run.test) == (done.run.measurement, done.run.test)
    assert run.measurement is not None
    assert (run.failure, run.alone, run.seed) == (None, True, 43)
    assert run.rows is not None
    assert [classes.tolist() for classes in run.rows.arrays()] == [said.labels.tolist(), said.predicted.tolist()]
    for split in ("validation", "test"):
        found = read_predictions(tmp_path / "runs" / "toy" / "predictions" / f"0-seed-43-{split}.npz")
        assert found is not None
        assert (found.logits == said.logits).all()
    assert not (tmp_path / "runs" / "toy" / "weights").exists()


def test_continuing_repeats_nothing_and_adds(toy: Confirming) -> None:
    toy.go((1,), seeds=2)
    toy.go((1,), seeds=2)
    assert (toy.said, toy.told) == (["all of these runs are already done"], [])
    toy.go((1, 2), seeds=3)
    assert [(done.run.trial, done.run.seed) for done in toy.told] == [(2, 43), (1, 45)]


def test_runs_of_an_earlier_version_are_done_again_for_their_rows(toy: Confirming) -> None:
    write_run(toy.stored.study, SeedRun(1, 43, 3.0, "2026-01-01T00:00:00+00:00", measurement()))
    toy.go((1,), seeds=1)
    assert toy.said == [
        "note: 1 run of an earlier version did not keep what was said of each row, without which there is no "
        "interval, and will be done again",
        "1 run to do, about 1 min 40 s of training",
    ]
    assert read_runs(toy.again().study)[0].rows is not None


def test_unknown_conditions_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = replace(RECORDS[0], measurement=measurement(data_fingerprint=DATA.fingerprint))
    toy = confirming(tmp_path, monkeypatch, [older])
    toy.go(seeds=1)
    assert toy.said[0] == (
        "note: an earlier version trained trial 0, and did not keep the number of CPU threads nor --exact; "
        "this machine's threads are used, without --exact"
    )


def test_other_packages_than_the_search_s_are_said(toy: Confirming) -> None:
    toy.stored.study.set_user_attr("package_versions", [{"torch": "2.0.1"}])
    toy.go(seeds=1)
    assert toy.said[0].startswith(f"note: {gethostname()} has torch ")
    assert toy.said[0].endswith(
        "but the search was begun with torch 2.0.1; the new runs say what the trials score with this machine's versions"
    )


def test_a_run_ends_after_the_epoch_after_which_the_time_limit_ended_its_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = RECORDS[:2]
    assert cut.measurement
    toy = confirming(
        tmp_path, monkeypatch, [whole, replace(cut, measurement=replace(cut.measurement, out_of_time=True))]
    )
    ended: dict[int, int] = {}

    def train(config: TrialConfig, repeat: Repeat, report: Callable[[EpochReport], None], *_: Any) -> Any:
        with suppress(OutOfTime):
            for epoch in range(1, 9):
                ended[repeat.trial] = epoch
                report(epoch_report(config, epoch))
        return fake_tester.train(config, repeat, lambda _: None)

    toy.go(seeds=1, train=train)
    assert ended == {0: 8, 1: cut.measurement.epochs}
    assert toy.said[0] == (
        "note: the time limit of the search ended trial 1 before the last epoch; the new runs end after the same epoch"
    )


def test_with_several_workers_the_last_runs_wait_and_are_trained_alone(toy: Confirming) -> None:
    engines: list[Any] = []

    def places(engine: Any) -> Places:
        engines.extend([engine, replace(engine, room=2, jobs=[])])
        return Places(engines[0], engines[1])

    assert toy.go((0, 1), seeds=2, places=places) == Outcome("done")
    alone = {(run.trial, run.seed): run.alone for run in read_runs(toy.again().study)}
    assert alone == {(0, 43): False, (0, 44): True, (1, 43): False, (1, 44): True}
    assert [len(engine.jobs) > 0 for engine in engines] == [True, True]


def test_that_the_test_split_was_opened_is_written_down(toy: Confirming) -> None:
    assert read_openings(toy.stored.study) == []
    toy.go((0, 1), seeds=1)
    toy.go((0,), seeds=2)
    [first, second] = read_openings(toy.stored.study)
    assert (first.trials, second.trials) == ((0, 1), (0,))
    toy.go((3,), seeds=1)
    assert toy.said[0] == (
        f"note: the test split was opened before ({second.when}, trials 0, 1); "
        f"whoever chooses trials by their test scores makes these scores as optimistic as the validation scores"
    )


def test_it_is_written_down_before_the_first_look(toy: Confirming) -> None:
    seen = []

    def train(*arguments: Any) -> Any:
        seen.append([opening.trials for opening in read_openings(toy.again().study)])
        return fake_tester.train(*arguments)

    toy.go((0,), seeds=1, train=train)
    assert seen == [[(0,)]]


def test_nothing_has_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = confirming(tmp_path, monkeypatch, RECORDS[4:])
    for trials in ((), ("best",)):
        with pytest.raises(UserError) as caught:
            toy.go(trials)
        assert (
            str(caught.value)
            == "study 'toy' has no front: no trial has finished yet; see peftsearch status --study toy"
        )


def test_other_data_than_in_the_search_is_refused(toy: Confirming) -> None:
    with pytest.raises(UserError) as caught:
        toy.go(data=replace(DATA, fingerprint="other"))
    assert str(caught.value) == (
        "the data of 'toy' is not what trial 0 was trained on (fingerprint toy-48-24-0 then, other now); "
        "restore the data, or search again with --fork NEW_NAME"
    )
    assert (keys(toy), read_openings(toy.stored.study)) == ([], [])


def test_a_split_that_is_not_there_is_refused_before_training(toy: Confirming) -> None:
    sealed = replace(DATA, splits={name: DATA.splits[name] for name in ("train", "validation")})
    with pytest.raises(UserError, match="the data has no test split"):
        toy.go(data=sealed)
    assert (keys(toy), read_openings(toy.stored.study)) == ([], [])


def test_a_failure_of_any_kind_is_kept_and_all_but_a_hopeless_one_tried_again(toy: Confirming) -> None:
    kinds = {"full": TrialFailure("not_finite", "no"), "lora": ValueError("a bug")}
    assert toy.go((0, 1, 2), seeds=1, train=failing(kinds)) == Outcome("done")
    assert [run.failure for run in read_runs(toy.again().study)] == [
        {"kind": "not_finite", "message": "no"},
        {"kind": "error", "message": "ValueError: a bug"},
        None,
    ]
    assert [(done.run.trial, done.run.failure is None) for done in toy.told] == [(0, False), (1, False), (2, True)]
    toy.go((0, 1, 2), seeds=1)
    assert [(done.run.trial, done.run.failure) for done in toy.told] == [(1, None)]


def test_an_error_that_repeats_ends_it(toy: Confirming) -> None:
    outcome = toy.go((0, 1, 3), train=failing({"full": ValueError("a"), "lora": ValueError("a")}))
    assert outcome == Outcome("errors", "3 trials in a row failed alike: ValueError: a")
    assert len(keys(toy)) == 3


def test_no_list_of_studies_shows_the_queue_and_a_study_begun_anew_does_not_inherit_it(toy: Confirming) -> None:
    toy.go((0,), seeds=1)
    names = sorted(optuna.get_all_study_names(toy.stored.url))
    assert [name.partition("-")[0] for name in names] == ["toy", "toy:confirm"]
    assert [shown.study_name for shown in without_queues(toy.stored.storage).get_all_studies()] == ["toy"]
    optuna.delete_study(study_name="toy", storage=toy.stored.url)
    anew = open_stored("toy", store(Path("runs"), RECORDS))
    toy.stored = anew
    toy.go((0,), seeds=1)
    assert [(done.run.trial, done.place) for done in toy.told] == [(0, 1)]


def test_the_secrets_of_the_data_s_url_come_from_the_study(toy: Confirming, monkeypatch: pytest.MonkeyPatch) -> None:
    url, read = "https://me:hush@host/rows.csv?sig=hush", []
    spec = study(STUDY.replace("rows.csv", f'"{url}"'))
    write_about(toy.stored.study, About("", spec.data.model_dump(mode="json"), 3))
    monkeypatch.setattr("peftsearch.data.load.load_data", lambda section, *_: read.append(section.source) or DATA)
    assert searched_data(toy.stored, spec) is DATA
    assert read == [url]
    with pytest.raises(UserError) as caught:
        searched_data(toy.stored, study())
    assert (
        str(caught.value) == "the search read its data from a URL whose secrets are not kept; name it again with --data"
    )


def test_an_epoch_is_confirmed_as_far_as_it_goes_and_kept_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the whole trial, whose runs are others; a second call does nothing."""
    toy = confirming(tmp_path, monkeypatch)
    asked: list[Repeat] = []

    def train(config: TrialConfig, repeat: Repeat, *rest: Any) -> Tested:
        asked.append(repeat)
        return fake_tester.train(config, repeat, *rest)

    assert toy.go(trials=["1@1", 1, "1@1"], seeds=2, train=train).how == "done"
    assert [(repeat.point, repeat.epoch) for repeat in asked] == 2 * [(Point(1, 1), 1), (Point(1), None)]
    assert {name for name in toy.again().study.user_attrs if name.startswith("confirmed:")} == {
        "confirmed:1@1:43", "confirmed:1@1:44", "confirmed:1:43", "confirmed:1:44"
    }  # fmt: skip
    assert [opening.points for opening in read_openings(toy.stored.study)] == [(Point(1, 1), Point(1))]
    found = confirmation(toy.again())
    assert {row.point: sorted(row.test) for row in found.rows} == {Point(1, 1): [43, 44], Point(1): [43, 44]}
    assert list(found.frame().sort_values("epoch", na_position="first")["epoch"].fillna(0)) == [0, 1]
    assert (tmp_path / "runs" / "toy" / "predictions" / "1@1-seed-43-test.npz").is_file()
    asked.clear()
    toy.go(trials=["1@1"], seeds=2, train=train)
    assert (asked, toy.said) == ([], ["all of these runs are already done"])
    toy.go(trials=["1@2"], seeds=1)
    assert toy.said[0].startswith("note: the test split was opened before (")
    assert ", trials 1@1, 1); whoever" in toy.said[0]


def test_by_default_each_trial_of_the_front_is_confirmed_at_its_best_point_there(tmp_path: Path) -> None:
    """The pruned trial 2 too; a trial that is on it at several points is trained again once."""
    stored = open_stored("toy", store(tmp_path, EPOCHS, every_epoch=True))
    assert [str(record.point) for record in chosen_points(stored, ())] == ["0", "1@2", "2@2"]
    assert [str(record.point) for record in chosen_points(stored.with_every_epoch(False), ())] == ["0", "1"]
    late = trained(3, "lora", (0.1, 0.2, 0.3), 400_000, 9.0)
    (tmp_path / "more").mkdir()
    more = open_stored("toy", store(tmp_path / "more", [*EPOCHS, late], every_epoch=True))
    assert [str(record.point) for record in chosen_points(more, ())] == ["0", "1@2", "2@2", "3"], "3 is a runner-up"
    assert [str(record.point) for record in chosen_points(more, (), best=3)] == ["0", "1@2", "2@2"]

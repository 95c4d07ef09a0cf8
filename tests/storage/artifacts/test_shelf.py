"""What is in the store: at any time the front's checkpoints, and nothing for ever that is not."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from peftsearch.core.errors import Interrupted, UserError
from peftsearch.search import execute
from peftsearch.search.pruning import Decision
from peftsearch.storage.artifacts import place as places
from peftsearch.storage.artifacts import shelf as shelves
from peftsearch.storage.artifacts.listed import artifacts_of, read_place, write_late
from peftsearch.storage.artifacts.settle import check_place, settle
from peftsearch.storage.connection.looking import one_look
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.kept.known_front import known_front
from peftsearch.storage.liveness.recovery import put_back, retry
from peftsearch.storage.optuna_access import frozen_trial, storage_of, trial_id
from peftsearch.storage.records import Record
from tests.helpers.stores import Broken, Machine, begun_late, in_store, machine


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def here(tmp_path: Path, shared: Path) -> Machine:
    return machine(tmp_path, f"sqlite:///{tmp_path}/trials.db", shared)


def names(shared: Path, here: Machine) -> list[str]:
    """What the store holds beside its mark."""
    place = read_place(here.study)
    assert place is not None
    return [path.name for path in shared.iterdir() if path.name != place.marker]


def files(shared: Path, here: Machine) -> int:
    return len(names(shared, here))


def local(here: Machine) -> list[str]:
    return sorted(path.name for path in here.folder.weights.iterdir() if not path.name.startswith("."))


def test_the_front_s_checkpoints_are_in_the_store_and_leave_it_with_their_points(here: Machine, shared: Path) -> None:
    here.train(0.5, 0.8)
    assert in_store(here.study) == local(here) == ["0", "0@1"]
    here.train(0.4, seconds=3.0)
    assert in_store(here.study) == local(here) == ["0", "0@1"]
    here.train(0.9, seconds=1.5)
    assert in_store(here.study) == local(here) == ["0@1", "2"]
    assert files(shared, here) == 2


def test_a_whole_trial_and_its_best_epoch_are_uploaded_once(here: Machine, shared: Path) -> None:
    here.train(0.5, 0.8, 0.7)
    assert (local(here), in_store(here.study)) == (["0", "0@1", "0@2"], ["0@1", "0@2"])
    here.train(0.85, 0.1, 0.1, seconds=1.5)  # its first epoch dominates 0@2, and the whole of it no whole trial
    assert (local(here), in_store(here.study)) == (["0", "0@1", "1", "1@1"], ["0@1", "0@2", "1@1"])
    here.train(0.9, seconds=2.5)
    assert (local(here), in_store(here.study)) == (["0@1", "1", "1@1", "2"], ["0@1", "1@1", "2"])
    assert files(shared, here) == 3


def test_what_another_machine_trains_makes_room_in_the_store(tmp_path: Path, here: Machine, shared: Path) -> None:
    there = machine(tmp_path, f"sqlite:///{tmp_path}/trials.db", shared, "b")
    here.train(0.5)
    there.train(0.9)
    assert in_store(here.study) == ["1"]
    assert files(shared, here) == 1
    assert local(here) == ["0"], "each machine deletes its own as it trains"


def test_a_trial_that_ends_while_another_machine_sweeps_keeps_its_weights(
    tmp_path: Path, here: Machine, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = machine(tmp_path, f"sqlite:///{tmp_path}/trials.db", shared, "b")
    here.train(0.5)
    ending = [0.9]

    def then_another_ends(*arguments: Any) -> list[Record]:
        found = known_front(*arguments)
        while ending:
            with ThreadPoolExecutor(1) as other:  # a thread of its own, outside of this one's look at the storage
                other.submit(there.train, ending.pop()).result()
        return found

    monkeypatch.setattr(shelves, "known_front", then_another_ends)
    assert here.shelf is not None
    here.shelf.sweep()
    assert "1" in in_store(here.study)
    assert {one.id for one in artifacts_of(here.study) if one.whole} <= set(names(shared, here))


def test_a_trial_that_is_stopped_brings_its_epochs(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def decide(_: str, trial: Record, *__: object, **___: object) -> Decision | None:
        return Decision("why") if len(trial.curve) == 2 else None

    monkeypatch.setattr(execute, "decide", decide)
    assert here.train(0.5, 0.8, 0.9).state == "pruned"
    assert in_store(here.study) == local(here) == ["0@1", "0@2"]


def test_a_failed_trial_brings_nothing(here: Machine, shared: Path) -> None:
    def fail() -> None:
        raise ValueError("a matrix of the wrong shape")

    assert here.train(0.5, 0.8, ending=fail).state == "failed"
    assert (files(shared, here), local(here)) == (0, [])


def test_a_kill_while_uploading_leaves_nothing_for_ever(here: Machine, shared: Path) -> None:
    """The process dies with half of the file written; its trial is failed and tried again."""
    child = os.fork()
    if child == 0:
        assert here.shelf is not None
        inner = here.shelf.store._inner

        class Dying:
            def write(self, artifact_id: str, content_body: object) -> None:
                (shared / artifact_id).write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)

            remove, open_reader = inner.remove, inner.open_reader

        here.shelf.store._inner = Dying()  # type: ignore[assignment]
        here.train(0.5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert files(shared, here) == 1
    retry(here.study, 0)
    storage_of(here.study).set_trial_state_values(trial_id(here.study, 0), TrialState.FAIL)
    assert not any(name.startswith("artifacts:") for name in frozen_trial(here.study, 1).system_attrs)
    here.train(0.6)
    assert in_store(here.study) == ["1"]
    assert files(shared, here) == 1


def test_an_attempt_that_was_put_back_leaves_nothing(here: Machine, shared: Path) -> None:
    assert here.shelf is not None
    keep = here.shelf.keep

    def then_interrupted(*arguments: object) -> None:
        keep(*arguments)  # type: ignore[arg-type]
        raise Interrupted

    here.shelf.keep = then_interrupted  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        here.train(0.5)
    put_back(here.study, 0)
    assert files(shared, here) == 1
    here.shelf.keep = keep  # type: ignore[method-assign]
    here.train(0.6)
    assert in_store(here.study) == ["0"]
    assert files(shared, here) == 1
    assert [one.id for one in artifacts_of(here.study) if one.whole] == names(shared, here)


def test_what_a_killed_process_has_written_after_its_removal_is_removed_by_the_next_process(
    tmp_path: Path, here: Machine, shared: Path
) -> None:
    here.train(0.9)
    slow = begun_late(here, "7")
    assert here.shelf is not None
    here.shelf.sweep()
    (shared / slow).write_bytes(b"whole")  # by the process that had begun, which then is killed
    sweeps = machine(tmp_path, f"sqlite:///{tmp_path}/trials.db", shared).shelf
    assert sweeps is not None
    sweeps.sweep()
    assert names(shared, here) == [one.id for one in artifacts_of(here.study)]


def test_whoever_ends_writing_while_an_artifact_is_removed_sees_that_it_is(
    here: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.train(0.9)
    slow, seen = begun_late(here, "7"), []
    assert here.shelf is not None
    monkeypatch.setattr(here.shelf.store, "remove", lambda one: seen.append((one, write_late(here.study, one))))
    here.shelf.sweep()
    assert seen == [(slow, False)]


def test_who_was_wrongly_taken_for_dead_takes_its_checkpoints_back(here: Machine, shared: Path) -> None:
    assert here.shelf is not None
    keep = here.shelf.keep

    def then_failed(*arguments: object) -> None:
        keep(*arguments)  # type: ignore[arg-type]
        storage_of(here.study).set_trial_state_values(trial_id(here.study, 0), TrialState.FAIL)

    here.shelf.keep = then_failed  # type: ignore[method-assign]
    with pytest.raises(UpdateFinishedTrialError):
        here.train(0.5)
    assert files(shared, here) == 0
    assert artifacts_of(here.study) == []


def test_a_store_that_is_away_costs_no_trial_and_gets_the_weights_later(
    here: Machine, shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(places, "PATIENCE_SECONDS", 0.0)
    assert here.shelf is not None
    broken = Broken(here.shelf.store)
    broken.away = True
    assert here.train(0.5, 0.8).state == "complete"
    assert in_store(here.study) == []
    assert (
        f"the weights of trial 0, epoch 1 are not in {shared} yet (no route to the bucket)\n" in capsys.readouterr().err
    )
    broken.away = False
    here.train(0.3, seconds=9.0)
    assert in_store(here.study) == local(here) == ["0", "0@1"]
    assert files(shared, here) == 2
    here.train(0.9, seconds=0.5)
    assert in_store(here.study) == ["2"]
    assert files(shared, here) == 1


def test_what_is_late_does_not_wait_for_a_store_that_takes_nothing(tmp_path: Path, shared: Path) -> None:
    """A full disk, say: each trial would wait twice."""
    url = f"sqlite:///{tmp_path}/trials.db"
    machine(tmp_path, url, None).train(0.5)
    later = machine(tmp_path, url, shared)
    assert later.shelf is not None
    broken, waited = Broken(later.shelf.store), []
    later.shelf.store._pause = waited.append
    reading = broken.open_reader
    broken.away, broken.open_reader = True, lambda one: (shared / one).open("rb")  # type: ignore[assignment,method-assign]
    later.shelf.sweep()
    assert (in_store(later.study), waited, broken.writes) == ([], [], 1)
    broken.away, broken.open_reader = False, reading  # type: ignore[method-assign]
    later.shelf.sweep()
    assert in_store(later.study) == ["0"]


def test_a_short_outage_is_waited_for(here: Machine, shared: Path) -> None:
    assert here.shelf is not None
    broken, steps, waited = Broken(here.shelf.store), [], []
    broken.away = True

    def pause(seconds: float) -> None:
        waited.append(seconds)
        broken.away = len(waited) < 3

    here.shelf.store.step = lambda: steps.append(1)  # type: ignore[assignment]
    here.shelf.store._pause = pause
    here.train(0.5)
    assert in_store(here.study) == ["0"]
    assert waited == [0.2, 0.4, 0.8]
    assert len(steps) > 3, "the watchdog sees that the trial is alive"


def test_a_study_that_was_searched_without_a_store_gets_one(tmp_path: Path, shared: Path) -> None:
    url = f"sqlite:///{tmp_path}/trials.db"
    machine(tmp_path, url, None).train(0.5, 0.8)
    later = machine(tmp_path, url, shared)
    assert later.shelf is not None
    later.shelf.sweep()
    assert in_store(later.study) == ["0", "0@1"]
    later.shelf.sweep()
    assert files(shared, later) == 2


def empty(shared: Path) -> None:
    shutil.rmtree(shared)
    shared.mkdir()


def another(shared: Path) -> None:
    shared.rename(shared.with_name("mounted elsewhere"))
    shared.mkdir()
    (shared / "a file of somebody else").touch()


@pytest.mark.parametrize(
    "gone", [shutil.rmtree, empty, another, lambda shared: (shutil.rmtree(shared), shared.touch())]
)
def test_a_folder_that_is_not_the_shared_one_any_more_gets_nothing(
    here: Machine,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    gone: Callable[[Path], object],
) -> None:
    """A disk that is not mounted leaves a folder, into which weights could be written that nobody else would see."""
    monkeypatch.setattr(places, "PATIENCE_SECONDS", 0.0)
    here.train(0.5)
    gone(shared)
    left = sorted(shared.iterdir()) if shared.is_dir() else None
    assert here.train(0.9, seconds=0.5).state == "complete"
    assert in_store(here.study) == ["0"]
    assert (sorted(shared.iterdir()) if shared.is_dir() else None) == left
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"the weights of trial 1 are not in {shared} yet (")
    assert said[1].startswith(f"nothing is brought to {shared}, or removed from it, for now (")
    assert len(said) == 2


def test_a_folder_that_is_mounted_again_gets_what_it_missed(here: Machine, shared: Path) -> None:
    here.train(0.5)
    away = shared.rename(shared.with_name("mounted elsewhere"))
    shared.mkdir()
    here.train(0.9, seconds=0.5)
    shared.rmdir()
    away.rename(shared)
    here.train(0.3, seconds=9.0)
    assert in_store(here.study) == ["1"]
    assert files(shared, here) == 1


def test_weights_go_where_the_study_keeps_them_now(
    tmp_path: Path, here: Machine, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a study that was told to keep them nowhere, and then elsewhere; another worker has not heard of it."""
    url, other = f"sqlite:///{tmp_path}/trials.db", tmp_path / "other"
    here.train(0.5)
    settle(here.study, "none")
    here.train(0.6)
    assert in_store(here.study) == ["0"]
    assert capsys.readouterr().err.splitlines() == [
        f"the weights of trial 1 are not in {shared} yet (the study keeps weights on each machine alone by now)",
        f"nothing is brought to {shared}, or removed from it, for now (the study keeps weights on each machine alone by"
        " now)",
    ]
    there = machine(tmp_path, url, other)
    assert in_store(there.study) == [], "what is left in the first place cannot be brought from here"
    assert there.shelf is not None
    there.shelf.sweep()
    assert in_store(there.study) == ["1"]
    here.train(0.9)
    assert in_store(there.study) == ["1"]
    there.shelf.sweep()
    assert in_store(there.study) == ["2"]
    assert files(other, there) == 1


def test_of_two_machines_that_settle_two_places_at_once_one_is_refused(tmp_path: Path) -> None:
    url, other, mine = f"sqlite:///{tmp_path}/trials.db", str(tmp_path / "other"), str(tmp_path / "mine")
    one, another = (open_study(open_storage(url), "toy", ["macro_f1", "train_seconds"]) for _ in range(2))
    with one_look():
        assert read_place(one) is None
        with ThreadPoolExecutor(1) as thread:
            thread.submit(settle, another, other).result()
        assert settle(one, mine) == mine
    assert check_place(one, mine).place == mine
    with pytest.raises(UserError) as caught:
        check_place(another, other)
    assert str(caught.value).startswith(f"--artifacts {other}: does not hold the weights of 'toy', which were put into")


def test_a_checkpoint_that_is_damaged_here_is_not_brought(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/trials.db"
    alone = machine(tmp_path, url, None)
    alone.train(0.5)
    damaged = alone.folder.weights / "0" / "trial.json"
    damaged.write_text("{}")
    later = machine(tmp_path, url, shared)
    assert later.shelf is not None
    later.shelf.sweep()
    assert in_store(later.study) == []
    assert capsys.readouterr().err == (
        f"the weights of trial 0 are not in {shared} yet (the checkpoint is damaged ({damaged}))\n"
    )
    assert files(shared, later) == 0

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from peftsearch.core.files.checksums import is_sound
from peftsearch.core.files.run_folder import TENSORS
from peftsearch.core.points import Point
from peftsearch.storage.database import open_study
from peftsearch.storage.kept.front_checkpoints import (
    checkpoint_problem,
    delete_dominated,
    reaches_front,
    save_checkpoint,
)
from peftsearch.storage.points import points_of
from peftsearch.storage.records import records
from peftsearch.storage.trial_attributes import write_curve, write_measurement
from tests.helpers.records import measurement, report

OBJECTIVES = ("macro_f1", "train_seconds")


class Weights:
    def __init__(self, text: str = "w") -> None:
        self.text = text

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "w").write_text(self.text)


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", OBJECTIVES)


def test_weights_are_kept_under_the_trials_number_and_replaced_whole(tmp_path: Path) -> None:
    save_checkpoint(Weights("old"), tmp_path / "weights", Point(3))
    save_checkpoint(Weights("new"), tmp_path / "weights", Point(3))
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["3"]
    assert (tmp_path / "weights" / "3" / "w").read_text() == "new"


def test_a_save_that_fails_leaves_the_old_weights(tmp_path: Path) -> None:
    save_checkpoint(Weights("old"), tmp_path, Point(3))

    class Full:
        def save(self, folder: Path) -> None:
            folder.mkdir()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(Full(), tmp_path, Point(3))
    assert (tmp_path / "3" / "w").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


def test_a_save_that_was_killed_leaves_nothing_to_the_next_one_of_the_same_trial(tmp_path: Path) -> None:
    for left in (".3-7", ".3-1000000", ".33-7"):
        (tmp_path / left).mkdir()
    save_checkpoint(Weights(), tmp_path, Point(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".33-7", "3"]
    assert is_sound(tmp_path / "3")


def test_who_reaches_the_front(study: Study) -> None:
    assert reaches_front(study, [0.1, 9.0], OBJECTIVES)
    study.tell(study.ask(), [0.5, 5.0])
    assert reaches_front(study, [0.4, 4.0], OBJECTIVES)
    assert reaches_front(study, [0.5, 5.0], OBJECTIVES)
    assert not reaches_front(study, [0.4, 5.0], OBJECTIVES)


def test_weights_are_deleted_as_their_trial_leaves_the_front(study: Study, tmp_path: Path) -> None:
    for values in ([0.5, 5.0], [0.6, 4.0], [0.9, 9.0]):
        study.tell(study.ask(), values)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.ask()
    for number in range(5):
        save_checkpoint(Weights(), tmp_path, Point(number))
    (tmp_path / ".0-123").mkdir()
    (tmp_path / ".4-123").mkdir()
    (tmp_path / "notes").mkdir()
    delete_dominated(study, tmp_path, OBJECTIVES)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".4-123", "1", "2", "4", "notes"]


def test_sweeping_before_anything_was_kept(study: Study, tmp_path: Path) -> None:
    delete_dominated(study, tmp_path / "weights", OBJECTIVES)


class Tensors:
    """A model of one file of tensors."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / TENSORS).write_bytes(self.content)


@pytest.mark.parametrize(("content", "shared"), [(b"same", True), (b"else", False)])
def test_a_whole_trial_shares_the_file_of_its_best_epoch_if_that_holds_the_same(
    tmp_path: Path, content: bytes, shared: bool
) -> None:
    save_checkpoint(Tensors(b"same"), tmp_path, Point(3, 2))
    save_checkpoint(Tensors(content), tmp_path, Point(3), twin=Point(3, 2))
    one, other = (tmp_path / name / TENSORS for name in ("3", "3@2"))
    assert one.samefile(other) is shared
    assert one.read_bytes() == content
    assert is_sound(tmp_path / "3")
    shutil.rmtree(tmp_path / "3@2")
    assert is_sound(tmp_path / "3")
    save_checkpoint(Tensors(b"new"), tmp_path, Point(3), twin=Point(3, 2))  # which is not kept any more
    assert one.read_bytes() == b"new"


def test_a_kill_in_the_middle_of_saving_leaves_nothing_that_is_taken_for_whole(study: Study, tmp_path: Path) -> None:
    class Killed(Tensors):
        def save(self, folder: Path) -> None:
            super().save(folder)
            os.kill(os.getpid(), signal.SIGKILL)

    study.tell(study.ask(), [0.5, 5.0])
    child = os.fork()
    if child == 0:
        save_checkpoint(Killed(b"half"), tmp_path, Point(0, 2))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [f".0@2-{child}"]
    assert checkpoint_problem(tmp_path / "0@2") == f"missing ({tmp_path / '0@2'})"
    delete_dominated(study, tmp_path, OBJECTIVES)
    assert list(tmp_path.iterdir()) == []


def test_whole_trials_of_an_earlier_version_keep_their_weights_beside_epochs_that_have_none(
    study: Study, tmp_path: Path
) -> None:
    """The second trial's first epoch dominates the first trial, but no weights of it were kept."""
    for scores in ((0.2, 0.5), (0.6, 0.7)):
        curve = [report(epoch, score) for epoch, score in enumerate(scores, 1)]
        trial, measured = study.ask(), measurement(scores[-1], best_epoch=2)
        write_curve(trial, [replace(one, train_seconds=one.train_seconds + trial.number / 10) for one in curve])
        write_measurement(trial, measured)
        study.tell(trial, [scores[-1], 6.0 + 0.2 * trial.number])
        save_checkpoint(Weights(), tmp_path, Point(trial.number))
    points = points_of(records(study), OBJECTIVES)
    assert any(p.point == Point(1, 1) and p.values["train_seconds"] < 6.0 for p in points)
    delete_dominated(study, tmp_path, OBJECTIVES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]

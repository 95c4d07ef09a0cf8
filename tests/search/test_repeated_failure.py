from __future__ import annotations

import errno
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import TrialFailure
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.search import execute
from peftsearch.search.repeated_failure import ANY_FAILURES, repeated_failure
from peftsearch.storage.database import open_study
from peftsearch.storage.liveness.worker_identity import host
from tests.helpers import fake_trainer

CONFIG = TrialConfig("b", "lora", {"rank": 8})


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1", "trainable_parameters", "train_seconds"])


def run(study: Study, folder: Path, train: Any = fake_trainer.train) -> None:
    trial = study.ask()
    trial.set_user_attr("config", CONFIG.to_dict())
    execute.run(study, trial, CONFIG, train, "none", RunFolder(folder), lambda: False)


def first_line(error: Exception) -> Any:
    raise error


def second_line(error: Exception) -> Any:
    raise error


def raising(error: Exception, where: Callable[[Exception], Any] = first_line) -> Any:
    return lambda *_: where(error)


def failing(study: Study, kind: str) -> None:
    trial = study.ask()
    trial.set_user_attr("failure", {"kind": kind, "message": "no matter"})
    study.tell(trial, state=TrialState.FAIL)


def message(study: Study, since: float = 0.0) -> str | None:
    found = repeated_failure(study, since)
    return found.message if found else None


def test_three_errors_in_a_row_from_one_place_are_noticed_whatever_they_say(study: Study, tmp_path: Path) -> None:
    began = time.time()
    for number in range(3):
        assert repeated_failure(study, began) is None
        run(study, tmp_path, raising(OSError(errno.EACCES, "Permission denied", f"weights/.{number}-7")))
    found = repeated_failure(study, began)
    assert found is not None
    assert found.message == (
        "3 trials in a row failed alike: PermissionError: [Errno 13] Permission denied: 'weights/.2-7'"
    )
    assert found.details.startswith("Traceback (most recent call last):")
    assert found.details.rstrip().endswith("PermissionError: [Errno 13] Permission denied: 'weights/.2-7'")
    assert repeated_failure(study, time.time()) is None, "an earlier run's errors may be mended by now"
    run(study, tmp_path)
    assert repeated_failure(study, began) is None


@pytest.mark.parametrize(
    "last",
    [raising(ValueError("a"), second_line), raising(KeyError("a")), raising(TrialFailure("not_finite", "a"))],
    ids=["another place", "another type", "another kind"],
)
def test_errors_that_differ_are_not_alike(study: Study, tmp_path: Path, last: Any) -> None:
    for train in (raising(ValueError("a")), raising(ValueError("a")), last):
        run(study, tmp_path, train)
    assert message(study) is None


def test_equal_failures_of_configurations_stop_nothing(study: Study, tmp_path: Path) -> None:
    for _ in range(3):
        run(study, tmp_path, raising(TrialFailure("not_finite", "loss is nan")))
    assert message(study) is None


def test_ten_failures_in_a_row_of_any_kind_are_noticed(study: Study, tmp_path: Path) -> None:
    kinds = ["killed", "hung", "disk", "hub", "error"]
    run(study, tmp_path)
    for number in range(ANY_FAILURES - 1):
        failing(study, kinds[number % 5])
    assert message(study) is None
    run(study, tmp_path, raising(TrialFailure("not_finite", "loss is nan")))
    assert message(study) == "10 trials in a row failed, the last one with: loss is nan"


@pytest.mark.parametrize("kind", ["interrupted", "outside_space", "duplicate", "withdrawn"])
def test_what_was_never_trained_to_its_end_says_nothing(study: Study, tmp_path: Path, kind: str) -> None:
    for _ in range(2 * ANY_FAILURES):
        failing(study, kind)
    assert message(study) is None
    for _ in range(2):
        run(study, tmp_path, raising(ValueError("a")))
        failing(study, kind)
    run(study, tmp_path, raising(ValueError("a")))
    assert message(study) == "3 trials in a row failed alike: ValueError: a"


def test_errors_of_an_earlier_version_are_told_apart_by_their_message(study: Study) -> None:
    for _ in range(3):
        failing(study, "error")
    assert message(study) == "3 trials in a row failed alike: no matter"


@pytest.mark.parametrize("hours", [-5.0, 0.0, 5.0])
def test_each_machine_is_judged_by_its_own_trials(study: Study, monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """Another one has an end of its own, at what its clock and its time zone make of the time."""
    began, failed = time.time(), {"kind": "error", "message": "no kernel", "place": "x"}

    def ends(machine: str, failure: dict[str, str] | None, shifted: float = 0.0) -> None:
        trial = study.ask()
        trial.set_user_attr("worker", {"host": machine, "pid": 1})
        with monkeypatch.context() as patch:
            patch.setattr("optuna.storages._in_memory.datetime", Shifted(shifted))
            if failure:
                trial.set_user_attr("failure", failure)
            study.tell(trial, *([] if failure else [[0.5, 1, 1.0]]), state=TrialState.FAIL if failure else None)

    for _ in range(3):
        ends("another", failed, hours)
        assert repeated_failure(study, began) is None
    for _ in range(3):
        assert repeated_failure(study, began) is None
        ends(host(), failed)
        ends("another", None, hours)
    found = repeated_failure(study, began)
    assert found is not None
    assert found.message == "3 trials in a row failed alike: no kernel"


class Shifted:
    """`datetime` on a machine whose clock is so many hours ahead."""

    def __init__(self, hours: float) -> None:
        self._by = timedelta(hours=hours)

    def now(self) -> datetime:
        return datetime.now() + self._by

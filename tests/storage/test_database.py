from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import sqlalchemy
from optuna.trial import TrialState

from peftsearch.core.errors import StorageLost, UserError
from peftsearch.storage.database import objective_names, open_storage, open_study
from tests.helpers.claimers import claim_in_processes
from tests.helpers.outages import engine_of


def test_a_study_has_the_directions_and_names_of_its_objectives() -> None:
    study = open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1", "trainable_parameters"])
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert objective_names(study) == ("macro_f1", "trainable_parameters")


def test_opening_a_study_again_keeps_its_trials() -> None:
    opened = optuna.storages.InMemoryStorage()
    open_study(opened, "x", ["macro_f1"]).enqueue_trial({})
    assert len(open_study(opened, "x", ["macro_f1"]).trials) == 1


def test_sqlite_is_opened_with_wal_and_immediate_transactions(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'deep' / 'x.db'}")
    engine = engine_of(storage)
    with engine.connect() as one:
        assert one.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        quick = sqlalchemy.create_engine(engine.url, connect_args={"timeout": 0})
        with quick.connect() as two, pytest.raises(sqlalchemy.exc.OperationalError, match="locked"):
            two.exec_driver_sql("BEGIN IMMEDIATE")  # `one` has only read, and holds the write lock all the same


def test_four_processes_take_200_waiting_trials_once_each(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    study = open_study(open_storage(url), "x", ["macro_f1"])
    for place in range(200):
        study.enqueue_trial({"place": place})
    claimed = claim_in_processes(url, "x", budget=200, processes=4)
    taken = [number for numbers in claimed for number in numbers]
    assert len(taken) == len(set(taken))
    assert set(range(200)) <= set(taken)
    assert sum(bool(numbers) for numbers in claimed) > 1, "one process took all: nothing was proven"


def test_as_optuna_opens_sqlite_two_still_take_the_same_trial(tmp_path: Path) -> None:
    """If this fails, `make_safe` may have become needless (Optuna 5.0, SQLAlchemy 2.1)."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    study = optuna.create_study(storage=url, study_name="x")
    study.enqueue_trial({})
    trial_id = study.trials[0]._trial_id
    one, two = optuna.storages.RDBStorage(url), optuna.storages.RDBStorage(url)
    check, took = one.check_trial_is_updatable, []

    def meanwhile(*args: Any) -> None:
        """`one` has read that the trial waits, and has not written yet."""
        check(*args)
        took.append(two.set_trial_state_values(trial_id, TrialState.RUNNING))

    one.check_trial_is_updatable = meanwhile  # type: ignore[method-assign]
    took.append(one.set_trial_state_values(trial_id, TrialState.RUNNING))
    assert took == [True, True]


def test_opening_again_and_again_leaves_no_files_open(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    open_storage(url)
    gc.collect()
    before = psutil.Process().num_fds()
    for _ in range(20):
        open_study(open_storage(url), "x", ["macro_f1"])
    gc.collect()
    assert psutil.Process().num_fds() <= before + 3


ESCAPES = ", and in a password %40 for @, %3A for :, %2F for /"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("hello", "'hello' is not a database URL; write one like sqlite:///runs/NAME.db" + ESCAPES),
        (
            "postgresql+nodriver://me:hush@host/x?password=hush",
            "no driver is installed for the storage postgresql+nodriver://me:***@host/x;"
            " pip install 'peftsearch[postgres]' and write postgresql+psycopg://…",
        ),
        (
            "sqlite:////proc/nowhere/x.db",
            "cannot make the folder /proc/nowhere for the storage: No such file or directory",
        ),
        (
            "me:hush@host no url",
            f"'me:***@host no url' is not a database URL; write one like sqlite:///runs/NAME.db{ESCAPES}",
        ),
    ],
)
def test_a_storage_that_cannot_be_opened_gets_one_line_without_the_password(url: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        open_storage(url)
    assert str(error.value) == message
    assert "hush" not in str(error.value)


def test_a_server_that_was_there_before_is_waited_for_and_a_wrong_url_is_not() -> None:
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://me:hush@127.0.0.1:1/x"
    with pytest.raises(UserError, match=r"^cannot open the storage .*Connection refused"):
        open_storage(url)
    with pytest.raises(StorageLost) as lost:
        open_storage(url, patience=1, again=True)
    assert str(lost.value).startswith(
        "the storage postgresql+psycopg://me:***@127.0.0.1:1/x has not answered for 1 s ("
    )


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_text("a letter, and a long one: " * 100)
    with pytest.raises(UserError) as error:
        open_storage(f"sqlite:///{file}")
    assert str(error.value) == (
        f"cannot open the storage sqlite:///{file} (file is not a database);"
        " check the URL and that it can be reached and written"
    )
    assert file.read_text().startswith("a letter")


def test_a_folder_with_braces_in_its_name(tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path / '{odd}' / 'x.db'}")
    assert (tmp_path / "{odd}" / "x.db").exists()


PASSWORDS = (
    "hush@hush", "hush:hush", "hush/hush@x", "hu#hush", "hu?hush@", "@hush", "hush@", "hush@/:#?hush", "{hush}",
    "%zz hush",
)  # fmt: skip


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("driver", ["postgresql+psycopg", "postgres", "mysql+pymysql", "nothing"])
def test_a_password_that_should_have_been_escaped_is_not_shown(password: str, driver: str) -> None:
    with pytest.raises(UserError) as error:
        open_storage(f"{driver}://me:{password}@127.0.0.1:1/x?password=hush", patience=0.0)
    message = str(error.value)
    assert "hush" not in message
    assert "hu" not in message.replace("human", "")
    assert "\n" not in message

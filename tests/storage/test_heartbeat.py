from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from peftsearch.storage.connection.outages import StorageAway
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.heartbeat import Heartbeat
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.records import records


def test_a_heartbeat_survives_an_outage_and_notices_a_lost_trial(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(open_storage(f"sqlite:///{tmp_path / 'x.db'}"), "x", ["macro_f1"])
    trial = study.ask()
    storage = storage_of(study)
    write, errors = storage.set_trial_user_attr, [StorageAway("disk I/O error")]

    def flaky(*args: Any) -> None:
        if errors:
            raise errors.pop()
        write(*args)

    monkeypatch.setattr(storage, "set_trial_user_attr", flaky)
    heartbeat = Heartbeat(study, interval=0.05)
    heartbeat.start()
    heartbeat.hold(trial.number)
    assert _eventually(lambda: records(study)[0].heartbeat is not None)
    assert "disk I/O error" in capsys.readouterr().err
    assert not heartbeat.lost()
    study.tell(trial, state=TrialState.FAIL)
    assert _eventually(heartbeat.lost)
    heartbeat.hold(None)
    assert not heartbeat.lost()
    heartbeat.close()
    heartbeat.join(timeout=2)
    assert not heartbeat.is_alive()


def test_optuna_still_has_no_heartbeat_for_what_is_asked_for() -> None:
    """If this fails, Optuna may reclaim our trials itself: see whether `heartbeat` is still needed (Optuna 5.0)."""
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        storage = optuna.storages.RDBStorage("sqlite://", heartbeat_interval=1)
    with pytest.warns(UserWarning, match=r"Heartbeat of storage is supposed to be used with Study.optimize"):
        optuna.create_study(storage=storage).ask()


def _eventually(condition: Any, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False

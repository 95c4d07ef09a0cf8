from __future__ import annotations

import subprocess
import sys
import time

import pytest

from peftsearch.storage.liveness.worker_identity import BOOT, host, identity, is_gone
from tests.helpers.workers import dead_worker


def test_a_living_process_is_not_gone_and_a_dead_one_is() -> None:
    assert is_gone(identity("cpu")) is False
    assert is_gone(dead_worker()) is True


def test_a_process_id_used_again_is_seen_through() -> None:
    me = identity("cpu")
    if me["born"]:
        boot, _, ticks = me["born"].partition("/")
        assert is_gone({**me, "born": f"{boot}/{int(ticks) - 1}"}) is True
    assert is_gone({**me, "born": None, "started": time.time() - 86_400}) is True, "of an earlier version"


@pytest.mark.parametrize("hours", [-1.0, 1.0])
def test_setting_the_clock_kills_nobody(hours: float) -> None:
    """Which moves the times at which all processes started."""
    me = identity("cpu")
    assert is_gone({**me, "started": me["started"] + 3600 * hours}) is (not me["born"])


@pytest.mark.skipif(not BOOT.exists(), reason="only Linux tells when a machine was started")
def test_another_machine_of_the_same_name_is_another_machine() -> None:
    """As two copies of one virtual machine; its process may have an id that nobody has here."""
    assert is_gone({**dead_worker(), "born": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6/1"}) is None


def test_a_zombie_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    time.sleep(0.5)
    import psutil

    assert is_gone({"pid": process.pid, "host": host(), "started": psutil.Process(process.pid).create_time()}) is True
    process.wait()

from __future__ import annotations

import subprocess
import sys
import time

from peftsearch.storage.liveness.worker_identity import host, identity, is_gone
from tests.helpers.workers import dead_worker


def test_a_living_process_is_not_gone_and_a_dead_one_is() -> None:
    assert is_gone(identity("cpu")) is False
    assert is_gone(dead_worker()) is True


def test_a_process_id_used_again_is_seen_through() -> None:
    assert is_gone({**identity("cpu"), "started": time.time() - 86_400}) is True


def test_a_zombie_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    time.sleep(0.5)
    import psutil

    assert is_gone({"pid": process.pid, "host": host(), "started": psutil.Process(process.pid).create_time()}) is True
    process.wait()

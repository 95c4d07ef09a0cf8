"""Workers that are not there any more, and processes that are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from peftsearch.storage.liveness.worker_identity import host, identity


def dead_worker() -> dict[str, Any]:
    """The identity of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {**identity("cpu"), "pid": process.pid}


@contextmanager
def other_process() -> Iterator[dict[str, Any]]:
    """A living process that is not this one."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield {"pid": process.pid, "host": host(), "started": psutil.Process(process.pid).create_time()}
    finally:
        process.communicate()

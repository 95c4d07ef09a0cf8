"""Workers that are not there any more."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from peftsearch.storage.worker_identity import identity


def dead_worker() -> dict[str, Any]:
    """The identity of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {**identity("cpu"), "pid": process.pid}

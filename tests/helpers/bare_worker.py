"""A worker process that opens no study, for how it ends: `python -m tests.helpers.bare_worker`.

`FAKE_END` says how: it may `crash`, end by a `signal`, or be `deaf` to a request to end, which it tells by the file
`FAKE_READY`.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path


def deaf() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Path(os.environ["FAKE_READY"]).touch()
    while True:
        signal.pause()


def crash() -> None:
    raise RuntimeError("no such device")


def end_by_signal() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    {"deaf": deaf, "crash": crash, "signal": end_by_signal}[os.environ["FAKE_END"]]()

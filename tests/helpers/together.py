"""Processes that do the same thing in the same moment, once all of them have imported what they need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run_together(processes: int, module: str, *arguments: str) -> list[Any]:
    """Run `python -m MODULE ARGUMENTS` in so many processes; the JSON that each prints.

    The module calls `wait_for_others` before what is to happen in the same moment.
    """
    command = [sys.executable, "-m", module, *arguments]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * processes
    return [json.loads(line) for line in said]


def wait_for_others() -> None:
    """Return once all processes of `run_together` have come here."""
    print("ready", flush=True)
    sys.stdin.readline()

"""Two machines, each with a folder and a host's name of its own, search together: a short form of `benchmarks.soak`."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest
from benchmarks.soak import checked, options_of, prepared

ALONE = ["unshare", "--uts", "true"]
"""Giving a process a host's name of its own takes Linux, and root."""


def can_have_names() -> bool:
    try:
        return subprocess.run(ALONE, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_have_names(), reason="no process here may have a host's name of its own (unshare --uts)")
def test_two_machines_train_exactly_the_budget_though_a_worker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = tmp_path / "once"
    once.touch()
    monkeypatch.setenv("FAKE_KILL_ONCE", str(once))
    with prepared(options_of(["--machines", "2", "--workers", "1", "--trials", "12"])) as soak:
        checks = checked(soak, 12, soak.run(every=math.inf, longest=300))
        known = soak.search.records()
    assert {what: wrong for what, wrong in checks.items() if wrong} == {}
    assert {str(record.worker["host"]).partition("/")[0] for record in known} == {"machine-0", "machine-1"}
    assert [record.failure["kind"] for record in known if record.failure] == ["killed"]
    assert not once.exists()

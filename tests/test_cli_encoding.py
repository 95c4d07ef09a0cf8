"""Terminals and arguments that are not UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(*arguments: str | bytes, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONUTF8": "0", "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": f"{encoding}:strict"}
    command = [sys.executable, "-m", "peftsearch", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1251", "cp932"])
def test_a_terminal_that_lacks_a_sign_shows_its_code(encoding: str) -> None:
    done = run("params", "--help", encoding=encoding)
    whole = run("studies", encoding=encoding)
    assert (done.returncode, whole.returncode) == (0, 0), done.stderr + whole.stderr
    # click 8 takes ASCII for a locale that is not set up, and writes UTF-8 there.
    assert "quickstart" in whole.stdout.decode("utf-8" if encoding == "ascii" else encoding)


@pytest.mark.parametrize(
    "arguments", [("check", "--study", b"caf\xe9"), ("check", "--data", b"train=caf\xe9.csv"), ("predict", b"\xff\xfe")]
)
def test_an_argument_that_is_not_utf8_is_one_line(arguments: tuple[str | bytes, ...]) -> None:
    done = run(*arguments)
    odd = os.fsdecode(arguments[-1])
    assert done.returncode == 2
    assert done.stderr.decode() == (
        f"Error: the argument {odd!r} is not UTF-8; rename what it names, or write it as UTF-8\n"
    )

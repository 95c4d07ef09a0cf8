"""docs/mistakes.md names tests that exist, and what only the whole program can show."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.helpers.folders import fill_toy_folder

ROOT = Path(__file__).parents[1]
ROWS = [line for line in (ROOT / "docs" / "mistakes.md").read_text(encoding="utf-8").splitlines() if "| **" in line]
MISTAKES = [
    *("A1", "A2", "A3", "A4", "B1", "B2", "B3", "B4", "C1", "C2", "C3", "C4", "D1", "E1", "E2", "E3", "E4"),
    *("All 1", "All 2", "All 3", "All 4"),
]
TOKEN = "hf_" + "NoSuchTokenButOneToLookFor".swapcase()


def test_every_mistake_has_a_row_with_tests_or_says_that_it_is_not_covered():
    assert [re.findall(r"\*\*(.+?)\*\*", row)[0] for row in ROWS] == MISTAKES
    for row in ROWS:
        assert bool(_tests(row)) != ("**Not yet covered**" in row), row


def test_every_test_that_the_page_names_exists():
    for path, name in (found for row in ROWS for found in _tests(row)):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"


def _tests(row: str) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/\S+?\.py)::(\w+)`", row)


STUDY = """\
name: toy
data: {source: rows.jsonl, splits: {validation: 0.25, test: 0.25}, max_length: 24}
backbones: [model]
training: {epochs: 1, batch_size: 16}
methods: {probe: {learning_rate: 0.05}}
"""


def test_a_token_of_the_environment_stays_there(tmp_path):
    fill_toy_folder(tmp_path, STUDY)
    said, lines = _run(tmp_path, "optimize", "--study", "toy.yaml", "--trials", "1")
    exported, _ = _run(tmp_path, "export", "--study", "toy.yaml", "--trial", "best", "--out", "out")
    assert any("peftsearch" in line and "worker" in line for line in lines), "no worker was seen"
    assert TOKEN not in said + exported + "\n".join(lines)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".db", ".safetensors", ".yaml"}
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []


def _run(folder: Path, *arguments: str) -> tuple[str, set[str]]:
    """All that the command says, and the command lines of it and of every process that it started."""
    environment = {**os.environ, "HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
    environment.pop("PEFTSEARCH_STORAGE", None)
    command = [sys.executable, "-m", "peftsearch", *arguments]
    with (folder.parent / "said.txt").open("w+") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
        lines: set[str] = set()
        while process.poll() is None:
            lines |= _command_lines(process.pid)
            time.sleep(0.05)
        said.seek(0)
        text = said.read()
    assert process.returncode == 0, text
    return text, lines


def _command_lines(pid: int) -> set[str]:
    try:
        parent = psutil.Process(pid)
        return {" ".join(each.cmdline()) for each in (parent, *parent.children(recursive=True))}
    except psutil.Error:
        return set()

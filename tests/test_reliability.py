"""The page on reliability names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TABLES = re.findall(r"^\| fault .*\n\|[-|]+\n((?:\| .*\n)+)", PAGE, re.MULTILINE)
ROWS = [row for table in TABLES for row in table.splitlines()]


def test_every_section_has_its_table() -> None:
    assert len(TABLES) == 6


@pytest.mark.parametrize("row", ROWS, ids=[row.split(" | ")[0][2:60] for row in ROWS])
def test_every_promise_names_a_test_that_exists(row: str) -> None:
    named = re.findall(r"`(tests/\S+?\.py)::(\w+)`", row)
    assert named, "a promise without a test"
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"

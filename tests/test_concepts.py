"""The pages in docs/concepts name tests that exist and figures that their command has found, and pictures are used."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
from benchmarks.confirm_levels import CLASSES
from benchmarks.optimism import macro_f1, overstatements
from sklearn.metrics import f1_score

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "concepts").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_names_tests_and_all_of_them_exist(page: Path) -> None:
    named = re.findall(r"`(tests/\S+?\.py)::(\w+)`", page.read_text(encoding="utf-8"))
    assert named
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"


def test_the_figures_of_optimism_are_the_measured_ones() -> None:
    text = (ROOT / "docs" / "concepts" / "optimism.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "benchmarks" / "results" / "optimism.json").read_text())["found"]
    assert found
    for row in found:
        differ = f"{100 * row['spread']:.0f} points" if row["spread"] else "nothing"
        start = f"| {row['rows']:,} | {differ} | "
        cells = next(line for line in text.splitlines() if line.startswith(start)).removeprefix(start)
        assert re.findall(r"[+-]\d\.\d", cells) == [f"{value:+.1f}" for value in row["points"].values()]


def test_the_best_of_many_equal_trials_is_overstated_and_a_single_one_is_not() -> None:
    seen = np.mean([overstatements(np.random.default_rng(n), 250, 0.0) for n in range(40)], axis=0)
    assert abs(seen[0]) < 0.015
    assert 0.025 < seen[2] < 0.055


def test_macro_f1_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, CLASSES, (2, 60))
    assert macro_f1(labels, predicted) == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_every_picture_is_shown_on_a_page_and_is_small() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert len(pictures) >= 5
    for picture in pictures:
        assert f"pictures/{picture.name})" in text
        assert picture.suffix in (".png", ".svg")
        assert picture.stat().st_size <= 200_000

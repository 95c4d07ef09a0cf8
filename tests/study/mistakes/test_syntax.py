"""What a study file that is no YAML is told: the place to mend, and how."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from peftsearch.core.errors import UserError
from peftsearch.study.mistakes.problems import Problems
from peftsearch.study.yaml_file import read_document

STUDY = """\
name: toy
goal: which
data:
  source: rows.csv
  splits: {validation: 0.2, test: 0.2}
training:
  epochs: 1
  batch_size: 16
objectives: [macro_f1, train_seconds]
methods:
  lora: {rank: [4, 8]}
"""
NO_TEXT = "is no plain text in YAML; put the text in quotes"
ENDED = "the value of this key has ended before this; put the text in quotes"
NEVER = "that opens here is never closed; add"
MISTAKES = [
    (
        "goal: which",
        "goal: Which wins: LoRA?",
        2,
        17,
        f'a text with a colon in it {NO_TEXT}, goal: "Which wins: LoRA?"',
    ),
    ("goal: which", "goal: of: “all”", 2, 9, f'a text with a colon in it {NO_TEXT}, goal: "of: “all”"'),
    ("goal: which", "goal: in: C:\\rows", 2, 9, f"a text with a colon in it {NO_TEXT}, goal: 'in: C:\\rows'"),
    ("goal: which", f"goal: a: {'b' * 99}", 2, 8, f"a text with a colon in it {NO_TEXT}"),
    ("goal: which", "goal: @home", 2, 7, f'a text that begins with @ {NO_TEXT}, goal: "@home"'),
    ("goal: which", "goal: `lora` # or", 2, 7, f'a text that begins with ` {NO_TEXT}, goal: "`lora`"'),
    ("goal: which", "goal: *best* one", 2, 12, f'a text that begins with * {NO_TEXT}, goal: "*best* one"'),
    ("goal: which", "goal: & so", 2, 8, f'a text that begins with & {NO_TEXT}, goal: "& so"'),
    ("goal: which", "goal: | so", 2, 9, f'a text that begins with | {NO_TEXT}, goal: "| so"'),
    ("goal: which", "goal: ? so", 2, 7, f'a text that begins with ? {NO_TEXT}, goal: "? so"'),
    ("goal: which", "goal: - so", 2, 7, f'a text that begins with - {NO_TEXT}, goal: "- so"'),
    ("goal: which", "goal: !so it is", 2, 7, f'a text that begins with ! {NO_TEXT}, goal: "!so it is"'),
    ("goal: which", "goal: 'it's so'", 2, 11, f'{ENDED}, goal: "it\'s so"'),
    ("goal: which", 'goal: "best" one', 2, 14, f"{ENDED}, goal: '\"best\" one'"),
    ("goal: which", "goal: [a] or [b]", 2, 11, f'{ENDED}, goal: "[a] or [b]"'),
    ("goal: which", 'goal: "which', 2, 7, f'the quote (") {NEVER} another "'),
    ("rows.csv", "'rows.csv", 4, 11, f"the quote (') {NEVER} another '"),
    ("[macro_f1", '["macro_f1', 9, 14, f'the quote (") {NEVER} another "'),
    (
        "which\ndata:\n  source: rows.csv",
        '"which\ndata:\n  source: "rows.csv"',
        *(2, 7, 'the quote (") that opens here closes only in line 4; close it where its text ends'),
    ),
    ("  source", "\tsource", 4, 1, "a tab stands here, where YAML takes none; indent with spaces"),
    ("  lora", "  \tlora", 11, 3, "a tab stands here, where YAML takes none; indent with spaces"),
    ("epochs: 1", "epochs:\t1", 7, 10, "a tab stands here, where YAML takes none; use spaces"),
    ("  epochs", "\u00a0 epochs", 7, 1, "a blank stands here that is no space (U+00A0); use spaces"),
    (
        "rows.csv",
        '"C:\\data\\rows.csv"',
        *(4, 14, "a backslash is special in double quotes; use single quotes, source: 'C:\\data\\rows.csv'"),
    ),
    ("[4, 8]}", "[4, 8]", 11, 9, f"the {{ {NEVER} }}"),
    (
        "train_seconds]",
        "train_seconds",
        *(9, 13, "the [ that opens here is not closed before line 10; add ], or the comma that is missing there"),
    ),
    ("[4, 8]", "[4, 8]]", 11, 22, "this ] does not close the { of column 9; write } or remove it"),
    ("[4, 8]", "[4, 8", 11, 21, "this } does not close the [ of column 16; write ] or remove it"),
    ("seconds]", "seconds]]", 9, 38, "this ] belongs to nothing that is open; remove it"),
    ("[macro_f1, train", '["macro_f1" train', 9, 25, "a comma is missing here, or the ] of the [ in column 13; add it"),
    (
        "validation: 0.2,",
        "validation: 0.2",
        *(5, 32, "a comma is missing before this, or text with a colon stands without quotes; mend one of them"),
    ),
    ("epochs: 1", "epochs:1", 7, 9, "a space is missing after this colon; add it"),
    ("epochs: 1", "epochs = 1", 7, 10, "a key is followed by a colon; write : in place of ="),
    ("epochs: 1", "epochs 1", 7, 3, "this line has no colon; write KEY: VALUE"),
    ("goal: which", "goal which", 2, 1, "this line has no colon; write KEY: VALUE"),
    (
        "  batch_size",
        "    batch_size",
        *(8, 5, "this line is indented further than line 7, which has a value already; indent both alike"),
    ),
    (
        "  batch_size",
        " batch_size",
        *(8, 2, "no line above that could hold this one is indented by 1; indent it like those it belongs with"),
    ),
    ("{rank: [4, 8]}", "*shared", 11, 9, "no anchor &shared stands above; a text that begins with * must be in quotes"),
    ("methods:", "---\nmethods:", 10, 1, "a second document begins here; a study file holds one, so keep one"),
]


def told(text: str, folder: Path) -> str | None:
    """What the author of a file is told; None if it is YAML."""
    file = folder / "x.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        read_document(file, Problems("x.yaml"))
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("right", "wrong", "line", "column", "text"), MISTAKES, ids=[wrong for _, wrong, *_ in MISTAKES]
)
def test_a_mistake_is_told_with_its_remedy(
    tmp_path: Path, right: str, wrong: str, line: int, column: int, text: str
) -> None:
    assert STUDY.count(right) == 1
    assert told(STUDY.replace(right, wrong), tmp_path) == f"x.yaml: line {line}, column {column}: {text}"


def test_the_file_without_a_mistake_is_read(tmp_path: Path) -> None:
    assert told(STUDY, tmp_path) is None


def test_the_quotes_that_are_proposed_keep_the_text(tmp_path: Path) -> None:
    """Random goals of signs that mean something in YAML: what is told to be written reads as the goal meant."""
    random.seed(0)
    proposed = 0
    for _ in range(300):
        goal = random.choice("@`*&!|>?-[{a%") + "".join(random.choices("ab: '\"\\@*&!|?-[]{},#", k=8)).rstrip() + "b"
        line = told(f"name: toy\ngoal: {goal}\ndata: x\n", tmp_path)
        if line and "in quotes, goal: " in line:
            proposed += 1
            mended = line.partition("in quotes, ")[2]
            assert yaml.safe_load(mended) == {"goal": goal.partition(" #")[0].rstrip()}, goal
    assert proposed > 100


def test_a_damaged_file_gets_one_line_with_a_place_in_it(tmp_path: Path) -> None:
    random.seed(0)
    refused = 0
    for _ in range(300):
        at = random.randrange(len(STUDY))
        sign = random.choice("\t :\"'[]{},-*&!|>%@`#?\u00a0\\x\n")
        damaged = STUDY[:at] + sign + STUDY[at + random.choice((0, 1, 1)) :]
        line = told(damaged, tmp_path)
        if line:
            refused += 1
            place, _, text = line.removeprefix("x.yaml: line ").partition(": ")
            number, column = (int(part) for part in place.split(", column "))
            assert 1 <= number <= damaged.count("\n") + 1, (line, damaged)
            assert column >= 1
            assert text
            assert "\n" not in text
    assert refused > 100

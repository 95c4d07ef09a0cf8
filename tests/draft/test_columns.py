"""Which columns are taken for texts and classes, and why."""

from __future__ import annotations

from typing import Any

import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.draft.columns import Column, check_name, label_column, text_column

TEXTS = [f"a text with some words, number {i}" for i in range(12)]


def table(**columns: list[Any]) -> Table:
    return Table("f.csv", columns)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"id": TEXTS, "Review": ["short"] * 12}, Column("Review", "its name is usual for texts")),
        ({"body": TEXTS, "text": TEXTS}, Column("text", "its name is usual for texts")),
        ({"a": ["a b"] * 12, "b": TEXTS}, Column("b", "its texts are the longest, 32 characters in the median")),
        ({"url": ["https://example.org/" + "x" * 90] * 12, "b": TEXTS},
         Column("b", "its texts are the longest, 32 characters in the median")),
        ({"a": ["这是一个没有空格的句子"] * 12}, Column("a", "its texts are the longest, 11 characters in the median")),
    ],
)  # fmt: skip
def test_the_column_of_texts(columns: dict[str, list[Any]], expected: Column) -> None:
    assert text_column(table(**columns), []) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"Stars": list(range(12)), "few": ["a", "b"] * 6}, Column("Stars", "its name is usual for classes")),
        ({"id": list(range(12)), "few": ["a", "b"] * 6}, Column("few", "no other column has few values; it has 2")),
        ({"same": ["x"] * 12, "lists": [["a"], ["b"]] * 6, "few": [1, 2, None] * 4},
         Column("few", "no other column has few values; it has 2")),
    ],
)  # fmt: skip
def test_the_column_of_classes(columns: dict[str, list[Any]], expected: Column) -> None:
    assert label_column(table(**columns, text=TEXTS), ["text"]) == expected


def test_what_cannot_be_guessed_is_asked_for() -> None:
    with pytest.raises(UserError) as no_text:
        text_column(table(a=[1, 2], b=["x", "y"]), [])
    with pytest.raises(UserError) as no_label:
        label_column(table(a=list(range(12)), text=TEXTS), ["text"])
    with pytest.raises(UserError) as two_labels:
        label_column(table(a=["x", "y"] * 6, b=[1, 2, 3] * 4), [])
    assert [str(caught.value) for caught in (no_text, no_label, two_labels)] == [
        "no column of f.csv looks like texts; name it with --text; columns: 'a', 'b'",
        "no column of f.csv looks like classes; name it with --label; columns: 'a', 'text'",
        "several columns of f.csv could be the classes; name one with --label: 'a' (2 values), 'b' (3 values)",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("starz", "--label: no column 'starz' in f.csv; columns: '{a}', ' '"),
        ("{a}", "--label: a study file cannot name the column '{a}'; rename it in f.csv"),
        (" ", "--label: a study file cannot name the column ' '; rename it in f.csv"),
    ],
)
def test_a_name_that_a_study_cannot_use(name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_name(table(**{"{a}": [], " ": []}), name, "--label")
    assert str(caught.value) == message

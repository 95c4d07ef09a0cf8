"""The texts that a classifier reads in a row."""

from __future__ import annotations

from typing import Any

import pytest

from peftsearch.core.errors import UserError
from peftsearch.predict.input import InputTexts


@pytest.mark.parametrize(
    ("written", "row", "expected"),
    [
        (("text",), "a", ("a",)),
        (("text",), {"text": 7.0, "more": None}, ("7",)),
        (("query: {text}",), "a", ("query: a",)),
        (("query: {text}",), {"text": " a "}, ("query: a",)),
        (("{title}. {body}",), {"title": "A", "body": "b"}, ("A. b",)),
        (("{title}. {body}",), {"title": "A", "body": None}, ("A.",)),
        (("q: {a}", "d: {b}"), ("x", "y"), ("q: x", "d: y")),
        (("q: {a}", "{a} {b}"), {"a": "x", "b": "y"}, ("q: x", "x y")),
        (("a", "b"), ["x", "y"], ("x", "y")),
        (("text",), "", ("",)),
        (("text",), "half \ud83d and \0", ("half \ufffd and \ufffd",)),
    ],
)
def test_a_row_is_read_as_in_training(written: tuple[str, ...], row: Any, expected: tuple[str, ...]) -> None:
    assert InputTexts(written).of(row) == expected


@pytest.mark.parametrize(
    ("written", "row", "said"),
    [
        (("text",), ("a", "b"), "this classifier labels single texts; got ('a', 'b')"),
        (("text",), None, "this classifier labels single texts; got None"),
        (("text",), ["a"], "this classifier labels single texts; got ['a']"),
        (("a", "b"), "a", "this classifier labels pairs of texts; got 'a'"),
        (("a", "b"), ("a", None), "this classifier labels pairs of texts; got ('a', None)"),
        (("a", "b"), ("a", "b", "c"), "this classifier labels pairs of texts; got ('a', 'b', 'c')"),
        (("text",), {"txt": "a"}, "no column 'text'; columns: txt"),
        (("text",), {"text": ["a"]}, "data.text: column 'text' in the row holds a list, not text"),
        (
            ("{title} {body}",),
            "a",
            "this classifier reads the columns title, body; give a file or, in Python, a dict with them for each row",
        ),
    ],
)
def test_another_kind_of_row_is_refused(written: tuple[str, ...], row: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        InputTexts(written).of(row)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("written", "names", "expected"),
    [
        (("text",), ("body",), ("body",)),
        (("a", "b"), ("x", "a"), ("x", "a")),
        (("query: {text}",), ("body",), ("query: {body}",)),
        (("{title}. {body} {title}",), ("t", "title"), ("{t}. {title} {t}",)),
    ],
)
def test_a_file_may_call_the_columns_otherwise(
    written: tuple[str, ...], names: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert InputTexts(written, strip=True).renamed(names) == InputTexts(expected, strip=True)


def test_each_column_needs_its_name() -> None:
    with pytest.raises(UserError) as caught:
        InputTexts(("a", "b")).renamed(["x"])
    assert str(caught.value) == (
        "--text-column is given 1 times; give it 2 times, with the file's names for the columns a, b, in this order"
    )

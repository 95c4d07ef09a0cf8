"""Texts to label, from Python or any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.errors import UserError
from peftsearch.predict.input import InputTexts, read_input

TEXT, PAIR = InputTexts(("text",)), InputTexts(("a", "b"))


def read(file: Path, inputs: InputTexts) -> list[tuple[str, ...]]:
    return [inputs.of(row) for row in read_input(file, inputs)[0]]


def test_a_line_is_a_text(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_text("\ufeffone, two\n\n  three\n", encoding="utf-8")
    assert read(file, TEXT) == [("one, two",), ("  three",)]
    assert read(file, InputTexts(("text",), strip=True)) == [("one, two",), ("three",)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("inside", [*map(chr, (0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029))], ids=ascii)
def test_only_line_ends_end_a_line(tmp_path: Path, inside: str, end: str) -> None:
    (file := tmp_path / "a.txt").write_bytes(f"one{inside}two{end}three{end}".encode())
    assert read(file, TEXT) == [(f"one{inside}two",), ("three",)]


def test_a_guessed_encoding_is_noted(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_bytes("Gr\xfc\xdfe aus K\xf6ln, sch\xf6n und f\xfcr B\xe4ume".encode("cp1252"))
    assert read_input(file, TEXT)[1]


def test_pairs_have_a_tab_between_them(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_text("one\ttwo\nthree\tfour\n")
    assert read(file, PAIR) == [("one", "two"), ("three", "four")]
    file.write_text("one\ttwo\nthree\n")
    with pytest.raises(UserError, match="line 2 is not a pair; write two texts with a tab between them"):
        read(file, PAIR)


def test_columns_of_a_table(tmp_path: Path) -> None:
    (file := tmp_path / "a.jsonl").write_text('{"b": "two", "a": "one"}\n{"a": "three", "b": "four"}\n')
    assert read(file, PAIR) == [("one", "two"), ("three", "four")]


@pytest.mark.parametrize(
    ("columns", "said"),
    [(("txt",), "no column 'txt'; columns: a, b"), (("b",), "row 2 has a blank text; fill it or delete the row")],
)
def test_what_is_wrong_is_said(tmp_path: Path, columns: tuple[str, ...], said: str) -> None:
    (file := tmp_path / "a.jsonl").write_text('{"a": "one", "b": "two"}\n{"a": "three", "b": null}\n')
    with pytest.raises(UserError) as caught:
        read(file, InputTexts(columns))
    assert str(caught.value) == f"--file {file}: {said}"


def test_no_such_file() -> None:
    with pytest.raises(UserError) as caught:
        read(Path("nowhere.txt"), TEXT)
    assert str(caught.value) == "--file nowhere.txt: no such file"


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

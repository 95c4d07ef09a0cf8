"""Texts to label, from any file."""

from __future__ import annotations

from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.export.predict_input import read_input


def test_a_line_is_a_text(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_text("\ufeffone, two\n\n  three\n", encoding="utf-8")
    assert read_input(file, ("text",)) == ["one, two", "three"]


def test_pairs_have_a_tab_between_them(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_text("one\ttwo\nthree\tfour\n")
    assert read_input(file, ("a", "b")) == [("one", "two"), ("three", "four")]
    file.write_text("one\ttwo\nthree\n")
    with pytest.raises(UserError, match="line 2 is not a pair; write two texts with a tab between them"):
        read_input(file, ("a", "b"))


def test_columns_of_a_table(tmp_path: Path) -> None:
    (file := tmp_path / "a.jsonl").write_text('{"b": "two", "a": "one"}\n{"a": "three", "b": "four"}\n')
    assert read_input(file, ("a", "b")) == [("one", "two"), ("three", "four")]


@pytest.mark.parametrize(
    ("columns", "said"),
    [(("txt",), "no column 'txt'; columns: a, b"), (("b",), "row 2 has a blank text; fill it or delete the row")],
)
def test_what_is_wrong_is_said(tmp_path: Path, columns: tuple[str, ...], said: str) -> None:
    (file := tmp_path / "a.jsonl").write_text('{"a": "one", "b": "two"}\n{"a": "three", "b": null}\n')
    with pytest.raises(UserError) as caught:
        read_input(file, columns)
    assert str(caught.value) == f"--file {file}: {said}"


def test_no_such_file() -> None:
    with pytest.raises(UserError) as caught:
        read_input(Path("nowhere.txt"), ("text",))
    assert str(caught.value) == "--file nowhere.txt: no such file"

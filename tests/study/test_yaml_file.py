from __future__ import annotations

from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.study.problems import Problems
from peftsearch.study.yaml_file import parse_document, read_document


def read(tmp_path: Path, text: str | bytes) -> object:
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_document(path, Problems("x.yaml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("2E3", 2000.0),
        ("-1.5e-3", -0.0015),
        (".5e1", 5.0),
        ("12", 12),
        ("1.0e-5", 1e-5),
        ("'1e-5'", "1e-5"),
        ("e5", "e5"),
        ("1e5x", "1e5x"),
        ("2024-01-31", "2024-01-31"),
        ("true", True),
    ],
)
def test_scalars(text, value):
    found = parse_document(f"a: {text}", Problems("x.yaml"))["a"]
    assert found == value
    assert type(found) is type(value)


def test_duplicate_keys_at_any_depth():
    problems = Problems("x.yaml")
    parse_document("a: {b: [{c: 1, c: 2}], b: 3}\na: 4\nd: 1", problems)
    assert problems.found == [
        "x.yaml: a.b[0].c: is written twice; keep one",
        "x.yaml: a.b: is written twice; keep one",
        "x.yaml: a: is written twice; keep one",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "x.yaml: line 1, column 6: expected ',' or ']', but got '<stream end>'"),
        ("a: b\nc: d: e", "x.yaml: line 2, column 5: mapping values are not allowed here"),
        ("a:\n\t- b", "x.yaml: line 2, column 1: found character '\\t' that cannot start any token"),
        ("a: *b", "x.yaml: line 1, column 4: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2", "x.yaml: line 2, column 1: but found another document"),
    ],
)
def test_syntax_errors_are_one_line_with_their_place(tmp_path, text, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert str(error.value) == message


def test_nothing_but_plain_data(tmp_path):
    with pytest.raises(UserError, match=r"x\.yaml: line 1, column 4: could not determine a constructor for the tag"):
        read(tmp_path, "a: !!python/object/apply:os.getcwd []")


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"^x\.yaml: cannot be read: 'utf-8' codec can't decode"):
        read(tmp_path, b"\xff\xfe\x00a")
    with pytest.raises(UserError, match=r"^x\.yaml: cannot be read: .*No such file"):
        read_document(tmp_path / "none.yaml", Problems("x.yaml"))


def test_aliases_of_aliases_do_not_explode():
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert len(parse_document("\n".join(lines), Problems("x.yaml"))) == 30

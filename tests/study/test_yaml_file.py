from __future__ import annotations

from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.study.mistakes.problems import Problems
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
        ("false", False),
        ("True", True),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("0111", "0111"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("1:2.5", "1:2.5"),
        ("=", "="),
        ("0", 0),
        ("-7", -7),
        ("1.", 1.0),
        (".inf", float("inf")),
        ("~", None),
        ("!!int 0111", 111),
    ],
)
def test_scalars(text, value):
    found = parse_document(f"a: {text}", Problems("x.yaml"))["a"]
    assert found == value
    assert type(found) is type(value)


def test_class_names_stay_what_is_written():
    text = (
        "data: {drop_labels: [no, 0111, 12:30, true, null, 1.0, 1e5], files: {map_labels: {007: Y, off: .5, 'a': 1}}}"
    )
    data = parse_document(text, Problems("x.yaml"))["data"]
    assert data["drop_labels"] == ["no", "0111", "12:30", "true", "null", "1.0", "1e5"]
    assert data["files"]["map_labels"] == {"007": "Y", "off": ".5", "a": "1"}
    assert parse_document("{seed: &seed 5, drop_labels: [*seed, ]}", Problems("x.yaml")) == {
        "seed": 5, "drop_labels": ["5"],
    }  # fmt: skip
    assert parse_document("map_labels: {a: }", Problems("x.yaml")) == {"map_labels": {"a": None}}


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
        ("a: [1", "x.yaml: line 1, column 4: the [ that opens here is never closed; add ]"),
        (
            "a: b\nc: d: e",
            "x.yaml: line 2, column 5: a text with a colon in it is no plain text in YAML; "
            'put the text in quotes, c: "d: e"',
        ),
        ("a:\n\t- b", "x.yaml: line 2, column 1: a tab stands here, where YAML takes none; indent with spaces"),
        ("a: *b", "x.yaml: line 1, column 4: no anchor &b stands above; a text that begins with * must be in quotes"),
        (
            "a: 1\n---\nb: 2",
            "x.yaml: line 2, column 1: a second document begins here; a study file holds one, so keep one",
        ),
        ("a: !!set {b}", "x.yaml: line 1, column 4: the tag '!!set' is not for plain data"),
        ("a: !!binary aGk=", "x.yaml: line 1, column 4: the tag '!!binary' is not for plain data"),
        ("a: 1\nb: !!int x", "x.yaml: no YAML that can be read: invalid literal for int() with base 10: 'x'"),
        ("a: &a [*a]", "x.yaml: line 1, column 4: an alias stands within what it repeats"),
        ('a: "b\\0"', "x.yaml: line 1, column 4: '\\x00' is no character that text may hold"),
        ('a: ["\\ud83d"]', "x.yaml: line 1, column 5: '\\ud83d' is no character that text may hold"),
        ("[" * 10_000, "x.yaml: line 1, column 32: more than 30 levels within each other"),
        ("- " * 10_000, "x.yaml: line 1, column 63: more than 30 levels within each other"),
        ("a: " + "{b: " * 10_000, "x.yaml: line 1, column 121: more than 30 levels within each other"),
        ("a: b\n" * 10_000_000, "x.yaml: is larger than a study file may be, 100,000 characters"),
    ],
)
def test_syntax_errors_are_one_line_with_their_place(tmp_path, text, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert str(error.value) == message


def test_nothing_but_plain_data(tmp_path):
    with pytest.raises(UserError, match=r"x\.yaml: line 1, column 4: the tag '!!python/object/apply:os.getcwd' is not"):
        read(tmp_path, "a: !!python/object/apply:os.getcwd []")


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"^x\.yaml: cannot be read: 'utf-8' codec can't decode"):
        read(tmp_path, b"\xff\xfe\x00a")
    with pytest.raises(UserError, match=r"^x\.yaml: cannot be read: .*No such file"):
        read_document(tmp_path / "none.yaml", Problems("x.yaml"))
    with pytest.raises(UserError, match=r"^x\.yaml: cannot be read: .*Is a directory"):
        read_document(tmp_path, Problems("x.yaml"))


LISTS = "\n".join(["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)])
MAPPINGS = LISTS.replace("[x, x]", "{x: 1}").replace("[", "{k: [").replace("]", "]}")
MERGES = "\n".join(
    ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 30)]
)
LONG = f"a: &a {'x' * 20_000}\nb: [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]"


@pytest.mark.parametrize("bomb", [LISTS, MAPPINGS, MERGES, LONG], ids=["lists", "mappings", "merges", "long text"])
def test_aliases_of_aliases_do_not_explode(tmp_path, bomb):
    with pytest.raises(
        UserError, match=r"^x\.yaml: line \d+, column \d+: with its aliases written out it has more than 100,000 chara"
    ):
        read(tmp_path, bomb)


def test_aliases_and_merges_are_read(tmp_path):
    assert read(tmp_path, "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a") == {
        "a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 2},
    }  # fmt: skip

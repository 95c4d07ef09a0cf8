from __future__ import annotations

import random
import unicodedata
from pathlib import Path
from typing import Any

import datasets
import pytest

from peftsearch.core.errors import UserError
from tests.helpers.files import json_lines, prepare, rows


def error(folder: Path, source: str, **section: Any) -> str:
    with pytest.raises(UserError) as caught:
        prepare(folder, source, **section)
    return str(caught.value)


def labelled(*labels: Any, count: int = 30) -> list[dict[str, Any]]:
    """Rows with these labels in turn, and the text that tells which."""
    return [{"text": f"text {i} of {labels[i % len(labels)]}", "label": labels[i % len(labels)]} for i in range(count)]


LISTS = "is a list: a row has exactly one label (data with several labels a row is not supported)"
WHOLE = "is a number that is not whole: a label is a class (regression is not supported); put values into classes"


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (["joy"], f"['joy'] {LISTS}"),
        ([], f"[] {LISTS}"),
        ([1, 0, 1], f"[1, 0, 1] {LISTS}"),
        ({"emotion": "joy"}, "{'emotion': 'joy'} is a mapping: name a column with one label a row"),
        (0.5, f"0.5 {WHOLE}"),
        (float("inf"), f"inf {WHOLE}"),
    ],
)
def test_what_is_no_label(tmp_path: Path, label: Any, said: str) -> None:
    """Wherever it stands among good labels, or if all are like it."""
    for odd in ([label], ["good", "bad", label]):
        json_lines(tmp_path / "a.jsonl", labelled(*odd))
        assert error(tmp_path, "a.jsonl") == f"data.label: column 'label' in a.jsonl, row {len(odd)}: {said}"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("['joy', 'anger']", "['joy']"), f"\"['joy', 'anger']\" {LISTS}"),
        (('["joy"]', "sad"), f"'[\"joy\"]' {LISTS}"),
        (("(1, 0)", "(0, 1)"), f"'(1, 0)' {LISTS}"),
        (("3.8", "0.25", "4.0"), f"'3.8' {WHOLE}"),
    ],
)
def test_lists_and_fractions_that_were_written_as_text(tmp_path: Path, labels: tuple[str, ...], said: str) -> None:
    json_lines(tmp_path / "a.jsonl", labelled(*labels))
    assert error(tmp_path, "a.jsonl") == f"data.label: column 'label' in a.jsonl, row 1: {said}"
    names = {label: f"class {place}" for place, label in enumerate(labels)}
    assert prepare(tmp_path, "a.jsonl", map_labels=names).labels == tuple(names.values())


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ((True, False), ("False", "True")),
        ((1, 0, 10), ("0", "1", "10")),
        ((1.0, 2.0, None), ("1", "2")),
        ((1, "2"), ("1", "2")),
        (("1.0", "2.0"), ("1.0", "2.0")),
        (("v1.2", "1.5"), ("1.5", "v1.2")),
        (("[sic]", "(none)"), ("(none)", "[sic]")),
        (("no", "0111", "12:30"), ("0111", "12:30", "no")),
    ],
)
def test_what_is_a_label(tmp_path: Path, labels: tuple[Any, ...], classes: tuple[str, ...]) -> None:
    json_lines(tmp_path / "a.jsonl", labelled(*labels, count=60))
    assert prepare(tmp_path, "a.jsonl").labels == classes


@pytest.mark.parametrize("key", ["drop_labels", "map_labels"])
@pytest.mark.parametrize(
    ("written", "said"),
    [("dogg", "did you mean 'dog'?"), ("True", "valid: cat, dog, sun"), ("Cat", "did you mean 'cat'?")],
)
def test_a_class_that_no_row_has(tmp_path: Path, key: str, written: str, said: str) -> None:
    json_lines(tmp_path / "a.jsonl", rows(30))
    given = {"drop_labels": [written], "map_labels": {written: "x"}}[key]
    assert error(tmp_path, "a.jsonl", **{key: given}) == f"data.{key}: no class {written!r}; {said}"


def test_a_class_that_is_dropped_may_be_renamed_too(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(30))
    assert prepare(tmp_path, "a.jsonl", drop_labels=["sun"], map_labels={"sun": "x", "cat": "y"}).labels == ("dog", "y")


WORDS = ["Größe", "café", "naïve", "Ångström", "한국어", "ガラス", "Việt", "ёлка", "מָקוֹם", "प्रयोग"]


def test_one_word_in_two_unicode_forms_is_one_class(tmp_path: Path) -> None:
    draw = random.Random(1)
    composed = [unicodedata.normalize("NFC", word) for word in WORDS]
    forms = [unicodedata.normalize(draw.choice(("NFC", "NFD")), word) for word in composed * 12]
    json_lines(tmp_path / "a.jsonl", [{"text": f"text {i}", "label": label} for i, label in enumerate(forms)])
    dropped = unicodedata.normalize("NFD", composed[0])
    data = prepare(tmp_path, "a.jsonl", drop_labels=[dropped])
    assert set(data.labels) == set(composed[1:])
    assert len(data.labels) == len(composed) - 1


def test_classes_that_differ_in_case_only_are_told(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(60, ["Good", "good", "bad"]))
    data = prepare(tmp_path, "a.jsonl")
    assert data.labels == ("Good", "bad", "good")
    assert data.notes[0] == "classes that differ in case or spaces only: Good, good; data.map_labels joins them"


def parquet_with_ids(path: Path, values: list[Any], names: tuple[str, ...] = ("no", "yes")) -> None:
    """A Parquet file whose label column holds `values` and is declared to hold class ids."""
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(names))})
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": [f"text {i}" for i in range(len(values))], "label": values})
    pq.write_table(table.replace_schema_metadata(features.arrow_schema.metadata), path)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2, "2 is not the id of a class, 0 … 1; leave such rows out with data.drop_labels: [2]"),
        (-1, "-1 is not the id of a class, 0 … 1; leave such rows out with data.drop_labels: [-1]"),
        (-2, "-2 is not the id of a class, 0 … 1; leave such rows out with data.drop_labels: [-2]"),
    ],
)
def test_an_id_without_a_name(tmp_path: Path, value: int, said: str) -> None:
    parquet_with_ids(tmp_path / "a.parquet", [0, 1] * 20 + [value])
    assert error(tmp_path, "a.parquet") == f"data.label: a.parquet, row 41: {said}"
    assert prepare(tmp_path, "a.parquet", drop_labels=[str(value)]).labels == ("no", "yes")


@pytest.mark.parametrize("value", ["yes", "1", 0.5, True])
def test_an_id_that_is_no_number(tmp_path: Path, value: Any) -> None:
    parquet_with_ids(tmp_path / "a.parquet", [value] * 20)
    assert error(tmp_path, "a.parquet") == (
        f"data.label: a.parquet, row 1: {value!r} is not the id of a class, 0 … 1; correct the file"
    )


def test_half_an_emoji_is_mended_and_counted(tmp_path: Path) -> None:
    """A tweet that was cut, and a NUL: no file and no tokenizer takes them."""
    (tmp_path / "a.jsonl").write_text(
        "".join(
            f'{{"text": "text {i}{odd}", "label": "{"ab"[i % 2]}"}}\n'
            for i, odd in enumerate(["\\ud83d", "\\ude00", "\\u0000", "\\ud83d\\ude00"] + [""] * 40)
        )
    )
    data = prepare(tmp_path, "a.jsonl")
    assert data.notes[0] == "train: 3 rows with half a character or NUL, shown as \ufffd"
    found = {text for split in data.splits.values() for text in split["text"]}
    assert {"text 0\ufffd", "text 1\ufffd", "text 2\ufffd", "text 3😀", "text 4"} <= found


NUMBERS = "these look like numbers: classification needs classes"
TEXTS = "these look like texts, not like classes"
IDS = "nearly every row has its own, as with an id"


@pytest.mark.parametrize(
    ("values", "like"),
    [
        ([str(i) for i in range(40)], NUMBERS),
        ([i * 7 for i in range(40)], NUMBERS),
        ([f"row-{i}" for i in range(40)], IDS),
        ([f"a{i:x}-b{i * 31:x}" for i in range(37)] + ["a1-b1f"] * 3, IDS),
        ([f"this is what number {i} says" for i in range(40)], TEXTS),
    ],
)
def test_a_column_of_which_nearly_every_row_has_its_own_value(tmp_path: Path, values: list[Any], like: str) -> None:
    json_lines(tmp_path / "a.jsonl", [{"text": f"text {i}", "label": value} for i, value in enumerate(values)])
    count = len({str(value) for value in values})
    assert error(tmp_path, "a.jsonl") == (
        f"data.label: {count} values of 'label' in 40 rows: {like}; name the column of the classes"
    )
    json_lines(tmp_path / "b.jsonl", [{"text": f"word{i}", "label": f"x{i}"} for i in range(15)])
    listed = ", ".join(sorted(f"x{i}" for i in range(15))[:10])
    json_lines(tmp_path / "c.jsonl", rows(9))
    files = {"train": "a.jsonl", "validation": "b.jsonl", "test": "c.jsonl"}
    assert error(tmp_path, files) == (
        f"data.label: validation has 15 rows of classes that train lacks: {listed} and 5 more; {like}; correct the "
        "files, or name the classes in data.drop_labels or data.map_labels"
    )


@pytest.mark.parametrize("classes", [2, 3, 8, 20])
def test_classes_are_not_taken_for_ids(tmp_path: Path, classes: int) -> None:
    for kind in ("{}", "row-{}", "this is class number {}"):
        json_lines(tmp_path / "a.jsonl", labelled(*(kind.format(i) for i in range(classes)), count=6 * classes))
        assert len(prepare(tmp_path, "a.jsonl").labels) == classes

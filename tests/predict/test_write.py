"""Labelled rows in every format: all columns in their order, whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.errors import UserError
from peftsearch.predict.write import WRITERS, check_out, kind_of, written_whole

ROWS = [
    {"n": 1, "text": 'a "b", c\nd', "label": "x", "probability": 0.5},
    {"n": None, "text": "é\tü", "label": None, "probability": None},
]
COLUMNS, ADDED = ("n", "text", "label", "probability"), ("label", "probability")


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def write(out: Path, *windows: list[dict[str, Any]], columns: tuple[str, ...] = COLUMNS) -> None:
    with written_whole(out) as file:
        writer = WRITERS[kind_of(out)](file, columns, ADDED, None)
        try:
            for window in windows:
                writer.write(window)
        except UserError:
            writer.abandon()
            raise
        writer.close()


def read_back(out: Path) -> list[dict[str, Any]]:
    import pandas

    content = gzip.decompress(out.read_bytes()) if out.suffix == ".gz" else out.read_bytes()
    match kind_of(out):
        case ".json":
            return list(json.loads(content))
        case ".jsonl" | ".ndjson":
            return [json.loads(line) for line in content.decode().split("\n")[:-1]]
        case ".parquet":
            import pyarrow.parquet as pq

            return list(pq.read_table(out).to_pylist())
    frame = pandas.read_csv(out, sep="," if ".csv" in out.name else "\t", dtype={"n": "Int64"}, quoting=0)
    return [{key: None if pandas.isna(v) else v for key, v in row.items()} for row in frame.to_dict("records")]


@pytest.mark.parametrize("name", [f"out{kind}" for kind in WRITERS if kind != ".txt"] + ["out.csv.gz", "out.jsonl.gz"])
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, ROWS[:1], ROWS[1:])
    assert read_back(tmp_path / name) == ROWS
    assert list(read_back(tmp_path / name)[0]) == list(COLUMNS)
    write(tmp_path / name)
    assert read_back(tmp_path / name) == []
    assert names(tmp_path) == [name]


def test_text_holds_a_label_on_each_line(tmp_path: Path) -> None:
    write(tmp_path / "out.txt", ROWS, [{**ROWS[0], "label": "two\nlines"}])
    assert (tmp_path / "out.txt").read_text() == "x\n\ntwo lines\n"


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    write(tmp_path / "out.jsonl", [{"n": [float("nan"), {"a": float("inf")}], "text": "x"}])
    assert read_back(tmp_path / "out.jsonl") == [{"n": [None, {"a": None}], "text": "x"}]


NEW_COLUMN = "a row has a new column 'new' below the header; write JSON Lines: --out FILE.jsonl"


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("a.csv", {"n": 1, "new": 2}, NEW_COLUMN),
        ("a.parquet", {"n": "one"}, "a row does not fit the types of the column: "),
    ],
)
def test_a_row_that_the_format_has_no_place_for(tmp_path: Path, name: str, row: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        write(tmp_path / name, ROWS, [row])
    assert str(caught.value).startswith(said)
    assert names(tmp_path) == [], "part of a file was left"


def test_an_interrupted_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    (out := tmp_path / "a.csv").write_text("earlier")

    def interrupted() -> None:
        with written_whole(out) as file:
            file.write(b"half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (out.read_text(), names(tmp_path)) == ("earlier", ["a.csv"])


def test_modes_and_links(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.csv", ROWS)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o640
    (link := tmp_path / "link.csv").symlink_to("a.csv")
    write(link)
    assert link.is_symlink()
    assert (tmp_path / "a.csv").read_text() == "n,text,label,probability\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.csv", "--out {}: is there already; to replace it, add --overwrite"),
        ("folder.csv", "--out {}: is a folder; name a file in it"),
        ("a.docx", "--out {}: has no known format; valid: .csv, .json, .jsonl, .ndjson, .parquet, .tsv, .txt, "
         "each also .gz, .bz2, .xz"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError) as caught:
        check_out(tmp_path / name, overwrite=False)
    assert str(caught.value) == said.format(tmp_path / name)
    check_out(tmp_path / "a.csv", overwrite=True)
    check_out(tmp_path / "new.csv", overwrite=False)

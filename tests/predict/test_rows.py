"""Rows of files of every kind, packed or not, in order, with what is wrong beside them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.errors import UserError
from peftsearch.predict import stream as stream_module
from peftsearch.predict.input import InputTexts
from peftsearch.predict.rows import READERS, FileRow, read_rows
from peftsearch.predict.stream import opened, reading
from tests.helpers.sheets import ods, xlsx

TEXT, PAIR = InputTexts(("text",)), InputTexts(("a", "b"))


def read(file: Path, inputs: InputTexts = TEXT, encoding: str | None = None, kind: str | None = None) -> list[FileRow]:
    with opened(file, tuple(READERS), kind) as stream, reading(file.name):
        return list(read_rows(stream, inputs, encoding).rows)


def said(file: Path, inputs: InputTexts = TEXT, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(file, inputs, **options)
    return str(caught.value)


def values(rows: list[FileRow]) -> list[dict[str, Any]]:
    assert [row.problem for row in rows] == [None] * len(rows)
    return [row.values for row in rows]


@pytest.fixture
def small_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is too large to be looked at as a whole."""
    monkeypatch.setattr(stream_module, "HEAD", 16)


def test_a_line_is_a_text_and_keeps_its_place(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_text("\ufeffone, two\n\n  three\n\n\n", encoding="utf-8")
    assert [(row.place, row.values["text"]) for row in read(file)] == [
        ("line 1", "one, two"),
        ("line 2", ""),
        ("line 3", "  three"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("inside", [*map(chr, (0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029))], ids=ascii)
def test_only_line_ends_end_a_line(tmp_path: Path, inside: str, end: str) -> None:
    (file := tmp_path / "a.txt").write_bytes(f"one{inside}two{end}three{end}".encode())
    assert values(read(file)) == [{"text": f"one{inside}two"}, {"text": "three"}]


def test_pairs_have_a_tab_between_them(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_text("one\ttwo\nthree\nfour\tfive\n")
    rows = read(file, PAIR)
    assert [row.values for row in rows] == [
        {"a": "one", "b": "two"},
        {"a": "three", "b": ""},
        {"a": "four", "b": "five"},
    ]
    assert [row.problem for row in rows] == [None, "not a pair; write two texts with a tab between them", None]


PACKED: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def zipped(content: bytes, name: str) -> bytes:
    with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        archive.writestr("__MACOSX/junk", "x")
    return packed.getvalue()


@pytest.mark.parametrize("packing", [*PACKED, ".zip"])
@pytest.mark.parametrize("kind", READERS)
def test_every_kind_packed_or_not(tmp_path: Path, kind: str, packing: str) -> None:
    rows = [{"text": "one, two", "n": "1"}, {"text": 'three \u2028 "é"', "n": "2"}]
    content = as_kind(kind, rows)
    pack = PACKED.get(packing, lambda plain: zipped(plain, f"a{kind}"))
    (plain := tmp_path / f"a{kind}").write_bytes(content)
    (packed := tmp_path / f"a{kind}{packing}").write_bytes(pack(content))
    expected = [{"text": row["text"]} for row in rows] if kind == ".txt" else rows
    assert values(read(plain)) == values(read(packed)) == expected


def as_kind(kind: str, rows: list[dict[str, str]]) -> bytes:
    import pandas

    frame = pandas.DataFrame(rows)
    if kind == ".txt":
        return "".join(f"{row['text']}\n" for row in rows).encode()
    if kind in (".xlsx", ".ods"):
        sheet = {"S": [list(rows[0]), *(list(row.values()) for row in rows)]}
        return xlsx(sheet) if kind == ".xlsx" else ods(sheet)
    if kind == ".parquet":
        frame.to_parquet(packed := io.BytesIO(), index=False)
        return packed.getvalue()
    if kind in (".csv", ".tsv"):
        return str(frame.to_csv(sep="," if kind == ".csv" else "\t", index=False)).encode()
    lines = [json.dumps(row) for row in rows]
    return ("[" + ",\n".join(lines) + "]" if kind == ".json" else "\n".join(lines)).encode()


def test_what_is_wrong_with_a_row_stays_beside_it(tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_text('text,n\none,1\ntwo\n"th""ree\n!",2\nfour,3,4\nfive,5,\n')
    rows = read(file)
    shape = "put fields that hold commas in quotation marks"
    assert [(row.place, row.values, row.problem) for row in rows] == [
        ("line 2", {"text": "one", "n": "1"}, None),
        ("line 3", {"text": "two", "n": ""}, f"1 fields, but the first line has 2; {shape}"),
        ("line 5", {"text": 'th"ree\n!', "n": "2"}, None),
        ("line 6", {"text": "four", "n": "3,4"}, f"3 fields, but the first line has 2; {shape}"),
        ("line 7", {"text": "five", "n": "5"}, None),
    ]
    (file := tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": \n[1]\n\n{"text": "a", "text": "b"}\n')
    assert [(row.place, row.values, row.problem) for row in read(file)] == [
        ("line 1", {"text": "one"}, None),
        ("line 2", {}, "not JSON (Expecting value)"),
        ("line 3", {}, "not an object with the columns as keys"),
        ("line 5", {}, "the key 'text' is written twice in one object; keep one"),
    ]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("sep=;\ntext;n\na, b;1\n", {"text": "a, b", "n": "1"}),
        ("n;text\n1;a, b\n", {"n": "1", "text": "a, b"}),
        ('"text","n"\n"1","a, b","2"\n', {"": "1", "text": "a, b", "n": "2"}),
        (",,text\n1,2,a\n", {"": "1", "Unnamed: 1": "2", "text": "a"}),
        ('text,n\n"a \\"b\\" c",1\n', {"text": 'a "b" c', "n": "1"}),
    ],
)
def test_the_shapes_that_training_reads(tmp_path: Path, content: str, columns: dict[str, str]) -> None:
    (file := tmp_path / "a.csv").write_text(content)
    assert values(read(file)) == [columns]
    assert list(read(file)[0].values) == list(columns)


def test_a_parquet_file_keeps_its_types(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["a", None], "n": pa.array([1, None], pa.int8()), "list": [[1.5], []]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert values(read(tmp_path / "a.parquet")) == table.to_pylist()


def test_a_guessed_encoding_is_noted(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_bytes("Grüße aus Köln, schön und für Bäume".encode("cp1252"))
    with opened(file, tuple(READERS)) as stream:
        assert [row.values["text"] for row in read_rows(stream, TEXT).rows] == ["Grüße aus Köln, schön und für Bäume"]
        assert "which is a guess (--encoding overrides it)" in stream.notes[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
def test_a_large_file_is_decoded_as_it_is_read(tmp_path: Path, small_head: None, encoding: str) -> None:
    lines = [f"строка {i}: да, это она" for i in range(40)]
    (file := tmp_path / "a.txt").write_bytes("\n".join(lines).encode(encoding))
    named = encoding if encoding == "cp1251" else None
    assert [row.values["text"] for row in read(file, encoding=named)] == lines


def test_stray_bytes_of_a_large_file_are_told(tmp_path: Path, small_head: None) -> None:
    (file := tmp_path / "a.txt").write_bytes("ein Bäcker, ein Müller\n".encode() * 9 + b"caf\xe9 \x93x\x94\n")
    with opened(file, tuple(READERS)) as stream:
        rows = list(read_rows(stream, TEXT).rows)
        assert stream.notes == ["a.txt is UTF-8 but for 3 bytes, read as Windows-1252, the first in line 10"]
    assert rows[-1].values == {"text": "café “x”"}


def test_a_large_file_in_another_encoding_needs_its_name(tmp_path: Path, small_head: None) -> None:
    (file := tmp_path / "a.txt").write_bytes("Ещё одна строка текста\n".encode("cp1251") * 9)
    assert said(file) == "--file a.txt: is not UTF-8; name its encoding, as in --encoding cp1252"


def test_a_large_file_is_read_piece_by_piece(tmp_path: Path, small_head: None) -> None:
    (file := tmp_path / "a.csv").write_text("text,n\n" + "some words in a row,1\n" * 20_000)
    with opened(file, tuple(READERS)) as stream:
        rows = read_rows(stream, TEXT).rows
        assert next(rows).values == {"text": "some words in a row", "n": "1"}
        assert stream.size is not None
        assert stream.position() < 0.4 * stream.size
        assert sum(1 for _ in rows) == 19_999


FORMATS = (
    "has no known format; valid: .csv, .json, .jsonl, .ndjson, .ods, .parquet, .tsv, .txt, .xlsx, "
    "each also .gz, .bz2, .xz, .zip; --format overrides it"
)
CUT = "cannot be unpacked: Compressed file ended before the end-of-stream marker was reached"
NO_TEXT = "no column 'text'; columns: body, n; name the column of the text with --text-column"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"body,n\nx,1\n", NO_TEXT),
        (
            "a.csv",
            b"a film as good as can be,good\na long and very dull one,bad\nanother one that is good,good\n",
            "no column 'text'; columns: a film as good as can be, good; the first row of a.csv (a film as good as can "
            "be, good) looks like texts and not like names; write the columns' names above it, or name the column of "
            "the text with --text-column",
        ),
        ("a.csv", b"\x1f\x8b....", "is a gzip file by its content, not text in columns; name the data itself"),
        ("a.csv.gz", b"no gzip", "cannot be unpacked: Not a gzipped file (b'no')"),
        ("a.csv.gz", gzip.compress(b"text\n" + bytes(range(32, 99)) * 99)[:-30], CUT),
        ("a.parquet", b"PAR1", None),
        ("a.docx", b"x", FORMATS),
        ("a.json", b"[{]", "line 1: Expecting property name enclosed in double quotes"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, name: str, content: bytes, expected: str | None) -> None:
    (file := tmp_path / name).write_bytes(content)
    line = said(file)
    assert line.startswith("--file ")
    assert "\n" not in line
    assert name in line
    assert expected is None or line.endswith(expected)


def test_a_bomb_is_refused(tmp_path: Path, small_head: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "PART", 1 << 18)
    (file := tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"a" * (4 << 20)))
    assert said(file) == "--file a.txt.gz: unpacks to over 500 times its size, as no table does"


def test_no_such_file() -> None:
    assert said(Path("nowhere.txt")) == "--file nowhere.txt: no such file"

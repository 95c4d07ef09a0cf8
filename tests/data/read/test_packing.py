from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.read import packing
from peftsearch.data.read.files import Location, read_location
from peftsearch.data.read.formats import Request

CSV = b"text,label\na,x\nb,y\n"
COLUMNS = {"text": ["a", "b"], "label": ["x", "y"]}


def archive(**members: bytes) -> bytes:
    """A zip archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def read(folder: Path, name: str, content: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    (folder / name).write_bytes(content)
    table = read_location(Location(str(folder / name)), Request(("text", "label")))
    return dict(table.columns), table.notes


def error(folder: Path, name: str, content: bytes) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, name, content)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", archive(**{"data/reviews.csv": CSV})),
        (
            "a.zip",
            archive(**{"reviews.csv": CSV, "__MACOSX/._reviews.csv": b"x", ".DS_Store": b"x", "d/.DS_Store": b""}),
        ),
        ("a.zip", archive(**{"Thumbs.db": b"x", "reviews.CSV": CSV})),
        ("a.zip", archive(**{"reviews.csv.gz": gzip.compress(CSV)})),
        ("a.csv.gz", gzip.compress(CSV)),
        ("a.csv.gz.bz2", bz2.compress(gzip.compress(CSV))),
        ("a.csv.zip", archive(**{"b.csv.xz": lzma.compress(CSV)})),
        ("a.zip", archive(**{"b.zip": archive(**{"c.zip": archive(**{"d.csv": CSV})})})),
        ("a.csv.zip", archive(**{"whatever": CSV})),
    ],
)
def test_what_can_be_unpacked(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(tmp_path, name, content) == (COLUMNS, ())


def test_what_is_left_out_of_an_archive_is_told(tmp_path: Path) -> None:
    content = archive(**{"README.md": b"x", "reviews.csv": CSV, "docs/LICENSE": b"y"})
    assert read(tmp_path, "a.zip", content) == (COLUMNS, ("left out of a.zip: README.md, docs/LICENSE",))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.zip", archive(**{"train.csv": CSV, "test.csv": CSV}), "a.zip holds 2 files (train.csv, test.csv); unpack "
         "it and name the folder, or a file for each split: source: {train: FILE, test: FILE}"),
        ("a.zip", archive(**{f"{i}.csv": CSV for i in "012345678"}), "a.zip holds 9 files (0.csv, 1.csv, 2.csv, 3.csv, "
         "…); unpack it and name the folder, or a file for each split: source: {train: FILE, test: FILE}"),
        ("a.zip", archive(), "a.zip holds 0 files (); unpack it and name the folder, or a file for each split: source: "
         "{train: FILE, test: FILE}"),
        ("a.zip", archive(**{"x.docx": b"x"}), "a.zip has no known format (it holds x.docx); valid: .csv, .tsv, .txt, "
         ".jsonl, .ndjson, .json, .parquet, .xlsx, .ods, each also .gz, .bz2, .xz, .zip"),
        ("a.zip", b"PK\x03\x04 cut", "a.zip cannot be unpacked: File is not a zip file"),
    ],
)  # fmt: skip
def test_what_cannot_be_unpacked(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    assert error(tmp_path, name, content).startswith(f"data.source: {said}")


def test_archives_that_are_too_deep(tmp_path: Path) -> None:
    content = CSV
    for _ in range(6):
        content = gzip.compress(content)
    assert error(tmp_path, "a.csv" + ".gz" * 6, content) == (
        f"data.source: a.csv{'.gz' * 6} holds more than 3 archives within each other; unpack it"
    )


@pytest.mark.parametrize(
    "name", ["a.csv", "a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zip", "a.zip", "a.jsonl.gz", "url"]
)
def test_what_is_too_large_is_refused_before_it_fills_the_memory(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(packing, "PART", 1 << 18)
    zeros = b"0" * (8 << 20)
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": lambda c: archive(**{"i.csv": c})}
    content = pack.get(Path(name).suffix, bytes)(zeros)
    monkeypatch.setattr(packing, "MOST_TIMES", 1 << 20)
    said = "is larger than the limit of 0.000977 GiB unpacked; keep fewer rows or columns in it"
    if name != "url":
        assert error(tmp_path, name, content) == f"data.source: {name} {said}"
        return
    import fsspec

    with fsspec.open("memory://big/a.csv", "wb") as file:
        file.write(content)
    with pytest.raises(UserError) as caught:
        read_location(Location("memory://big/a.csv"), Request(("text", "label")))
    assert str(caught.value) == f"data.source: a.csv {said}"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_what_grows_beyond_measure_is_not_unpacked_to_its_end(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "PART", 1 << 18)
    end = {gzip.compress: "gz", bz2.compress: "bz2", lzma.compress: "xz"}[pack]
    assert error(tmp_path, f"a.csv.{end}", pack(b"0" * (8 << 20))) == (
        f"data.source: a.csv.{end} unpacks to over 500 times its size, as no table does"
    )
    table = b"text,label\n" + b"".join(b"good number %d,cat\n" % i for i in range(100_000))
    assert len(read(tmp_path, f"b.csv.{end}", pack(table))[0]["text"]) == 100_000


def test_an_archive_that_lies_about_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = archive(**{"i.csv": b"0" * (8 << 20)})
    size = (8 << 20).to_bytes(4, "little")
    monkeypatch.setattr(packing, "MOST_BYTES", 1 << 20)
    assert error(tmp_path, "a.zip", content.replace(size, (9).to_bytes(4, "little"))).startswith("data.source: a.zip ")


def test_a_parquet_file_that_unfolds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dictionary and run lengths make a million long texts a few kilobytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int8()), pa.array(["long " * 20])).cast(
        pa.string()
    )
    pq.write_table(pa.table({"text": text, "label": ["x"] * 200_000}), tmp_path / "b.parquet")
    assert (tmp_path / "b.parquet").stat().st_size < 20_000
    monkeypatch.setattr(packing, "MOST_BYTES", 1 << 20)
    with pytest.raises(UserError, match=r"^data.source: b.parquet is larger than the limit of 0.000977 GiB unpacked; "):
        read_location(Location(str(tmp_path / "b.parquet")), Request(("text", "label")))


def test_a_parquet_file_and_an_object_with_one_column_twice(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array(["a"]), pa.array(["x"]), pa.array(["b"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "label", "text"]), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"^data.source: a.parquet has two columns 'text'; rename one of them$"):
        read_location(Location(str(tmp_path / "a.parquet")), Request(("text", "label")))
    assert error(tmp_path, "a.jsonl", b'{"text": "a", "label": 1}\n{"text": "a", "label": 1, "text": "b"}\n') == (
        "data.source: a.jsonl, line 2: the key 'text' is written twice in one object; keep one"
    )


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json_without_end(tmp_path: Path, name: str) -> None:
    assert error(tmp_path, name, b'{"text": ' * 100_000).endswith(("not JSON", "levels within each other"))
    assert "4300 digits" in error(tmp_path, name, b'{"text": ' + b"1" * 5000 + b"}")

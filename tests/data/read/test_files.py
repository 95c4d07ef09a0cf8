import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import peftsearch
from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.data.read.files import Location, locate, locate_in_package, read_location
from peftsearch.data.read.formats import Request
from tests.helpers.files import json_lines, rows

WANTED = Request(("text", "label"))
EXPECTED = {"text": ["cat number 0", "dog number 1"], "label": ["cat", "dog"]}


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner.csv", content)
        archive.writestr("__MACOSX/._inner.csv", b"junk")
    return buffer.getvalue()


def parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table(EXPECTED), buffer)
    return buffer.getvalue()


CONTENTS: dict[str, bytes] = {
    ".csv": b"text,label\ncat number 0,cat\ndog number 1,dog\n",
    ".tsv": b"text\tlabel\ncat number 0\tcat\ndog number 1\tdog\n",
    ".jsonl": "".join(json.dumps(row) + "\n" for row in rows(2)).encode(),
    ".json": json.dumps(rows(2)).encode(),
    ".parquet": parquet(),
}
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": zipped,
}  # fmt: skip


def read(path: Path | str) -> Table:
    return read_location(Location(str(path)), WANTED)


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("ending", CONTENTS)
def test_every_format_in_every_packing(tmp_path: Path, ending: str, packing: str) -> None:
    path = tmp_path / f"train{ending}{packing}"
    path.write_bytes(PACK[packing](CONTENTS[ending]))
    table = read(path)
    assert table.columns == EXPECTED
    assert table.name == path.name


def test_a_url_is_opened_by_fsspec() -> None:
    import fsspec

    with fsspec.open("memory://folder/train.csv.gz", "wb") as file:
        file.write(gzip.compress(CONTENTS[".csv"], mtime=0))
    assert locate("memory://folder/train.csv.gz", Path("/nowhere")) == {
        "train": Location("memory://folder/train.csv.gz")
    }
    assert read("memory://folder/train.csv.gz").columns == EXPECTED


def test_a_url_that_cannot_be_opened_hides_its_password() -> None:
    with pytest.raises(UserError) as caught:
        read("nosuchprotocol://me:secret@host/train.csv?token=secret")
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("data.source: cannot open train.csv (ValueError: ")
    assert str(caught.value).endswith("; fetch it and name the file")


CUT_GZIP = gzip.compress(b"x" * 99, mtime=0)[:-9]
"""Without the time of its making: it is part of a test's name, which every process must find the same."""


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv.gz", b"not gzip", "data.source: a.csv.gz cannot be unpacked: Not a gzipped file (b'no')"),
        ("a.csv.gz", CUT_GZIP, "data.source: a.csv.gz cannot be unpacked: Compressed file ended"),
        ("a.parquet", b"PAR1 no", "data.source: a.parquet is not a Parquet file: "),
        ("a.docx", b"", "data.source: a.docx has no known format; valid: .csv, .tsv, .txt, .jsonl, "),
        ("a.jsonl", b'{"text": 1}\n{"text"', "data.source: a.jsonl, line 2: not JSON ("),
        ("a.jsonl", b"3\n", "data.source: a.jsonl, line 1: not an object with the columns as keys"),
        ("a.json", b"[1]", "data.source: a.json must hold a list of objects with the columns as keys"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read(tmp_path / name)
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_json_lines_keep_unusual_line_separators_and_fill_gaps(tmp_path: Path) -> None:
    table = read(json_lines(tmp_path / "a.jsonl", [{"text": "one\u2028two", "label": 1}, {"text": "three"}]))
    assert table.columns == {"text": ["one\u2028two", "three"], "label": [1, None]}


def test_parquet_brings_its_class_names(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    made.to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").label_names == {"label": ("no", "yes")}


def test_a_folder_with_one_file_is_not_split(tmp_path: Path) -> None:
    json_lines(tmp_path / "reviews.jsonl", rows(2))
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "LICENSE.txt").write_text("free")
    left_out = f"left out of {tmp_path.name}: LICENSE.txt, README.md"
    assert locate(".", tmp_path) == {"train": Location(str(tmp_path / "reviews.jsonl"), (left_out,))}


def test_files_in_a_folder_are_told_apart_by_a_word_in_their_names(tmp_path: Path) -> None:
    for name in ("emotion_train.csv.gz", "emotion-dev.csv", "test.00.jsonl"):
        (tmp_path / name).write_bytes(b"")
    found = locate(".", tmp_path)
    assert {split: location.name for split, location in found.items()} == {
        "train": "emotion_train.csv.gz", "validation": "emotion-dev.csv", "test": "test.00.jsonl",
    }  # fmt: skip


@pytest.mark.parametrize("names", [("a.csv", "b.csv"), ("train1.csv", "train.csv"), ("train_test.csv", "test.csv")])
def test_files_that_cannot_be_told_apart(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError) as caught:
        locate(".", tmp_path)
    assert str(caught.value) == (
        f"data.source: which file of {tmp_path} is which split? It has {', '.join(sorted(names))}; "
        "write {train: FILE, test: FILE}"
    )


@pytest.mark.parametrize("root", ["", "train"])
def test_a_folder_per_class(tmp_path: Path, root: str) -> None:
    for label, text in (("pos", "fine"), ("neg", "bad")):
        (tmp_path / root / label).mkdir(parents=True)
        (tmp_path / root / label / "1.txt").write_text(text)
    (found,) = locate(".", tmp_path).values()
    assert read(found.path).columns == {"text": ["bad", "fine"], "label": ["neg", "pos"]}


def test_no_such_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        locate("data/a.csv", tmp_path)
    assert str(caught.value) == f"data.source: no file or folder 'data/a.csv' in {tmp_path}"
    with pytest.raises(UserError, match=r"data.source: no data file in .*; valid: .csv, .* or a folder per class"):
        locate(".", tmp_path)


def test_a_file_in_a_package_is_found_without_importing_it() -> None:
    (found,) = locate_in_package("peftsearch/resources/wordnet-nouns").values()
    assert found.name == "glosses.jsonl.gz"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "no_such_package/x.csv",
            "no package 'no_such_package' is installed here; install it, or name a file or folder",
        ),
        ("../x.csv", "no package '..' is installed here"),
        ("peftsearch/../../../x.csv", "'../../../x.csv' leads out of the package 'peftsearch'"),
        ("peftsearch/nothing.csv", f"no file or folder '{Path(peftsearch.__file__).parent / 'nothing.csv'}'"),
    ],
)
def test_a_package_path_that_leads_nowhere(source: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        locate_in_package(source)
    assert str(caught.value).startswith(f"data.source: {expected}")


def test_a_file_that_changes_has_another_identity(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "a.jsonl", rows(2))
    before = Location(str(path)).identity()
    json_lines(path, rows(3))
    assert Location(str(path)).identity() != before

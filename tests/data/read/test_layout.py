from __future__ import annotations

from pathlib import Path

import datasets
import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.base import Table
from peftsearch.data.read.files import locate, read_location
from peftsearch.data.read.formats import Request
from peftsearch.data.split_names import split_name
from tests.helpers.files import prepare, rows

WANTED = Request(("text", "label"))


def write(root: Path, *paths: str, content: str = "a text") -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content} {path}")
    return root


def tables(folder: Path) -> dict[str, Table]:
    return {split: read_location(location, WANTED) for split, location in locate(str(folder), Path()).items()}


def error(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        tables(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


SPLITS = [
    ("Train", None, "Test"), ("TRAIN", "DEV", "TEST"), ("train_data", "val_data", "test_data"),
    ("training", None, "testing"), ("20news-bydate-train", None, "20news-bydate-test"), ("train", "eval", "test"),
    ("train", "validation_matched", "test"), ("trainset", "valset", "testset"), ("my-train", "my-dev", "my-test"),
]  # fmt: skip


@pytest.mark.parametrize("names", SPLITS)
def test_folders_of_splits_never_become_classes(tmp_path: Path, names: tuple[str | None, ...]) -> None:
    expected = {split: name for split, name in zip(("train", "validation", "test"), names, strict=True) if name}
    for name in expected.values():
        write(tmp_path, *(f"{name}/{label}/{i}.txt" for label in ("cat", "dog") for i in range(3)))
    found = tables(tmp_path)
    assert list(found) == list(expected)
    for split, name in expected.items():
        assert found[split].columns["label"] == ["cat"] * 3 + ["dog"] * 3
        assert all(name in text for text in found[split].columns["text"])


@pytest.mark.parametrize("names", SPLITS)
@pytest.mark.parametrize("layout", ["{}.csv", "{}.tsv.gz", "{}.txt", "{}/data.csv", "{}/part.jsonl", "{}.JSON"])
def test_files_of_splits(tmp_path: Path, names: tuple[str | None, ...], layout: str) -> None:
    expected = {split: name for split, name in zip(("train", "validation", "test"), names, strict=True) if name}
    write(tmp_path, *(layout.format(name) for name in expected.values()))
    if layout in ("{}.txt", "{}.JSON") and not split_name(names[0] or "").plain:
        assert error(tmp_path).startswith("data.source: no data file in ")  # such files may be anything
        return
    found = {split: Path(place.path) for split, place in locate(str(tmp_path), Path()).items()}
    assert found == {split: tmp_path / layout.format(name) for split, name in expected.items()}


@pytest.mark.parametrize(
    "paths",
    [
        ("train/1.txt", "test/2.txt"),
        ("Train/1.txt", "Dev/2.txt", "Test/3.txt"),
        ("train/1.txt", "bus/2.txt", "car/3.txt"),
        ("train/a/1.txt", "bus/b/2.txt", "car/c/3.txt"),
        ("Test/cat/1.txt", "Test/dog/2.txt", "Dev/cat/3.txt"),
        ("test/cat/1.txt", "other/dog/2.txt"),
        ("train/1.txt", "test/cat/1.txt", "test/dog/1.txt"),
    ],
)
def test_a_layout_that_could_be_either_is_asked_about(tmp_path: Path, paths: tuple[str, ...]) -> None:
    write(tmp_path, *paths)
    said = error(tmp_path)
    assert said.startswith("data.source: are ")
    assert said.endswith(
        f" in {tmp_path} splits or classes? For splits write source: {{train: FOLDER, test: FOLDER}}, each with a data "
        "file or a folder per class; give the folder of a class another name (data.map_labels gives the class its own "
        "again)"
    )


@pytest.mark.parametrize("classes", [("unit-testing", "python", "java"), ("test", "praise"), ("pos", "neg", "latest")])
def test_classes_that_are_called_like_a_split(tmp_path: Path, classes: tuple[str, ...]) -> None:
    write(tmp_path, *(f"{label}/1.txt" for label in classes))
    assert sorted(tables(tmp_path)["train"].columns["label"]) == sorted(classes)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (("pos/train/1.txt", "neg/train/2.txt"), "{}/neg/train looks like a split within a class; put the classes into "
         "folders train and test"),
        (("data/train.csv",), "{0} has no data file, but {0}/data/train.csv is one; name it, or its folder"),
        (("a/x.parquet", "b/1.txt"), "{0} has no data file, but {0}/a/x.parquet is one; name it, or its folder"),
        (("test.csv",), "no file for train in {}; it has test.csv; write source: {{train: FILE, test: FILE}}"),
        (("dev.csv", "test.csv"), "no file for train in {}; it has dev.csv, test.csv; write source: {{train: FILE, "
         "test: FILE}}"),
        (("train/a.csv", "train/b.csv", "test/c.csv"), "{}/train holds 2 data files; write source: {{train: FILE, "
         "test: FILE}}"),
        (("data.csv", "test/c.csv"), "which file of {} is which split? It has data.csv, test; write {{train: FILE, "
         "test: FILE}}"),
        (("readme.md",), "no data file in {}; valid: .csv, .tsv, .txt, .jsonl, .ndjson, .json, .parquet, "
         ".xlsx, .ods, or a folder per class"),
    ],
)  # fmt: skip
def test_what_is_no_data_set(tmp_path: Path, paths: tuple[str, ...], said: str) -> None:
    write(tmp_path, *paths)
    assert error(tmp_path) == f"data.source: {said.format(tmp_path)}"


@pytest.mark.parametrize(
    ("paths", "left_out"),
    [
        (("train.csv", "test.csv", "notes.txt", "old/x.csv"), "notes.txt, old"),
        (("train.csv", "test.csv", ".hidden", "__MACOSX/x", "Thumbs.db"), None),
        (("train/a/1.txt", "train/b/1.txt", "test/a/2.txt", "images/1.png", "README"), "README, images"),
        (
            ("reviews.csv", *(f"{i:02}.md" for i in range(14))),
            ", ".join(f"{i:02}.md" for i in range(10)) + " and 4 more",
        ),
    ],
)  # fmt: skip
def test_what_is_left_out_is_told(tmp_path: Path, paths: tuple[str, ...], left_out: str | None) -> None:
    write(tmp_path, *paths)
    notes = locate(str(tmp_path), Path())["train"].notes
    assert notes == ((f"left out of {tmp_path.name}: {left_out}",) if left_out else ())


def test_what_is_left_out_of_class_folders_is_told(tmp_path: Path) -> None:
    write(tmp_path, "pos/1.txt", "neg/1.txt", "unsup/1.txt", "unsup/2.txt", "urls.txt", "pos/.DS_Store", "odd/.keep")
    table = tables(tmp_path)["train"]
    assert table.columns["label"] == ["neg", "pos"]
    assert table.notes == (f"left out of {tmp_path.name}: unsup (2 texts without a class), odd (no texts), urls.txt",)


def test_texts_of_class_folders_are_in_one_encoding(tmp_path: Path) -> None:
    texts = ["Très bon café, à recommander", "Déçu par la qualité", "plain", "Ça marche bien"]
    for i, text in enumerate(texts):
        write(tmp_path, f"{'ab'[i % 2]}/{i}.txt")
        (tmp_path / "ab"[i % 2] / f"{i}.txt").write_bytes(text.encode("cp1252"))
    write(tmp_path, "a/utf8.txt", content="Ünïcode\ufeff")
    (tmp_path / "b" / "utf16.txt").write_bytes("déjà vu\n".encode("utf-16"))
    table = tables(tmp_path)["train"]
    assert {*texts, "Ünïcode\ufeff a/utf8.txt", "déjà vu\n"} == set(table.columns["text"])
    said = "is not UTF-8; read as cp1252, which is a guess (data.encoding overrides it): line "
    assert table.notes[0].startswith(f"{tmp_path.name} (3 of 6 texts) {said}")
    location = locate(str(tmp_path), Path())["train"]
    with pytest.raises(UserError, match=r"^data.encoding: .*/a/0.txt is not in utf-8: line 1 holds the byte 0xe8; "):
        read_location(location, Request(("text", "label"), encoding="utf-8"))


def saved(folder: Path, **splits: int) -> Path:
    made = {name: datasets.Dataset.from_list(rows(30, first=first)) for name, first in splits.items()}
    datasets.DatasetDict(made).save_to_disk(folder)
    return folder


def test_a_folder_made_by_save_to_disk(tmp_path: Path) -> None:
    data = prepare(tmp_path, str(saved(tmp_path / "d", train=0, dev=100, test=200, extra=300)))
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 30, "validation": 30, "test": 30}
    assert data.notes[:2] == ("the split dev is taken as validation", "left out: the split extra")
    one = prepare(tmp_path, {"train": "d/train", "test": "d/extra"})
    assert len(one.splits["test"]) == 30
    assert prepare(tmp_path, "d/train").labels == data.labels


def test_a_saved_folder_that_is_unclear_or_damaged(tmp_path: Path) -> None:
    folder = saved(tmp_path / "d", train=0, validation_matched=100, validation_mismatched=200)
    assert error(folder) == (
        f"data.source: {folder} holds the splits train, validation_matched, validation_mismatched; say which is which: "
        f"source: {{train: {folder}/NAME, test: {folder}/NAME}}"
    )
    next((folder / "train").glob("*.arrow")).unlink()
    assert error(folder / "train").startswith("data.source: train, written by save_to_disk, is damaged: ")


@pytest.mark.parametrize("source", ["a\0b.csv", "~no_such_user_at_all/x.csv", "x" * 5000])
def test_a_path_that_cannot_be(tmp_path: Path, source: str) -> None:
    with pytest.raises(UserError) as caught:
        locate(source, tmp_path)
    assert str(caught.value).startswith("data.source: ")
    assert "\n" not in str(caught.value)

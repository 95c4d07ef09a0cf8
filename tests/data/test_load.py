import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.data import load
from peftsearch.data.base import TextData
from peftsearch.data.load import SOURCES, load_data, open_prepared
from peftsearch.data.overlap import keys
from peftsearch.data.section import DataSection
from tests.helpers.files import json_lines, prepare, rows


def error(folder: Path, source: str | dict[str, str], **section: Any) -> str:
    with pytest.raises(UserError) as caught:
        prepare(folder, source, **section)
    assert not [path for path in (folder / "cache").glob("*") if not path.name.startswith(".")], "nothing half done"
    return str(caught.value)


def sizes(data: TextData) -> dict[str, int]:
    return {split: len(rows) for split, rows in data.splits.items()}


def texts(data: TextData, split: str) -> list[str]:
    return list(data.splits[split]["text"][:])


def balance(data: TextData, split: str) -> Mapping[str, int]:
    return Counter(data.labels[i] for i in data.splits[split]["label"][:])


APART = "no text stands in two splits, not even with other case, punctuation or spaces"


def test_one_file_becomes_three_disjoint_stratified_splits(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(300))
    data = prepare(tmp_path, "a.jsonl")
    assert data.labels == ("cat", "dog", "sun")
    assert sizes(data) == {"train": 210, "validation": 30, "test": 60}
    assert balance(data, "validation") == {"cat": 10, "dog": 10, "sun": 10}
    assert sorted(text for split in data.splits for text in texts(data, split)) == sorted(r["text"] for r in rows(300))
    assert all(
        text.startswith(data.labels[i])
        for text, i in zip(texts(data, "test"), data.splits["test"]["label"], strict=True)
    )
    assert not data.pair
    assert data.notes == (
        "made validation and test from train: train 210, validation 30, test 60 (stratified, seed 42)",
        APART,
    )


def test_splits_that_the_source_has_are_taken_as_they_are(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(100))
    json_lines(tmp_path / "b.jsonl", rows(40, first=1000))
    data = prepare(tmp_path, {"train": "a.jsonl", "test": "b.jsonl"}, splits={"validation": 0.25})
    assert sizes(data)["test"] == 40
    assert sizes(data)["train"] + sizes(data)["validation"] == 100
    assert sizes(data)["validation"] == pytest.approx(25, abs=1)


def test_pairs(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", [{"one": f"a {i}", "two": f"b {i}", "same": i % 2} for i in range(40)])
    data = prepare(tmp_path, "a.jsonl", text=["one", "two"], label="same")
    assert data.pair
    assert data.splits["test"].column_names == ["text", "pair", "label"]
    assert data.labels == ("0", "1")


def test_numbered_labels_are_ordered_by_value(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(120, [str(i) for i in range(12)]))
    assert prepare(tmp_path, "a.jsonl").labels == tuple(str(i) for i in range(12))


def test_repeated_texts_never_stand_in_two_splits(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(100) + [{**row, "text": row["text"].upper() + "!"} for row in rows(60)])
    data = prepare(tmp_path, "a.jsonl")
    assert data.notes[0] == "60 rows repeated; equal texts stay together in one split"
    from peftsearch.data.base import LabelledRows

    seen = [set(keys(LabelledRows(texts(data, split), []))) for split in data.splits]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 100


def test_blank_texts_and_missing_labels_are_counted_and_dropped(tmp_path: Path) -> None:
    bad = [{"text": " \n", "label": "cat"}, {"text": None, "label": "dog"}, {"text": "x", "label": ""}, {"text": "y"}]
    json_lines(tmp_path / "a.jsonl", [*rows(30), *bad])
    data = prepare(tmp_path, "a.jsonl")
    assert sum(sizes(data).values()) == 30
    assert data.notes[:2] == ("train: dropped 2 rows without label", "train: dropped 2 rows without text")


def test_limits_keep_each_class_its_share_and_larger_ones_do_nothing(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(300))
    data = prepare(tmp_path, "a.jsonl", limit={"train": 60, "validation": 10_000, "test": 6})
    assert sizes(data) == {"train": 60, "validation": 30, "test": 6}
    assert balance(data, "train") == {"cat": 20, "dog": 20, "sun": 20}
    assert data.notes[2:] == ("train: limited to 60 of 210 rows", "test: limited to 6 of 60 rows")
    assert error(tmp_path / "x", str(tmp_path / "a.jsonl"), limit={"train": 2}) == (
        "data.limit.train: 2 rows are too few for 3 classes"
    )


def test_shaping_in_its_order_each_step_counted(tmp_path: Path) -> None:
    reviews = [{"text": f"\nreview {i}", "label": ("Good", "Bad", "Neutral")[i % 3]} for i in range(300)]
    json_lines(tmp_path / "a.jsonl", [*reviews, {"text": "odd", "label": "Odd"}])
    data = prepare(
        tmp_path,
        "a.jsonl",
        drop_labels=["Neutral"],
        min_rows=2,
        map_labels={"Good": 1, "Bad": 0},
        strip=True,
        sample=0.5,
    )
    assert data.labels == ("0", "1")
    assert not any(text.startswith("\n") for text in texts(data, "train"))
    assert data.notes == (
        "dropped 100 rows of Neutral (drop_labels)",
        "dropped 1 row of Odd (min_rows: 2)",
        "renamed the label of 200 rows (map_labels)",
        "stripped white space off 200 texts",
        "train: sampled 100 of 200 rows",
        "made validation and test from train: train 70, validation 10, test 20 (stratified, seed 42)",
        APART,
    )


def test_no_group_stands_in_two_splits(tmp_path: Path) -> None:
    authored = [{**row, "author": f"author {i // 5}"} for i, row in enumerate(rows(300))]
    json_lines(tmp_path / "a.jsonl", authored)
    data = prepare(tmp_path, "a.jsonl", group="author")
    author = {row["text"]: row["author"] for row in authored}
    seen = [{author[text] for text in texts(data, split)} for split in data.splits]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 60


def test_a_group_in_two_splits_of_the_source_is_refused(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", [{**row, "author": f"a{i}"} for i, row in enumerate(rows(30))])
    json_lines(tmp_path / "b.jsonl", [{**row, "author": f"a{i + 28}"} for i, row in enumerate(rows(30, first=90))])
    message = error(tmp_path, {"train": "a.jsonl", "test": "b.jsonl"}, group="author", splits={"validation": 0.1})
    assert message.startswith("data.group: ")
    assert message.endswith("; name one file only, so that the splits are made by group")


def test_a_test_split_without_labels_counts_as_lacking(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(100))
    json_lines(tmp_path / "b.jsonl", [{"text": "x", "label": None}])
    data = prepare(tmp_path, {"train": "a.jsonl", "test": "b.jsonl"})
    assert data.notes[0] == "test: has no labels, so it is made from the training rows"
    assert sizes(data)["test"] == pytest.approx(20, abs=1)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"label": "lable"}, "data.label: no column 'lable' in a.jsonl; columns: text, label"),
        ({"text": "Text"}, "data.text: no column 'Text' in a.jsonl; columns: text, label"),
        ({"group": "author"}, "data.group: no column 'author' in a.jsonl; columns: text, label"),
        ({"drop_labels": ["cow"]}, "data.drop_labels: no class 'cow'; valid: cat, dog, sun"),
        ({"drop_labels": ["cat", "dog"]}, "data.label: every row has the label 'sun'; a classifier needs two classes"),
        ({"min_rows": 99}, "data.source: the train split is empty; it needs rows with a text and a label"),
    ],
)
def test_what_is_wrong_with_the_section_is_one_line(tmp_path: Path, section: dict[str, Any], expected: str) -> None:
    json_lines(tmp_path / "a.jsonl", rows(30))
    assert error(tmp_path, "a.jsonl", **section) == expected


def test_a_class_with_one_row(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", [*rows(30), {"text": "lonely", "label": "moon"}])
    assert error(tmp_path, "a.jsonl").startswith(
        "data.splits: class 'moon' has only 1 row, but a stratified split needs 2; "
    )


def test_a_class_that_is_not_in_every_split_is_noted(tmp_path: Path) -> None:
    told = "such classes can hardly be learned or measured; add rows, or leave them out with data.min_rows: 10"
    json_lines(tmp_path / "a.jsonl", [*rows(60), *rows(2, ["moon"], first=900)])
    one = f"too few rows for every split: moon (2 rows, none in validation): {told}"
    assert one in prepare(tmp_path, "a.jsonl").notes
    assert one not in prepare(tmp_path, "a.jsonl", min_rows=10).notes
    many = [row for i in range(5) for row in rows(2, [f"moon {i}"], first=900 + 2 * i)]
    json_lines(tmp_path / "b.jsonl", [*rows(60), *many])
    shown = ", ".join(f"moon {i} (2 rows, none in validation)" for i in range(3))
    assert f"too few rows for every split: {shown}, and 2 more: {told}" in prepare(tmp_path, "b.jsonl").notes


def test_data_in_which_every_class_is_too_small(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(4, ["cat", "dog"]))
    assert error(tmp_path, "a.jsonl") == (
        "data.splits: no class has a row for each of train, validation, test: cat (2 rows, none in validation), "
        "dog (2 rows, none in validation); add rows, or name a file for each split in data.source"
    )


def test_an_empty_split_and_labels_that_train_lacks(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(30))
    json_lines(tmp_path / "empty.jsonl", [])
    json_lines(tmp_path / "other.jsonl", rows(30, ["cat", "cow"], first=90))
    (tmp_path / "header.csv").write_text("text,label\n")
    assert error(tmp_path, {"train": "a.jsonl", "test": "header.csv"}) == (
        "data.source: the test split is empty; it needs rows with a text and a label"
    )
    assert error(tmp_path, {"train": "a.jsonl", "test": "empty.jsonl"}) == (
        "data.source: empty.jsonl is empty; it needs rows with a text and a label"
    )
    assert error(tmp_path, {"train": "a.jsonl", "test": "other.jsonl"}) == (
        "data.label: test has 15 rows of classes that train lacks: cow; "
        "correct the files, or name the classes in data.drop_labels or data.map_labels"
    )


def test_texts_that_are_lists(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", [{"text": ["a", "b"], "label": "x"}])
    assert error(tmp_path, "a.jsonl") == "data.text: column 'text' in a.jsonl holds a list, not text"


def test_a_split_must_be_one_file(tmp_path: Path) -> None:
    json_lines(tmp_path / "d" / "train.jsonl", rows(30))
    json_lines(tmp_path / "d" / "test.jsonl", rows(30, first=90))
    assert error(tmp_path, {"train": "d", "test": "d"}) == "data.source.train: 'd' holds train, test; name one file"


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(60))
    json_lines(tmp_path / "elsewhere.jsonl", rows(60))
    json_lines(tmp_path / "c.jsonl", rows(60, first=1))
    first = prepare(tmp_path, "a.jsonl")
    assert prepare(tmp_path, "elsewhere.jsonl").fingerprint == first.fingerprint
    assert prepare(tmp_path, "c.jsonl").fingerprint != first.fingerprint
    assert prepare(tmp_path, "a.jsonl", splits={"seed": 1}).fingerprint != first.fingerprint


def test_a_warm_cache_is_fast_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(3000))
    first = prepare(tmp_path, "a.jsonl")
    start = time.perf_counter()
    again = prepare(tmp_path, "a.jsonl", max_length=64)
    assert time.perf_counter() - start < 0.2
    assert again.notes == first.notes
    assert again.fingerprint == first.fingerprint
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1
    json_lines(tmp_path / "a.jsonl", rows(2999))
    assert prepare(tmp_path, "a.jsonl").fingerprint != first.fingerprint


@pytest.mark.parametrize("prefix", SOURCES)
def test_every_source_gives_the_same_data(tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    json_lines(tmp_path / "some_package" / "data" / "train.jsonl", rows(60))
    (tmp_path / "some_package" / "__init__.py").write_text("raise RuntimeError('data needs no import')")
    source = {"package": "package:some_package/data", "hub": "hub:./some_package/data", "file": "some_package/data"}[
        prefix
    ]
    data = prepare(tmp_path, source)
    assert sizes(data) == {"train": 42, "validation": 6, "test": 12}
    assert data.fingerprint == prepare(tmp_path, "some_package/data/train.jsonl").fingerprint


def test_loading_imports_no_torch(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(30))
    code = (
        "import sys; from pathlib import Path; from peftsearch.data.load import load_data; "
        "from peftsearch.data.section import DataSection; from peftsearch.data.describe import describe_data\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'sklearn'}; assert not heavy & set(sys.modules)\n"
        "folder = Path(sys.argv[1])\n"
        "print(describe_data(load_data(DataSection(source='a.jsonl'), folder, folder / 'cache')).rows)\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "{'train': 21, 'validation': 3, 'test': 6}\n"


def test_several_processes_at_once_prepare_once(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(2000))
    code = (
        "import json, os, sys; from pathlib import Path; from peftsearch.data import load\n"
        "from peftsearch.data.section import DataSection\n"
        "folder, whole = Path(sys.argv[1]), load._prepare\n"
        "def counted(*args):\n"
        "    (folder / f'prepared-{os.getpid()}').touch(); whole(*args)\n"
        "load._prepare = counted\n"
        "print(load.load_data(DataSection(source='a.jsonl'), folder, folder / 'cache').fingerprint)"
    )
    start = [sys.executable, "-c", code, str(tmp_path)]
    workers = [subprocess.Popen(start, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    fingerprints = {worker.communicate()[0] for worker in workers}
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(fingerprints) == 1
    assert len(list(tmp_path.glob("prepared-*"))) == 1


def test_nothing_secret_is_kept(tmp_path: Path) -> None:
    import fsspec

    with fsspec.open("memory://host/a.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows(30))
    load_data(DataSection(source="memory://host/a.jsonl"), tmp_path, tmp_path / "cache")
    kept = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(kept) > 3
    assert not any(b"memory://" in content for content in kept)


def test_equal_files_are_prepared_once_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a", "b"):
        json_lines(tmp_path / folder / "texts" / "train.jsonl", rows(60))
    first = load_data(DataSection(source="texts"), tmp_path / "a", tmp_path / "cache")
    monkeypatch.setattr(load, "_prepare", lambda *_: pytest.fail("prepared twice"))
    assert load_data(DataSection(source="texts"), tmp_path / "b", tmp_path / "cache").fingerprint == first.fingerprint


def test_another_version_of_the_preparation_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    json_lines(tmp_path / "a.jsonl", rows(60))
    prepare(tmp_path, "a.jsonl")
    monkeypatch.setattr(load, "PREPARATION", load.PREPARATION + 1)

    def again(*_: object) -> None:
        raise UserError("prepared again")

    monkeypatch.setattr(load, "_prepare", again)
    with pytest.raises(UserError, match="prepared again"):
        prepare(tmp_path, "a.jsonl")


def test_what_has_to_be_fetched_is_fetched_by_each_study(tmp_path: Path) -> None:
    import fsspec

    section, found = DataSection(source="memory://host/changing.jsonl"), {}
    for count, study in ((30, "a"), (60, "b"), (60, "a")):
        with fsspec.open("memory://host/changing.jsonl", "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows(count))
        found[study] = sum(sizes(load_data(section, tmp_path, tmp_path / "cache", tmp_path / study)).values())
    assert found == {"a": 30, "b": 60}, "it is another file by now, which only fetching it again would tell"
    assert not (tmp_path / "cache").exists()


def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    json_lines(tmp_path / "a.jsonl", rows(30))

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("peftsearch.data.read.files.checksum", refused)
    assert error(tmp_path, "a.jsonl") == (
        f"data.source: a.jsonl cannot be read: [Errno 13] Permission denied: '{tmp_path / 'a.jsonl'}'"
    )


def test_rows_that_an_earlier_version_prepared_are_opened(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(60))
    run = RunFolder(tmp_path / "runs" / "toy")
    found = load_data(DataSection(source="a.jsonl"), tmp_path, run.data)
    opened = open_prepared(run, found.fingerprint)
    assert opened is not None
    assert set(opened.splits) == {"train", "validation"}
    assert open_prepared(run, "another") is None
    meta = next(run.data.glob("*/meta.json"))
    meta.write_text(meta.read_text()[:-5])
    assert open_prepared(run, found.fingerprint) is None

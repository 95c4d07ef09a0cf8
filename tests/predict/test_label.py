"""Files that are labelled: every row stays, in its order, with an answer or without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.errors import UserError
from peftsearch.predict.label import labelling
from peftsearch.predict.load import WINDOW_BATCHES
from tests.helpers.labelling import lengths_classifier


def label(file: Path, kind: str = ".jsonl", all_probabilities: bool = False, **options: Any) -> list[dict[str, Any]]:
    (out := file.parent / "out").unlink(missing_ok=True)
    with (
        labelling(lengths_classifier(), file, **options) as found,
        out.open("wb") as handle,
        found.writer(handle, kind, all_probabilities) as write,
    ):
        for window in found.windows():
            write(window)
    return [json.loads(line) for line in out.read_text().splitlines()] if kind == ".jsonl" else []


def said(file: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        label(file, **options)
    return str(caught.value)


def test_all_columns_stay_and_labels_are_added(tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_text('id,text,more\n1,abcd,x\n2,,y\n3,"a, b"\n')
    assert label(file) == [
        {"id": "1", "text": "abcd", "more": "x", "label": "short", "probability": 0.96},
        {"id": "2", "text": "", "more": "y", "label": None, "probability": None},
        {"id": "3", "text": "a, b", "more": "", "label": None, "probability": None},
    ]
    first = label(file, all_probabilities=True, min_probability=0.97)[0]
    assert list(first.items())[3:] == [
        ("label", "unsure"),
        ("probability", 0.96),
        ("probability_long", 0.04),
        ("probability_short", 0.96),
    ]


def test_many_windows_keep_the_order_and_count_what_is_broken(tmp_path: Path) -> None:
    window = 2 * WINDOW_BATCHES
    texts = ["x" * (i * 7 % 50) for i in range(2 * window + 5)]
    (file := tmp_path / "a.jsonl").write_text(
        "".join(f'{{"text": "{text}", "i": {i}}}\n' for i, text in enumerate(texts))
    )
    with labelling(lengths_classifier(), file, batch_size=2) as found:
        windows = list(found.windows())
        assert (found.done, found.broken) == (len(texts), texts.count(""))
    assert [len(window) for window in windows] == [window, window, 5]
    items = [item for window in windows for item in window]
    assert [item.row.values["i"] for item in items] == list(range(len(texts)))
    assert [item.answer and round(100 * item.answer["probabilities"]["long"]) for item in items] == [
        len(text) or None for text in texts
    ]
    assert {item.problem for item in items if item.answer is None} == {"no text"}


def test_columns_of_the_same_names_are_not_replaced(tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_text("text,probability\nabcd,7\n")
    assert label(file) == [
        {"text": "abcd", "probability": "7", "predicted_label": "short", "predicted_probability": 0.96}
    ]
    file.write_text("text,label,predicted_label\nabcd,7,8\n")
    assert said(file) == "--file a.csv: has a column 'predicted_label'; rename it"
    (file := tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": "a", "label": 1}\n')
    assert label(file)[1] == {"text": "a", "label": 1, "predicted_label": "short", "predicted_probability": 0.99}
    file.write_text('{"text": "a"}\n' * 2 * WINDOW_BATCHES + '{"text": "a", "label": 1}\n')
    place = 2 * WINDOW_BATCHES + 1
    assert said(file, batch_size=2) == f"line {place} has a column 'label', which the first rows lack; rename it"


def test_a_file_may_call_the_text_otherwise(tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_text("body,text\nabcd,x\n")
    assert label(file, text_columns=["body"])[0]["probability"] == 0.96
    (file := tmp_path / "a.jsonl").write_text('{"body": "abcd"}\n{"body": "a", "text": "x"}\n')
    assert [row["probability"] for row in label(file, text_columns=["body"])] == [0.96, 0.99]
    assert [row["probability"] for row in label(file)] == [None, 0.99]
    file.write_text('{"body": "abcd", "n": 1}\n')
    assert said(file) == (
        "--file a.jsonl: no column 'text'; columns: body, n; name the column of the text with --text-column"
    )


def test_a_file_without_rows_has_columns_all_the_same(tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_text("n,text\n")
    label(file, kind=".csv")
    assert (tmp_path / "out").read_text() == "n,text,label,probability\n"
    for name in ("a.txt", "a.jsonl"):
        (tmp_path / name).touch()
        assert label(tmp_path / name) == []


def test_text_has_no_place_for_probabilities(tmp_path: Path) -> None:
    (file := tmp_path / "a.txt").write_text("abc\n")
    assert said(file, kind=".txt", all_probabilities=True) == (
        "a .txt file holds labels alone; choose another format for --all-probabilities"
    )

import json
import logging
from pathlib import Path

import pytest

from peftsearch.data.describe import coarse_selection, describe_data, token_lengths
from tests.helpers.files import json_lines, prepare, rows
from tests.helpers.tiny import tiny_tokenizer


def test_a_description_counts_without_opening_the_test_split(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", rows(90))
    data = prepare(tmp_path, "a.jsonl")
    found = describe_data(data, examples=2)
    assert found.rows == {"train": 63, "validation": 9, "test": 18}
    assert found.classes == {
        "train": {"cat": 21, "dog": 21, "sun": 21}, "validation": {"cat": 3, "dog": 3, "sun": 3},
    }  # fmt: skip
    assert found.characters[100] == len("cat number 10")
    assert found.examples[0][0] == "cat"
    assert found.examples[0][1].startswith("cat number ")
    assert len(found.examples) == 2
    assert json.loads(json.dumps(found.to_dict()))["notes"] == list(data.notes)


def test_it_is_said_where_one_row_moves_the_score(tmp_path: Path) -> None:
    rare = rows(300, ("cat", "dog")) + [{"text": f"sun number {i}", "label": "sun"} for i in range(8)]
    json_lines(tmp_path / "rare.jsonl", rare)
    assert coarse_selection(prepare(tmp_path, "rare.jsonl")) == [
        "validation has 31 rows, 1 of 'sun': one of these moves macro F1 by about 0.33, so smaller differences between "
        "trials say little"
    ]
    json_lines(tmp_path / "many.jsonl", rows(600, ("cat", "dog")))
    assert coarse_selection(prepare(tmp_path, "many.jsonl")) == []


def test_token_lengths_are_those_before_truncation_and_quiet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    long = [{"text": f"{'cat ' * (200 if i % 10 == 0 else 3)}{i}", "label": "ab"[i % 2]} for i in range(200)]
    json_lines(tmp_path / "a.jsonl", long)
    with caplog.at_level(logging.WARNING):
        found = token_lengths(prepare(tmp_path, "a.jsonl"), tiny_tokenizer("bert", ("cat",)), max_length=64)
    assert (found.max_length, found.rows) == (64, 140)
    assert found.percentiles[50] == 6
    assert found.percentiles[100] == 203
    assert found.truncated == pytest.approx(0.1, abs=0.04)
    assert not caplog.records


def test_token_lengths_of_pairs_count_both(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", [{"one": "cat", "two": f"dog {i}", "label": i % 2} for i in range(40)])
    data = prepare(tmp_path, "a.jsonl", text=["one", "two"])
    assert token_lengths(data, tiny_tokenizer("bert", ("cat",)), 64).percentiles[100] == 6

"""What is said of data that are not those of an earlier machine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from datasets import Dataset

from peftsearch.data.base import TextData
from peftsearch.data.likeness import BLOCKS, DataAccount

WORDS = [f"word {number}" for number in range(2000)]


def data(train: list[str], labels: tuple[str, ...] = ("a", "b"), fingerprint: str = "now") -> TextData:
    few = Dataset.from_dict({"text": ["x", "y"], "label": [0, 1]})
    splits = {"train": Dataset.from_dict({"text": train, "label": [len(text) % 2 for text in train]})}
    return TextData(labels, {**splits, "validation": few, "test": few}, fingerprint)


def with_another(number: int, of: int) -> list[str]:
    """So many texts, of which one is another one; the first has number 1."""
    return [*WORDS[: number - 1], "another", *WORDS[number:of]]


def account(rows: int) -> DataAccount:
    kept = DataAccount.of(data(WORDS[:rows], fingerprint="then"))
    return DataAccount.from_dict(json.loads(json.dumps(kept.to_dict())))


@pytest.mark.parametrize(
    ("rows", "now", "said"),
    [
        (60, with_another(12, 60), "the first other row of train is row 12"),
        (60, with_another(60, 60), "the first other row of train is row 60"),
        (2000, with_another(1999, 2000), "the first other row of train is one of the rows 1,997 to 2,000"),
        (2000, with_another(1, 2000), "the first other row of train is one of the rows 1 to 4"),
        (60, WORDS[:59], "train had 60 rows then and has 59 now"),
        (60, WORDS[:61], "train had 60 rows then and has 61 now"),
        (1200, WORDS[:1100], "train had 1,200 rows then and has 1,100 now"),
        (BLOCKS, WORDS[: BLOCKS + 1], "train had 512 rows then and has 513 now"),
        (
            60,
            [*WORDS[:20], *WORDS[21:60]],
            "train had 60 rows then and has 59 now; the first other row of train is row 21",
        ),
    ],
)
def test_the_split_its_rows_and_the_first_other_one_are_named(rows: int, now: list[str], said: str) -> None:
    assert account(rows).difference(data(now)) == said


def test_other_labels_and_classes_are_found() -> None:
    now = data(WORDS[:9], labels=("a", "b", "c"))
    splits = {**now.splits, "test": Dataset.from_dict({"text": ["x", "y"], "label": [0, 0]})}
    assert account(9).difference(replace(now, splits=splits)) == (
        "2 classes then, 3 now; the first other row of test is row 2"
    )


def test_what_the_account_does_not_tell_is_told_by_the_fingerprints() -> None:
    assert account(9).difference(data(WORDS[:9])) == "fingerprint then then, now now"


def test_no_text_stands_in_the_account_and_it_stays_small() -> None:
    kept = json.dumps(account(2000).to_dict())
    assert "word" not in kept
    assert len(kept) < 4 * BLOCKS + 500


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("b", "a"), "the classes have other places now"),
        (("a", "c"), "the classes have other names now"),
        (("a", "b "), "the classes have other names now"),
        (("a", "b"), "fingerprint then then, now now"),
    ],
)
def test_classes_of_other_names_or_in_another_order_are_told_from_other_rows(
    labels: tuple[str, ...], said: str
) -> None:
    assert account(9).difference(data(WORDS[:9], labels)) == said
    earlier = {name: value for name, value in account(9).to_dict().items() if name != "names"}
    assert DataAccount.from_dict(earlier).difference(data(WORDS[:9], labels)) == "fingerprint then then, now now"

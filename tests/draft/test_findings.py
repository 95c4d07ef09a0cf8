"""What is found in labelled rows before a study is made of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.base import LabelledRows
from peftsearch.draft.findings import classes_of, warnings_of


def rows(counts: Mapping[str, int]) -> LabelledRows:
    """So many different texts of each class."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    return LabelledRows([f"text {i} of {label}" for i, label in enumerate(labels)], labels)


def warnings(found: LabelledRows) -> list[str]:
    return list(warnings_of(found, classes_of(found, "stars", "f.csv"), "stars"))


def test_nothing_is_said_of_good_rows() -> None:
    assert warnings(rows({"good": 12, "bad": 10})) == []


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"1": 20, "5": 20}, "the labels are numbers, 1 to 5: they are learned as classes without an order"),
        ({str(i): 10 for i in range(30)},
         "the 30 labels in 'stars' look like numbers: classification needs classes; sort them into a few, "
         "or name another column with --label"),
        ({"a": 20, "b": 20, "c": 2}, "classes with fewer than 3 different texts are left out (drop_labels): 'c'"),
        ({"a": 20, "b": 4, "c": 9}, "few rows to learn a class from, fewer than 10: 'c' (9), 'b' (4)"),
    ],
)  # fmt: skip
def test_what_is_odd_about_classes_is_said(counts: Mapping[str, int], said: str) -> None:
    assert warnings(rows(counts)) == [said]


def test_repeated_texts_are_counted() -> None:
    twice = LabelledRows(
        ["Good!", "good", "fine", *(f"text {i}" for i in range(24))], ["a", "b", "a", *["a", "b"] * 12]
    )
    assert warnings(twice) == [
        "1 row repeats an earlier text; equal texts stay together in one split",
        "2 rows have a text that stands with several classes: no classifier gets all of them right",
    ]


def test_a_class_of_one_text_many_times_is_too_small() -> None:
    found = rows({"a": 20, "b": 20})
    found = LabelledRows([*found.text, *["spam"] * 50], [*found.label, *["c"] * 50])
    assert classes_of(found, "kind", "f.csv").too_small == ("c",)
    assert classes_of(found, "kind", "f.csv").rows == 40


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 9}, "every row of f.csv has 'a' in 'stars': a classifier needs two classes; "
                   "name another column with --label"),
        ({"a": 9, "b": 2}, "1 of the 2 values of 'stars' in f.csv stand with fewer than 3 different texts; "
                           "name another column with --label"),
        ({str(i): 1 for i in range(1500)},
         "1,500 of the 1,500 values of 'stars' in f.csv stand with fewer than 3 different texts; these look like "
         "numbers: classification needs classes; name another column with --label"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused(counts: Mapping[str, int], message: str) -> None:
    with pytest.raises(UserError) as caught:
        classes_of(rows(counts), "stars", "f.csv")
    assert str(caught.value) == message

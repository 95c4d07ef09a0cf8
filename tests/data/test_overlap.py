import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.base import LabelledRows
from peftsearch.data.overlap import keys, without_overlap


def texts(*values: str) -> LabelledRows:
    return LabelledRows(values, ["x"] * len(values))


def test_case_punctuation_and_spaces_do_not_count() -> None:
    a, b = keys(texts("Hello,  World!", "hello\nworld"))
    assert a == b


@pytest.mark.parametrize(
    ("one", "other"),
    [("5 < 6", "5 > 6"), ("कि", "की"), ("good 🙂", "good 🙁"), ("?", "!"), ("naïve", "naive")],
)
def test_what_does_count(one: str, other: str) -> None:
    a, b = keys(texts(one, other))
    assert a != b


def test_a_pair_is_the_same_only_if_both_its_texts_are() -> None:
    a, b, c = keys(LabelledRows(["x", "x", "X."], ["1", "1", "1"], pair=["y", "z", "y"]))
    assert a != b
    assert a == c


def many(prefix: str, count: int, *more: str) -> LabelledRows:
    return texts(*more, *(f"{prefix} {i}" for i in range(count)))


def test_a_little_overlap_is_dropped_from_the_earlier_split_and_said() -> None:
    parts = {"train": many("a", 300, "Same!"), "validation": many("b", 199, "same"), "test": many("c", 200)}
    kept, notes = without_overlap(parts, allowed=False)
    assert notes == ["1 of 200 rows of validation (0.5%) stand in train too, 0 texts word for word; dropped from train"]
    assert {name: len(rows) for name, rows in kept.items()} == {"train": 300, "validation": 200, "test": 200}
    assert "Same!" not in kept["train"].text


def test_splits_without_a_common_text_are_said_to_have_none() -> None:
    parts = {"train": many("a", 30), "validation": many("b", 20), "test": many("c", 20)}
    assert without_overlap(parts, allowed=False) == (
        parts,
        ["no text stands in two splits, not even with other case, punctuation or spaces"],
    )


def test_validation_gives_way_to_test() -> None:
    parts = {"train": many("a", 300), "validation": many("b", 199, "same"), "test": many("c", 200, "same")}
    kept, notes = without_overlap(parts, allowed=False)
    assert notes == [
        "1 of 201 rows of test (0.5%) stand in validation too, 1 texts word for word; dropped from validation"
    ]
    assert len(kept["test"]) == 201
    assert len(kept["validation"]) == 199


def test_much_overlap_is_refused_unless_allowed() -> None:
    parts = {"train": many("a", 50, "x", "y"), "validation": many("b", 50), "test": many("c", 98, "x", "Y")}
    with pytest.raises(UserError) as caught:
        without_overlap(parts, allowed=False)
    assert str(caught.value) == (
        "data.source: 2 of 100 rows of test (2.0%) stand in train too, 1 texts word for word; "
        "remove them, or set data.allow_overlap: true"
    )
    kept, notes = without_overlap(parts, allowed=True)
    assert kept == parts
    assert notes == [
        "2 of 100 rows of test (2.0%) stand in train too, 1 texts word for word; kept, as data.allow_overlap says"
    ]


def test_exactly_one_percent_is_still_tolerated() -> None:
    parts = {"train": many("a", 50, "x"), "validation": many("b", 99, "x"), "test": many("c", 9)}
    assert len(without_overlap(parts, allowed=False)[0]["train"]) == 50

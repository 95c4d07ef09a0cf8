from collections import Counter

import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.splits import draw, joined, split

SHARES = {"validation": 0.1, "test": 0.2}


def counts(labels: list[str], rows: list[int]) -> Counter[str]:
    return Counter(labels[row] for row in rows)


def test_a_split_is_stratified_disjoint_and_complete() -> None:
    labels = ["a"] * 500 + ["b"] * 100 + ["c"] * 30
    parts = split(labels, range(630), SHARES, seed=1)
    assert sorted(row for rows in parts.values() for row in rows) == list(range(630))
    assert counts(labels, parts["train"]) == {"a": 350, "b": 70, "c": 21}
    assert counts(labels, parts["validation"]) == {"a": 50, "b": 10, "c": 3}
    assert counts(labels, parts["test"]) == {"a": 100, "b": 20, "c": 6}


def test_a_split_is_a_random_draw_that_its_seed_repeats() -> None:
    labels = ["a", "b"] * 100
    first, again, other = (split(labels, range(200), SHARES, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first["test"] != other["test"]
    # Not simply the last rows, or every fifth: a sorted file must not show in the split.
    assert {row // 50 for row in first["test"]} == {0, 1, 2, 3}
    assert len({b - a for a, b in zip(first["test"], first["test"][1:], strict=False)}) > 5


def test_no_group_stands_in_two_splits_and_the_shares_still_hold() -> None:
    groups = [row // 3 for row in range(600)]
    labels = ["a" if group % 4 else "b" for group in groups]
    parts = split(labels, groups, SHARES, seed=0)
    seen = [{groups[row] for row in rows} for rows in parts.values()]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    assert len(parts["test"]) == pytest.approx(120, abs=6)
    assert counts(labels, parts["test"])["b"] == pytest.approx(30, abs=3)


@pytest.mark.parametrize(("rows", "sizes"), [(2, (1, 0, 1)), (3, (1, 1, 1)), (5, (3, 1, 1)), (10, (7, 1, 2))])
def test_a_small_class_is_in_train_first_then_in_test(rows: int, sizes: tuple[int, ...]) -> None:
    parts = split(["x"] * rows, range(rows), SHARES, seed=0)
    assert tuple(len(parts[name]) for name in ("train", "validation", "test")) == sizes


def test_a_class_with_one_row_is_named_with_what_to_do() -> None:
    with pytest.raises(UserError) as caught:
        split(["a", "a", "b"], range(3), SHARES, seed=0)
    assert str(caught.value) == (
        "data.splits: class 'b' has only 1 row, but a stratified split needs 2; "
        "add rows, or leave the class out with data.drop_labels: [b]"
    )


def test_a_class_whose_rows_all_belong_together_cannot_be_split() -> None:
    with pytest.raises(UserError, match=r"class 'b' has 2 rows that stay together \(equal texts, or"):
        split(["a", "a", "b", "b"], [0, 1, 2, 2], SHARES, seed=0)


def test_draw_keeps_shares_and_leaves_no_class_out() -> None:
    labels = ["a"] * 900 + ["b"] * 99 + ["c"]
    assert counts(labels, draw(labels, 100, seed=0)) == {"a": 90, "b": 9, "c": 1}
    assert len(draw(labels, 2, seed=0)) == 2
    assert draw(labels, 5000, seed=0) == list(range(1000))
    assert draw(labels, 100, seed=0) == draw(labels, 100, seed=0) != draw(labels, 100, seed=1)


@pytest.mark.parametrize("size", range(1, 40))
def test_draw_gives_exactly_what_is_asked_for(size: int) -> None:
    labels = [name for name, rows in zip("abcde", (17, 11, 7, 3, 2), strict=True) for _ in range(rows)]
    drawn = draw(labels, size, seed=0)
    assert len(set(drawn)) == size
    assert drawn == sorted(drawn)


def test_joined_follows_chains() -> None:
    assert joined(["a", "a", "b", "c"], [1, 2, 2, 3]) == [0, 0, 0, 3]
    assert joined([1, 2, 3, 1], [7, 8, 9, 8]) == [0, 0, 2, 0]

"""A point is named in one way that can be read back."""

from __future__ import annotations

import random

import pytest

from peftsearch.core.points import Point, parse_point


def test_what_is_written_is_read_back() -> None:
    draw = random.Random(0)
    for _ in range(200):
        point = Point(draw.randrange(10_000), draw.choice([None, draw.randrange(1, 500)]))
        assert parse_point(str(point)) == point


@pytest.mark.parametrize("text", ["", "best", "7@", "@3", "7@0", "-7", "7@-1", "7.3", " 7", "7@3@1", "7@03"])
def test_anything_else_names_no_point(text: str) -> None:
    assert parse_point(text) is None


def test_points_are_sorted_by_trial_and_then_by_epoch_with_the_whole_trial_last() -> None:
    points = [Point(7), Point(10, 1), Point(7, 2), Point(7, 10), Point(2)]
    assert [str(point) for point in sorted(points, key=lambda point: point.order)] == ["2", "7@2", "7@10", "7", "10@1"]

"""Labels cover neither each other nor what they must not, as long as there is room."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from peftsearch.report.figures.labels import Box, place_labels

FRAME = Box(0, 0, 800, 500)


def test_no_labels_overlap_though_points_are_close_or_equal() -> None:
    random = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in random.uniform([40, 40], [760, 460], (25, 2))] + [(400.0, 250.0)] * 3
    taken = [Box.around(x, y, 8, 8) for x, y in points]
    boxes = place_labels(points, [(14.0, 10.0)] * len(points), taken, FRAME)
    assert not any(one.shared(other) for one, other in combinations(boxes, 2))
    assert not any(box.shared(other) for box in boxes for other in taken)


def test_a_label_stays_near_its_point_and_inside_the_frame() -> None:
    for point in ((1.0, 1.0), (799.0, 499.0), (400.0, 499.0)):
        (box,) = place_labels([point], [(30.0, 10.0)], [], FRAME)
        assert box.shared(FRAME) == box.area
        centre = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
        assert np.hypot(centre[0] - point[0], centre[1] - point[1]) < 60


def test_where_there_is_no_room_the_least_is_covered() -> None:
    wall = [Box(0, 0, 800, 240), Box(0, 250, 800, 500)]
    (box,) = place_labels([(400.0, 245.0)], [(20.0, 10.0)], wall, FRAME)
    assert sum(box.shared(other) for other in wall) <= 0.5 * box.area

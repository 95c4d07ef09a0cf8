"""Places the labels of points so that they cover neither each other nor a point, as far as there is room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.top - self.bottom)

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> Box:
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


ANGLES = [math.radians(degrees) for degrees in (45, 135, 315, 225, 90, 270, 0, 180)]
RINGS = (1.0, 1.8, 2.7, 3.8)
"""How far from its point a label is tried, as a multiple of the nearest place."""


def place_labels(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], taken: Sequence[Box], inside: Box
) -> list[Box]:
    """A box for the label of each point.

    Each label in turn goes to the first place around its point where it covers nothing; if there is none, to the place
    where it covers least. Finding the best places for all labels together is NP-hard (Marks and Shieber, "The
    computational complexity of cartographic label placement", 1991).

    Args:
        points: in pixels.
        sizes: the width and the height of each label.
        taken: what no label may cover.
        inside: the frame that they must not leave.
    """
    placed: list[Box] = []
    for (x, y), (width, height) in zip(points, sizes, strict=True):
        reach = (width / 2 + 5, height / 2 + 5)
        places = [
            Box.around(x + ring * reach[0] * math.cos(angle), y + ring * reach[1] * math.sin(angle), width, height)
            for ring in RINGS
            for angle in ANGLES
        ]
        blocked = [*taken, *placed]
        placed.append(min(places, key=lambda box: _covered(box, blocked, inside)))
    return placed


def _covered(box: Box, blocked: Sequence[Box], inside: Box) -> float:
    return sum(box.shared(other) for other in blocked) + 10 * (box.area - box.shared(inside))

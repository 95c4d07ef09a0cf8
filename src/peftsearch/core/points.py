"""A point of a front: a whole trial, or a trial as it was after one of its epochs."""

from __future__ import annotations

import re
from dataclasses import dataclass

WRITTEN = re.compile(r"(?P<trial>\d+)(?:@(?P<epoch>[1-9]\d*))?")


@dataclass(frozen=True)
class Point:
    """What a person names to choose a classifier of a study.

    Attributes:
        trial: the trial's number.
        epoch: the epoch after which its training ends, 1 for the first; None for the whole trial.

    >>> str(Point(7)), str(Point(7, 3)), Point(7, 3).in_words
    ('7', '7@3', 'trial 7, epoch 3')
    """

    trial: int
    epoch: int | None = None

    def __str__(self) -> str:
        return str(self.trial) if self.epoch is None else f"{self.trial}@{self.epoch}"

    @property
    def as_json(self) -> int | str:
        """As lists of JSON data name it: the number of a whole trial, or else what is written on a command line."""
        return self.trial if self.epoch is None else str(self)

    @property
    def in_words(self) -> str:
        """As a sentence names it."""
        return f"trial {self.trial}" if self.epoch is None else f"trial {self.trial}, epoch {self.epoch}"

    @property
    def order(self) -> tuple[int, float]:
        """By this, points are sorted: by trial, then by epoch, with the whole trial last."""
        return self.trial, float("inf") if self.epoch is None else self.epoch


def parse_point(text: str) -> Point | None:
    """The point that `7` or `7@3` names; None if `text` names none.

    >>> parse_point("7@3")
    Point(trial=7, epoch=3)
    >>> parse_point("7@0") is None
    True
    """
    found = WRITTEN.fullmatch(text)
    return Point(int(found["trial"]), int(found["epoch"]) if found["epoch"] else None) if found else None

"""What a time limit is likely to allow, judged by the trials so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from peftsearch.results.pace import likely_reached
from peftsearch.storage.records import Record
from tests.helpers.records import complete

NOON = datetime(2026, 1, 1, 12)


def took(*seconds: float) -> list[Record]:
    return [
        replace(complete(n, "lora", 0.9, 100, 1.0), started=NOON, ended=NOON + timedelta(seconds=each))
        for n, each in enumerate(seconds)
    ]


@pytest.mark.parametrize(
    ("seconds", "left", "workers", "trials", "said"),
    [
        ((10, 10, 10), 600, 1, None, "about 60 more trials are likely to end in the 10 min 0 s left; "
                                     "the 3 so far took 10 s on average"),
        ((2, 10, 30, 60), 600, 1, None, "about 16 to 23 more trials are likely to end in the 10 min 0 s left; "
                                        "the 4 so far took 26 s on average"),
        ((10, 10, 10), 600, 2, None, "about 120 more trials are likely to end in the 10 min 0 s left; "
                                     "the 3 so far took 10 s on average"),
        ((10, 10, 10), 600, 1, 20, "all 20 trials are likely to end within the 10 min 0 s left"),
        ((2, 10, 30, 60), 600, 1, 24, "about 16 to 20 more trials are likely to end in the 10 min 0 s left; "
                                      "the 4 so far took 26 s on average"),
        ((60, 60, 60), 20, 1, None, "about 0 more trials are likely to end in the 20 s left; "
                                    "the 3 so far took 1 min 0 s on average"),
        ((10, 10), 600, 1, None, None),
    ],
)  # fmt: skip
def test_what_is_likely(
    seconds: Sequence[float], left: float, workers: int, trials: int | None, said: str | None
) -> None:
    assert likely_reached(took(*seconds), left, workers, trials) == said

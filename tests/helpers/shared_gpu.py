"""A search on a GPU whose steps take as many times longer as trials train on it at once, and its times without that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from peftsearch.core.measurement import EpochReport
from peftsearch.storage.records import Record
from tests.helpers.records import complete

NOON = datetime(2026, 1, 1, 12)
EPOCHS = 3


def trial(number: int, macro_f1: float, parameters: int, quiet: float, shared: int, begin: int = 0) -> Record:
    """A finished trial that takes `quiet` seconds alone, and trained while `shared` trials were on its GPU, with it."""
    found = complete(number, "lora", macro_f1, parameters, quiet * shared)
    assert found.measurement is not None
    curve = tuple(
        EpochReport(epoch, 1.0, 1.0, {"macro_f1": macro_f1 * epoch / EPOCHS}, quiet * shared / EPOCHS, 0.5, parameters)
        for epoch in range(1, EPOCHS + 1)
    )
    started = NOON + timedelta(hours=begin)
    return replace(
        found,
        measurement=replace(found.measurement, device="H100", best_epoch=EPOCHS, epochs=EPOCHS),
        curve=curve,
        worker={"host": "a", "pid": number, "device": "auto"},
        started=started,
        ended=started + timedelta(minutes=30),
    )


QUIET = {0: 10.0, 1: 6.0, 2: 9.0, 3: 3.0, 4: 20.0}
"""What each trial takes alone."""

SEARCHED: Sequence[Record] = (
    trial(0, 0.90, 1000, QUIET[0], 2),
    trial(1, 0.80, 1000, QUIET[1], 2),
    trial(2, 0.85, 1000, QUIET[2], 1, begin=1),  # alone, so that it seems to be faster than trial 1
    trial(3, 0.70, 1000, QUIET[3], 2, begin=2),
    trial(4, 0.60, 1000, QUIET[4], 2, begin=2),  # whatever it takes alone, trial 3 is better
)
"""Trials 0 and 1 ran together, and so did 3 and 4."""

"""The numbers of a logarithmic axis are few, round and enclose what is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from peftsearch.report.figures.ticks import MOST_TICKS, ticks


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([21.0], ["20", "50"]),
        ([5.0, 41.0], ["5", "10", "20", "50"]),
        ([0.3, 4100.0], ["0.1", "1", "10", "100", "1,000", "10,000"]),
        ([1.0, 1.0], ["1"]),
    ],
)
def test_times(values: Sequence[float], written: Sequence[str]) -> None:
    assert [tick.text for tick in ticks(values)] == written


def test_parameters_are_abbreviated() -> None:
    found = ticks([768.0, 22_000_000.0], parameters=True)
    assert [tick.text for tick in found] == ["100", "1 k", "10 k", "100 k", "1 M", "10 M", "100 M"]


def test_zero_has_a_number_of_its_own() -> None:
    assert [tuple(tick) for tick in ticks([2.0, 9.0], 1.0)] == [(1.0, "0"), (2.0, "2"), (5.0, "5"), (10.0, "10")]
    assert [tuple(tick) for tick in ticks([], 0.5)] == [(0.5, "0")]
    assert ticks([]) == []


@pytest.mark.parametrize("decades", range(1, 20))
def test_there_are_never_too_many_and_they_enclose_all(decades: int) -> None:
    least, most = 3.7, 3.7 * 10.0**decades
    found = [tick.at for tick in ticks([least, most])]
    assert 2 <= len(found) <= MOST_TICKS
    assert found[0] <= least
    assert found[-1] >= most

"""Which trials' latency is measured for a recommendation, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from peftsearch.confirm.summary import Confirmation
from peftsearch.core.points import Point
from peftsearch.recommend.candidates import Candidate, Judged, candidates
from peftsearch.recommend.latency import with_latency
from peftsearch.recommend.limits import read_limits
from peftsearch.recommend.recommendation import choose
from peftsearch.recommend.sentences import sentences
from peftsearch.results.front import rows
from tests.helpers.records import OBJECTIVES, complete, measurement

RECORDED = replace(
    complete(0, "full", 0.9, 22_000_000, 40.0), measurement=measurement(0.9, 22_000_000, latency_ms=50.0)
)
RECORDS = [RECORDED, complete(1, "lora", 0.89, 220_000, 20.0, rank=8), complete(2, "probe", 0.7, 4_400, 5.0)]
KNOWN = candidates(rows(RECORDS, OBJECTIVES), Confirmation("toy", "macro_f1", (), ()))


def timed(**limits: float) -> tuple[list[Candidate], list[int]]:
    """The candidates with their latency, and which trials were asked for. The weights of trial 2 are not kept."""
    asked: list[Point] = []

    def measure(points: Sequence[Point]) -> dict[Point, float]:
        asked.extend(points)
        return {point: 20.0 for point in points if point != Point(2)}

    return with_latency(KNOWN, read_limits(limits, "macro_f1"), measure), asked


def test_what_is_not_recorded_is_measured_where_weights_are_kept() -> None:
    found, asked = timed(max_latency_ms=30.0)
    assert asked == [Point(1), Point(2)]
    values = {candidate.point.trial: candidate.values.get("latency_ms") for candidate in found}
    assert values == {0: 50.0, 1: 20.0, 2: None}


def test_what_misses_another_limit_is_not_measured() -> None:
    assert timed(max_latency_ms=30.0, min_quality=0.8)[1] == [Point(1)]
    assert timed(max_latency_ms=30.0, min_quality=0.895)[1] == []


def test_the_answer_tells_the_latency_and_that_it_was_measured_now() -> None:
    limits = tuple(read_limits({"max_latency_ms": 30.0}, "macro_f1"))
    found = choose("toy", timed(max_latency_ms=30.0)[0], limits, "quality", Judged("macro_f1", OBJECTIVES, {}))
    assert found.trial == 1
    reached, _, _, now, _ = sentences(found)
    assert reached.endswith("train time 20.00 s, latency 20.0 ms")
    assert now == "latency was measured now, on this machine's CPU, for 1 of 3 trials, whose weights are kept"

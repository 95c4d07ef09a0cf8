"""Which trials shared their device with others, so that the wall clock shows more than they would take alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peftsearch.storage.records import Record

Span = tuple[datetime, datetime]


def sharing(records: Sequence[Record]) -> dict[int, int]:
    """For each trial timed by the wall clock: how many trials ran on its device at once, at most, with itself.

    A trial whose device is not known is taken to have had it to itself.
    """
    places: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        if record.started and record.ended and "host" in record.worker:
            place = tuple(record.worker.get(name) for name in ("host", "device", "gpus"))
            places.setdefault(place, []).append(record)
    measured = {record.number: record.measurement or record.so_far for record in records}
    found = {number: 1 for number, each in measured.items() if each and each.clock == "wall"}
    for own in places.values():
        spans = [(record.started, record.ended) for record in own if record.started and record.ended]
        found |= {
            record.number: _at_once((record.started, record.ended), spans)
            for record in own
            if record.number in found and record.started and record.ended
        }
    return found


def beside_others(records: Sequence[Record]) -> tuple[int, ...]:
    """The finished trials timed by the wall clock during which another one ran on the same device and machine."""
    shared = sharing(records)
    return tuple(sorted(r.number for r in records if r.state == "complete" and shared.get(r.number, 1) > 1))


def _at_once(own: Span, spans: Sequence[Span]) -> int:
    """The most of `spans` that lie over one moment of `own`, which is one of them."""
    began, ended = own
    meeting = [span for span in spans if span[0] < ended and began < span[1]]
    moments = [began, *(start for start, _ in meeting if start > began)]
    return max([1, *(sum(start <= moment < end for start, end in meeting) for moment in moments)])

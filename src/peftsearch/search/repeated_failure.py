"""When a search is given up because its trials only fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from peftsearch.storage.liveness.worker_identity import host
from peftsearch.storage.records import ended_records
from peftsearch.storage.trial_attributes import OUTSIDE_SPACE

if TYPE_CHECKING:
    from optuna.study import Study

EQUAL_ERRORS = 3
"""A search is given up after this many errors in a row of the same type from the same line of code."""

ANY_FAILURES = 10
"""A search is given up after this many failures in a row of any kind."""

NOT_TRAINED: frozenset[str] = frozenset({"interrupted", OUTSIDE_SPACE})
"""Kinds of failure that say nothing about training: what lost its machine, and what somebody else had enqueued."""

DETAIL_CHARACTERS = 4_000


@dataclass(frozen=True)
class RepeatedFailure:
    """Why a search is given up.

    Attributes:
        message: how many trials failed, and the last error, in one line.
        details: the end of the last error's traceback; empty if the last failure has none.
    """

    message: str
    details: str = ""


def repeated_failure(study: Study, since: float, machine: str | None = None) -> RepeatedFailure | None:
    """Why the search is to be given up, judged by the trials that ended last; None if it may go on.

    Only those of one machine count. Another one may lack what they failed for, or have what they need. Its clock and
    its time zone may also be others, so that it is not known which of them ended last.

    Args:
        since: unix time; trials that ended before do not count, since their cause may have been mended.
        machine: which one, as its workers name it; by default this one.
    """
    began, here = datetime.fromtimestamp(since), machine or host()
    own = (trial for trial in ended_records(study) if trial.worker.get("host", here) == here)
    ended = [(trial.ended, trial.failure or {}) for trial in own if trial.ended and trial.ended >= began]
    ended = [(when, failure) for when, failure in ended if failure.get("kind") not in NOT_TRAINED]
    last = [failure for _, failure in sorted(ended, key=lambda end: end[0])[-ANY_FAILURES:]]
    places = {_place(failure) for failure in last[-EQUAL_ERRORS:]}
    if len(last) >= EQUAL_ERRORS and len(places) == 1 and None not in places:
        return _described(f"{EQUAL_ERRORS} trials in a row failed alike", last[-1])
    if len(last) == ANY_FAILURES and all(last):
        return _described(f"{ANY_FAILURES} trials in a row failed, the last one with", last[-1])
    return None


def _place(failure: Mapping[str, str]) -> str | None:
    """What tells an error from others. Its message may hold the number of the trial, so that it never comes twice."""
    return failure.get("place", failure["message"]) if failure.get("kind") == "error" else None


def _described(how_many: str, failure: Mapping[str, str]) -> RepeatedFailure:
    return RepeatedFailure(f"{how_many}: {failure['message']}", failure.get("traceback", "")[-DETAIL_CHARACTERS:])

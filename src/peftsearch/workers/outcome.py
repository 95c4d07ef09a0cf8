"""How a search ended, and what counts and names on the way there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from peftsearch.storage.records import Record

How = Literal["done", "flat", "interrupted", "timeout", "exhausted", "errors", "deaths", "storage"]


@dataclass(frozen=True)
class Outcome:
    """How a search ended.

    Attributes:
        how: `done` means that all trials asked for have ended.
        message: why it ended otherwise; for `flat` how little the last trials have added, for `interrupted` what did
            it: `Ctrl-C`, `SIGTERM` or `SIGHUP`.
        details: the end of the last error's traceback, where errors ended the search.
    """

    how: How
    message: str = ""
    details: str = field(default="", compare=False)


@dataclass
class DeathsInARow:
    """Counts the workers that died since the last trial finished."""

    count: int = 0
    finished_trials: int = 0

    def add(self, finished_trials: int) -> int:
        """Count one more death, at which so many trials have finished; the deaths in a row."""
        self.count = 1 if finished_trials > self.finished_trials else self.count + 1
        self.finished_trials = finished_trials
        return self.count


def trials_in_words(running: Sequence[Record]) -> str:
    """Trials that run, with their workers: `trial 6 (process 71 on beta)`."""
    workers = [f"process {r.worker['pid']} on {_machine(r)}" if r.worker else "no worker yet" for r in running]
    named = [f"{record.number} ({worker})" for record, worker in zip(running, workers, strict=True)]
    return f"{'trial' if len(named) == 1 else 'trials'} {', '.join(named)}"


def _machine(record: Record) -> str:
    return str(record.worker["host"]).partition("/")[0]

"""What is shown while `confirm` trains: a bar for each run, and a line about each run that has ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from peftsearch.report.confirmation import failure_in_words, words_of
from peftsearch.report.running import running_view
from peftsearch.results.formatting import duration, objective_in_words, objective_label

if TYPE_CHECKING:
    from rich.console import RenderableType

    from peftsearch.confirm.progress import ConfirmedRun, RunsSoFar
    from peftsearch.storage.confirm_queue import Repeat
    from peftsearch.storage.records import Record


def confirming_view(now: RunsSoFar, metric: str) -> Iterator[RenderableType]:
    """How far the runs are, and those that are trained now, for a terminal that is redrawn."""
    yield ", ".join([f"{now.done} of {now.total} runs done", *_left(now.left)])
    names = [_name(repeat, record) for repeat, record in now.running]
    yield from running_view([record for _, record in now.running], metric, names)


def progress_line(done: ConfirmedRun, metric: str) -> str:
    """One line about a run that has just ended."""
    run, config = done.run, done.config
    heading = f"{done.place}/{done.total} {words_of(run.point)} ({config.method}), seed {run.seed}"
    if run.test is None or run.measurement is None:
        return ", ".join([f"{heading} failed: {failure_in_words(run)}", *_left(done.left)])
    test, validation = (objective_in_words(metric, m[metric]) for m in (run.test.metrics, run.measurement.metrics))
    scores = f"{objective_label(metric)} {test} on test, {validation} on validation"
    return ", ".join([f"{heading}: {scores}, took {duration(run.seconds)}", *_left(done.left)])


def _left(seconds: float | None) -> list[str]:
    return [f"about {duration(seconds)} left"] if seconds is not None and seconds >= 1 else []


def _name(repeat: Repeat, record: Record) -> str:
    config = record.config
    return words_of(repeat.point) + (f" {config.method}, seed {config.training.seed}" if config else "")

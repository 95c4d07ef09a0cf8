"""Trains trials again with other seeds, by workers as a search's are, and lets them be measured on the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from peftsearch.confirm.once import TEST
from peftsearch.confirm.plan import (
    BEST,
    SEEDS,
    Run,
    alone_last,
    chosen_points,
    is_over,
    missing_runs,
    unknown_conditions,
)
from peftsearch.confirm.progress import ConfirmedRun, Progress, RunsSoFar, seconds_in_the_search
from peftsearch.core.errors import UserError
from peftsearch.core.points import Point
from peftsearch.core.secrets import HIDDEN, hide_source
from peftsearch.data.splits import check_split
from peftsearch.optimize.begin import job_of_queue
from peftsearch.results.formatting import duration
from peftsearch.storage.alike.data import check_trial_data
from peftsearch.storage.alike.packages import other_packages
from peftsearch.storage.confirm_queue import REFERENCE_POINT, enqueue, open_queue
from peftsearch.storage.confirmations import SeedRun, read_openings, read_runs, write_opening
from peftsearch.storage.records import Record
from peftsearch.workers.engine import Engine
from peftsearch.workers.local import LocalEngine, local_engine
from peftsearch.workers.outcome import Outcome
from peftsearch.workers.supervisor import run_workers

if TYPE_CHECKING:
    from peftsearch.data.base import TextData
    from peftsearch.data.section import DataSection
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.study.spec import StudySpec

__all__ = ["TEST", "Places", "Wanted", "check_same_data", "chosen_points", "confirm", "searched_data"]

WORKER = "peftsearch.confirm.worker"


@dataclass(frozen=True)
class Wanted:
    """What to confirm.

    Attributes:
        trials: trials, epochs as `7@3`, or `best`; none for the front and its runners-up.
        best: how many points the front and its runners-up are.
        seeds: how many other seeds each of them is trained with.
    """

    trials: Sequence[int | str | Point] = ()
    best: int = BEST
    seeds: int = SEEDS


@dataclass(frozen=True)
class Places:
    """Where runs are trained.

    Attributes:
        alone: trains one run at a time.
        together: trains several at once; None where every run is trained alone.
    """

    alone: Engine
    together: Engine | None = None

    @classmethod
    def local(cls, workers: int | None = None, per_device: int | None = None) -> Places:
        """Processes of this machine, as many as `workers.local.local_engine` says."""
        engine = local_engine(workers, per_device, WORKER)
        one = engine.packing is None and engine.workers == 1
        return cls(LocalEngine(1, module=WORKER), None if one else engine)


def confirm(
    stored: StoredStudy,
    spec: StudySpec,
    data: TextData,
    wanted: Wanted,
    places: Places,
    on_run: Callable[[ConfirmedRun], None],
    say: Callable[[str], None],
    on_tick: Callable[[RunsSoFar], None] = lambda _: None,
) -> Outcome:
    """Train each trial with other seeds, except for runs done before, and write its scores to the storage.

    Where several workers train at once, each trial's last run waits until the others have ended, and is trained alone,
    so that its time can be compared.

    Args:
        stored: the study.
        spec: the study file, whose data section is replaced by the one that was searched.
        data: the data as the search read it.
        wanted: the trials and the seeds.
        places: where the runs are trained.
        on_run: called after each run.
        say: called with each note worth knowing, one line each.
        on_tick: called about once a second with how far the runs are.

    Returns:
        How it ended.

    Raises:
        UserError: a trial is missing or unfinished, the data has changed, or it has no test split.
    """
    chosen = chosen_points(stored, wanted.trials, wanted.best)
    check_same_data(stored, chosen, data)
    known = read_runs(stored.study)
    missing = missing_runs(stored, chosen, wanted.seeds, known)
    if not missing:
        say("all of these runs are already done")
        return Outcome("done")
    points = sorted({run.repeat.point for run in missing} - {REFERENCE_POINT}, key=lambda point: point.order)
    check_split(data, TEST)
    for note in (*opened_before(stored, points), *_notes(stored, chosen, missing, known)):
        say(note)
    write_opening(stored.study, points)  # before the first look: a look that fails is a look too
    together, alone = alone_last(missing) if places.together else ([], [run.alone() for run in missing])
    expected, queue = seconds_in_the_search(stored, chosen), open_queue(stored.study)
    progress = Progress(stored.study, queue, [*together, *alone], expected, on_run, on_tick)
    return _train(stored, spec, places, progress, say)


def _train(
    stored: StoredStudy, spec: StudySpec, places: Places, progress: Progress, say: Callable[[str], None]
) -> Outcome:
    queue = progress.queue
    document = {**spec.document, "data": searched_section(stored, spec).model_dump(mode="json")}
    job = replace(job_of_queue(stored, spec, queue), document=document)
    for engine, alone in ((places.together, False), (places.alone, True)):
        runs = [run for run in progress.runs if run.repeat.alone == alone]
        if runs and engine:
            enqueue(queue, [(run.config, run.repeat) for run in runs])
            outcome = run_workers(queue, job, engine, on_tick=progress, say=say)
            if outcome.how != "done":
                return outcome
    return Outcome("done")


def searched_data(stored: StoredStudy, spec: StudySpec) -> TextData:
    """Read the data as the search read it, with its `--data` and `--limit`.

    Raises:
        UserError: the data is gone or cannot be used.
    """
    from peftsearch.data.load import data_of_study

    return data_of_study(searched_section(stored, spec), spec.folder, stored.folder)


def searched_section(stored: StoredStudy, spec: StudySpec) -> DataSection:
    """The data section that was searched; that of `spec` for a study that has not kept it."""
    from peftsearch.data.section import DataSection

    searched = stored.about.data
    return DataSection(**_with_secrets(searched, spec)) if searched else spec.data


def _with_secrets(searched: Mapping[str, Any], spec: StudySpec) -> Mapping[str, Any]:
    """The data section that was searched; the secrets of its URLs are those of `spec`, since none are kept."""
    kept, written = searched.get("source"), spec.data.source
    if HIDDEN not in str(kept):
        return searched
    if hide_source(written) != kept:
        raise UserError("the search read its data from a URL whose secrets are not kept; name it again with --data")
    return {**searched, "source": written}


def opened_before(stored: StoredStudy, points: Sequence[Point]) -> list[str]:
    """A warning if the test split was opened before, but not for all of `points`."""
    earlier = read_openings(stored.study)
    known = sorted({point for opening in earlier for point in opening.points}, key=lambda point: point.order)
    if not earlier or set(points) <= set(known):
        return []
    return [
        f"note: the test split was opened before ({earlier[-1].when}, trials {', '.join(map(str, known))}); "
        f"whoever chooses trials by their test scores makes these scores as optimistic as the validation scores"
    ]


def _notes(
    stored: StoredStudy, chosen: Sequence[Record], missing: Sequence[Run], known: Sequence[SeedRun]
) -> list[str]:
    """What is worth knowing before the first run: one line each."""
    notes, wanted = [], {run.key for run in missing}
    again = [run for run in known if not run.failure and not is_over(run) and (run.point, run.seed) in wanted]
    if again:
        notes.append(
            f"note: {_runs(len(again))} of an earlier version did not keep what was said of each row, without which "
            "there is no interval, and will be done again"
        )
    if other := other_packages(stored.study):
        notes.append(f"note: {other}; the new runs say what the trials score with this machine's versions")
    unknown = unknown_conditions(chosen)
    if unknown:
        notes.append(
            f"note: an earlier version trained {_trials(unknown)}, and did not keep the number of CPU threads nor "
            "--exact; this machine's threads are used, without --exact"
        )
    cut = [record.point for record in chosen if record.measurement and record.measurement.out_of_time]
    if cut:
        notes.append(
            f"note: the time limit of the search ended {_trials(cut)} before the last epoch; the new runs end after "
            "the same epoch"
        )
    times = {record.point: record.measurement.duration for record in chosen if record.measurement}
    times[REFERENCE_POINT] = stored.reference.seconds if stored.reference else 0.0
    seconds = sum(times[run.repeat.point] for run in missing)
    return [*notes, f"{_runs(len(missing))} to do, about {duration(seconds)} of training"]


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _trials(points: Sequence[Point]) -> str:
    return points[0].in_words if len(points) == 1 else f"trials {', '.join(map(str, points))}"


def check_same_data(stored: StoredStudy, chosen: Sequence[Record], data: TextData) -> None:
    """Refuse data that the trials were not trained on.

    Raises:
        UserError: says what differs.
    """
    for record in chosen:
        there = record.measurement.data_fingerprint if record.measurement else None
        check_trial_data(stored.study, record.number, there, data)

"""Trains trials again with other seeds and measures them on the test split. No other module opens the test split."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import TrialFailure, UserError
from peftsearch.core.secrets import HIDDEN, hide_source
from peftsearch.methods.table import METHODS
from peftsearch.results.formatting import duration
from peftsearch.storage.confirmations import SeedRun, now, read_openings, read_runs, write_opening, write_run
from peftsearch.storage.records import Record

if TYPE_CHECKING:
    from peftsearch.data.base import TextData
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.study.spec import StudySpec

TEST = "test"


@dataclass(frozen=True)
class ConfirmedRun:
    """A run with another seed that has just ended: number `place` of the `total` runs to do."""

    run: SeedRun
    config: TrialConfig
    place: int
    total: int


def confirm(
    stored: StoredStudy,
    data: TextData,
    trials: Sequence[int | str],
    seeds: int,
    on_run: Callable[[ConfirmedRun], None],
    say: Callable[[str], None],
) -> None:
    """Train each trial with `seeds` other seeds, except for runs done before, and write its scores to the storage.

    Args:
        stored: the study.
        data: the data as the search read it.
        trials: trial numbers, or `best`; none for every trial on the front.
        seeds: how many other seeds each trial is trained with.
        on_run: called after each run.
        say: called with each note worth knowing, one line each.

    Raises:
        UserError: a trial is missing or unfinished, the data has changed, or it has no test split.
    """
    chosen = chosen_trials(stored, trials)
    check_same_data(stored, chosen, data)
    missing = _missing(chosen, seeds, read_runs(stored.study))
    if not missing:
        say("all of these runs are already done")
        return
    numbers = sorted({record.number for record, _ in missing})
    for note in (*opened_before(stored, numbers), _announcement([record for record, _ in missing])):
        say(note)

    from peftsearch.training.evaluate import check_split

    check_split(data, TEST)
    write_opening(stored.study, numbers)  # before the first look: a look that fails is a look too
    for place, (record, config) in enumerate(missing, start=1):
        run = run_once(record.number, config, data, stored.folder.tokens)
        write_run(stored.study, run)
        on_run(ConfirmedRun(run, config, place, len(missing)))


def searched_data(stored: StoredStudy, spec: StudySpec) -> TextData:
    """Read the data as the search read it, with its `--data` and `--limit`.

    Raises:
        UserError: the data is gone or cannot be used.
    """
    from peftsearch.data.load import load_data
    from peftsearch.data.section import DataSection

    searched = stored.about.data
    section = DataSection(**_with_secrets(searched, spec)) if searched else spec.data
    return load_data(section, spec.folder, stored.folder.data)


def _with_secrets(searched: Mapping[str, Any], spec: StudySpec) -> Mapping[str, Any]:
    """The data section that was searched; the secrets of its URLs are those of `spec`, since none are kept."""
    kept, written = searched.get("source"), spec.data.source
    if HIDDEN not in str(kept):
        return searched
    if hide_source(written) != kept:
        raise UserError("the search read its data from a URL whose secrets are not kept; name it again with --data")
    return {**searched, "source": written}


def chosen_trials(stored: StoredStudy, trials: Sequence[int | str]) -> list[Record]:
    """The finished trials that `trials` names, each once; by default those on the front.

    Raises:
        UserError: a trial is missing or unfinished, or no trial has finished.
    """
    if not trials:
        return [row.record for row in stored.nonempty_front()]
    found = [stored.trial(number) for number in dict.fromkeys(map(stored.number, trials))]
    for record in found:
        if record.state != "complete" or record.config is None:
            finished = ", ".join(str(row.record.number) for row in stored.rows()) or "none"
            raise UserError(
                f"--trial {record.number}: it is {record.state}, and only complete trials can be trained again: "
                f"{finished}"
            )
    return found


def opened_before(stored: StoredStudy, trials: Sequence[int]) -> list[str]:
    """A warning if the test split was opened before, but not for all of `trials`."""
    earlier = read_openings(stored.study)
    known = {number for opening in earlier for number in opening.trials}
    if not earlier or set(trials) <= known:
        return []
    return [
        f"note: the test split was opened before ({earlier[-1].when}, trials {', '.join(map(str, sorted(known)))}); "
        f"whoever chooses trials by their test scores makes these scores as optimistic as the validation scores"
    ]


def run_once(trial: int, config: TrialConfig, data: TextData, cache: Path) -> SeedRun:
    """Train `config`, choose the best epoch on the validation split, and only then measure it on the test split."""
    from peftsearch.training.evaluate import measure_split
    from peftsearch.training.trial import run_trial

    sealed = replace(data, splits={name: rows for name, rows in data.splits.items() if name != TEST})
    started, outcome = time.perf_counter(), dict[str, Any]()
    try:
        result = run_trial(config, sealed, lambda _: None, cache=cache)
        outcome = {"measurement": result.measurement, "test": measure_split(result, data, TEST, cache=cache)}
    except TrialFailure as failure:
        outcome = {"failure": {"kind": failure.kind, "message": str(failure)}}
    return SeedRun(trial, config.training.seed, time.perf_counter() - started, now(), **outcome)


def reseeded(config: TrialConfig, seeds: int) -> Iterator[TrialConfig]:
    """The same configuration with the next `seeds` seeds; with one seed if its method is not random."""
    for step in range(1, (seeds if METHODS[config.method].random else 1) + 1):
        yield replace(config, training=replace(config.training, seed=config.training.seed + step))


def _missing(records: Sequence[Record], seeds: int, known: Sequence[SeedRun]) -> list[tuple[Record, TrialConfig]]:
    """The runs still to do: every trial with the first seed, then with the next, so that a stop leaves trials with the
    same seeds, which can be compared."""
    done = {(run.trial, run.seed) for run in known if _is_over(run.failure)}
    planned = [
        (place, record, config)
        for record in records
        if record.config
        for place, config in enumerate(reseeded(record.config, seeds))
        if (record.number, config.training.seed) not in done
    ]
    return [(record, config) for _, record, config in sorted(planned, key=lambda plan: plan[0])]


def _announcement(records: Sequence[Record]) -> str:
    """One line that says how many runs are to do, and how long they took in the search."""
    seconds = sum(record.measurement.train_seconds for record in records if record.measurement)
    return f"{len(records)} run{'s' if len(records) > 1 else ''} to do, about {duration(seconds)} of training"


def _is_over(failure: Mapping[str, str] | None) -> bool:
    """Whether repeating a run is useless: memory may suffice the next time, but the loss will not be finite."""
    return failure is None or failure["kind"] != "out_of_memory"


def check_same_data(stored: StoredStudy, chosen: Sequence[Record], data: TextData) -> None:
    """Refuse data that the trials were not trained on.

    Raises:
        UserError: it has another fingerprint.
    """
    for record in chosen:
        there = record.measurement.data_fingerprint if record.measurement else None
        if there != data.fingerprint:
            raise UserError(
                f"the data of {stored.name!r} is not what trial {record.number} was trained on (fingerprint {there} "
                f"then, {data.fingerprint} now); restore the data, or search again with --fork NEW_NAME"
            )

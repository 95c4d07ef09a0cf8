"""What to do about a trial without weights, and a trial trained once more as the search did, to have them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from peftsearch.confirm.run import TEST, check_same_data, chosen_points, searched_data
from peftsearch.core.errors import TrialFailure, UserError
from peftsearch.core.files.cache_folder import cache_folder
from peftsearch.core.objectives import find_objective
from peftsearch.core.points import Point
from peftsearch.core.progress import ending_after
from peftsearch.results.formatting import objective_with_unit
from peftsearch.results.naming import STATES, epochs_instead
from peftsearch.storage.kept.front_checkpoints import save_checkpoint

if TYPE_CHECKING:
    from peftsearch.core.measurement import Measurement
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.records import Record
    from peftsearch.study.spec import StudySpec


def no_weights(stored: StoredStudy, record: Record, problem: str) -> str:
    """Why a trial cannot be exported as it is, and each way to its weights, as a message.

    Args:
        problem: what `checkpoint_problem` says of its checkpoint.
    """
    trial, file = f"--trial {record.point}", f"trial-{record.point}.yaml"
    if record.point in (row.point for row in stored.points() if row.kept):
        return f"{trial}: its checkpoint is {problem}; to train the trial again and then export it, add --retrain"
    if record.config is None or record.state in ("waiting", "running"):
        return f"{trial}: {STATES[record.state]}, and has no weights yet"
    written = f"peftsearch export --study {stored.name} --trial {record.point} --config {file}"
    train = f"train its configuration: {written}, then: peftsearch train --config {file} --out DIR"
    if record.state == "complete":
        why = "its weights were not kept (only the front's are)"
        return f"{trial}: {why}; add --retrain to train it again as the search did, or {train}"
    if instead := epochs_instead(record, stored.objectives):
        return f"{trial}: {STATES[record.state]}; {instead}, or {train}"
    return f"{trial}: {STATES[record.state]}, and has no weights; {train}"


def train_again(stored: StoredStudy, spec: StudySpec, point: Point, say: Callable[[str], None]) -> None:
    """Train a finished trial, or one as far as an epoch, with its own configuration and seed, and save its checkpoint.

    On the same machine the result is the trial's own; other hardware or versions round differently. What the trial
    measured in the search stays as it is in the storage; the checkpoint holds what was measured now.

    Args:
        say: receives one line with the quality now and in the search.

    Raises:
        UserError: the trial is not finished, its data has changed, or training fails.
    """
    from peftsearch.training.trial import run_trial

    [record] = chosen_points(stored, [point])
    data = searched_data(stored, spec)
    check_same_data(stored, [record], data)
    sealed = replace(data, splits={name: rows for name, rows in data.splits.items() if name != TEST})
    assert record.config is not None, "a finished trial has a configuration"
    exact = bool(record.measurement and record.measurement.exact)
    report = ending_after(record.measurement.cut_after if record.measurement else None, lambda _: None)
    try:
        result = run_trial(
            record.config, sealed, report, cache=cache_folder().root, exact=exact, last_epoch=record.epoch
        )
    except TrialFailure as failure:
        raise UserError(f"--trial {record.point}: it failed when it was trained again: {failure}") from failure
    save_checkpoint(result, stored.folder.weights, record.point)
    now = find_objective(stored.quality).read(result.measurement)
    quality, earlier = (objective_with_unit(stored.quality, value) for value in (now, record.values[stored.quality]))
    say(f"{record.point.in_words} was trained again{_end(result.measurement)}: {quality}; in the search: {earlier}")


def _end(measured: Measurement) -> str:
    return f" and ended after epoch {measured.epochs}, as the time limit ended it" if measured.out_of_time else ""

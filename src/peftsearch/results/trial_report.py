"""One trial in full: what `trial` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import UserError
from peftsearch.core.run_folder import TENSORS
from peftsearch.results.front import full_trial_json

if TYPE_CHECKING:
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.records import Record


def find_trial(stored: StoredStudy, number: int) -> Record:
    """The trial with this number.

    Raises:
        UserError: there is none; says which there are.
    """
    known = stored.records()
    found = next((record for record in known if record.number == number), None)
    if found is None:
        numbers = f"its trials are {known[0].number} to {known[-1].number}" if known else "it has none yet"
        raise UserError(f"study {stored.name!r} has no trial {number}; {numbers}")
    return found


def kept_weights(stored: StoredStudy, number: int) -> Path | None:
    """The folder of the trial's weights, if they were kept."""
    folder = stored.folder.weights / str(number)
    return folder if (folder / TENSORS).is_file() else None


def trial_json(record: Record, objectives: Sequence[str], weights: Path | None) -> dict[str, Any]:
    """All there is, for programs; `classes` is null where no class was counted."""
    report = record.measurement.classes if record.measurement else None
    return {
        **full_trial_json(record, objectives),
        "classes": [vars(score) for score in report.scores()] if report else None,
        "confusion_matrix": report.matrix() if report else None,
        "weights": str(weights) if weights else None,
    }

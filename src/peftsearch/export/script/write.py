"""Writes a trial as a script that needs the libraries alone, and the rows that it was trained on beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.confirm.run import check_same_data, searched_data
from peftsearch.core.calls.arguments import checked
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.points import Point
from peftsearch.export.configuration import check_new, config_of, trial_in_words, write_text_whole
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.results.open import Study, results_of
from peftsearch.results.stored_study import StoredStudy
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import load_study

if TYPE_CHECKING:
    from datasets import Dataset

    from peftsearch.data.base import TextData
    from peftsearch.storage.records import Record

SPLITS = ("train", "validation")
"""The rows that are written; the test split stays sealed."""


@checked
def export_script(
    study: Study | StoredStudy,
    trial: int | str | Point,
    file: str | Path,
    *,
    storage: str | None = None,
    fork: str | None = None,
    overrides: Overrides | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a script that trains a trial's configuration with torch, transformers and the method's library alone.

    The script is short and meant to be read and changed. Beside it, `NAME-rows/train.jsonl` and
    `NAME-rows/validation.jsonl` hold the rows as the search read them. It trains what the trial trained, with batches
    in another order, so that its scores are the trial's but for noise.

    Args:
        study: results that are open already, or a study as `open_results` takes it.
        trial: a number, of a trial in any state that has a configuration, an epoch of a trial as `"7@3"`, or `best`.
        file: a new file that ends in `.py`.
        storage: as for `open_results`.
        fork: as for `open_results`.
        overrides: as for `open_results`.
        overwrite: whether existing files are replaced.

    Returns:
        The path of the script.

    Raises:
        UserError: there is no such trial, a short script cannot do what it did, its data has changed, or a file exists
            or cannot be written.

    Examples:
        >>> export_script("quickstart", "best", "train.py").name
        'train.py'
    """
    source: Study = study.name if isinstance(study, StoredStudy) else study
    stored = results_of(study, storage, fork, overrides)
    script, record = Path(file), stored.trial(trial)
    rows = {split: script.parent / f"{script.stem}-rows" / f"{split}.jsonl" for split in SPLITS}
    check_new([script, *rows.values()], "--script", overwrite)
    config = config_of(record)
    data = searched_data(stored, load_study(source, overrides))
    if record.measurement:
        check_same_data(stored, [record], data)
    text = _text(stored, record, config, data, script)
    for split, place in rows.items():
        write_text_whole(place, "".join(_lines(data.splits[split], data.labels)))
    write_text_whole(script, text)
    return script


def _text(stored: StoredStudy, record: Record, config: TrialConfig, data: TextData, file: Path) -> str:
    from peftsearch.export.script.encoder_script import EncoderScript
    from peftsearch.export.script.text_script import text_script

    about = {
        "title": f"Trains a classifier of texts by the method {config.method}.",
        "origin": f"{trial_in_words(stored, record)} on the validation rows." if record.values else
        f"{trial_in_words(stored, record)}.",
        "file": file.name,
        "rows": f"{file.stem}-rows",
    }  # fmt: skip
    if config.method in TEXT_METHODS:
        return text_script(config, data.labels, about)
    measured = record.measurement
    how = (measured.precision, measured.cut_after) if measured else ("fp32", None)
    script = EncoderScript(config, data.labels, data.pair, *how, last_epoch=record.epoch)
    reason = script.unfaithful()
    if reason:
        raise UserError(f"--script {file}: {reason}; write the configuration instead: --config FILE")
    return script.text(about)


def _lines(rows: Dataset, labels: tuple[str, ...]) -> Iterator[str]:
    for row in rows:
        yield json.dumps({**row, "label": labels[row["label"]]}, ensure_ascii=False) + "\n"

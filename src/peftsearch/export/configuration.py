"""A trial's configuration as a small study file that leaves nothing to search: what `peftsearch train` trains."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.calls.arguments import checked
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.files.disk import replacing
from peftsearch.core.packages import expanded
from peftsearch.core.points import Point
from peftsearch.methods.table import METHODS
from peftsearch.results.formatting import objective_with_unit
from peftsearch.results.naming import STATES
from peftsearch.results.open import Study, results_of
from peftsearch.results.stored_study import StoredStudy
from peftsearch.study.conditions import is_active
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import load_study

if TYPE_CHECKING:
    from peftsearch.storage.records import Record


@checked
def export_config(
    study: Study | StoredStudy,
    trial: int | str | Point,
    file: str | Path,
    *,
    storage: str | None = None,
    fork: str | None = None,
    overrides: Overrides | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the configuration of a trial to a file, with which `train_config` trains it without a search.

    The file is a small study file that leaves nothing to search. Paths in it are relative where both it and the data
    lie in the working directory, and the secrets of URLs are left out.

    Args:
        study: results that are open already, or a study as `open_results` takes it.
        trial: a number, of a trial in any state that has a configuration, an epoch of a trial as `"7@3"`, or `best`.
        file: a new file; its suffix says in which format: `.yaml`, `.yml` or `.json`.
        storage: as for `open_results`.
        fork: as for `open_results`.
        overrides: as for `open_results`.
        overwrite: whether an existing file is replaced.

    Returns:
        The path of the file.

    Raises:
        UserError: there is no such trial, it has no configuration yet, or the file exists or cannot be written.

    Examples:
        >>> export_config("quickstart", "best", "best.yaml").name
        'best.yaml'
    """
    stored, folder = opened(study, storage, fork, overrides)
    if Path(file).suffix not in FORMATS:
        raise UserError(f"--config {file}: ends in none of {', '.join(FORMATS)}; give the file such a name")
    check_new([Path(file)], "--config", overwrite)
    record = stored.trial(trial)
    return _write(stored, record, config_of(record), Path(file), folder)


@checked
def export_front_configs(
    study: Study | StoredStudy,
    out: str | Path,
    *,
    storage: str | None = None,
    fork: str | None = None,
    overrides: Overrides | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the configuration of every point on the front to a folder, as `export_config` does.

    Args:
        study: results that are open already, or a study as `open_results` takes it.
        out: the folder, which is made if it is not there.
        storage: as for `open_results`.
        fork: as for `open_results`.
        overrides: as for `open_results`.
        overwrite: whether existing files are replaced.

    Returns:
        The files, `trial-N-METHOD.yaml` or `trial-N@EPOCH-METHOD.yaml` each, the best quality first.

    Raises:
        UserError: no trial has finished, or a file exists or cannot be written.

    Examples:
        >>> len(export_front_configs("quickstart", "configs")) == len(open_results("quickstart").front())
        True
    """
    stored, folder = opened(study, storage, fork, overrides)
    front = [(row.record, config_of(row.record)) for row in stored.nonempty_front()]
    files = [Path(out) / f"trial-{record.point}-{config.method}.yaml" for record, config in front]
    check_new(files, "--configs", overwrite)  # before the first is written
    return [_write(stored, record, config, file, folder) for (record, config), file in zip(front, files, strict=True)]


def opened(
    study: Study | StoredStudy, storage: str | None, fork: str | None, overrides: Overrides | None
) -> tuple[StoredStudy, Path]:
    """The results of a study, and the folder where the relative paths of its file begin."""
    stored = results_of(study, storage, fork, overrides)
    return stored, _folder_of(study.name if isinstance(study, StoredStudy) else study)


def _folder_of(study: Study) -> Path:
    try:
        return load_study(study).folder
    except UserError:  # the file may be gone, or have changed, while the trials are there
        return Path()


def check_new(files: Sequence[Path], option: str, overwrite: bool) -> None:
    """Refuse files that are there already.

    Raises:
        UserError: one is, and is not to be replaced.
    """
    there = next((file for file in files if file.exists()), None)
    if there and not overwrite:
        raise UserError(f"{option} {there}: is there already; choose a new name, or add --overwrite")


def config_of(record: Record) -> TrialConfig:
    """A trial's configuration.

    Raises:
        UserError: it has none yet.
    """
    if record.config is None:
        raise UserError(f"--trial {record.point}: {STATES[record.state]}, and has no configuration yet")
    return record.config


def _write(stored: StoredStudy, record: Record, config: TrialConfig, file: Path, folder: Path) -> Path:
    """Write one configuration, whole or not at all; `folder` is where the study's relative paths begin."""
    text = FORMATS[file.suffix](_document(stored, record, config, file, folder), trial_in_words(stored, record), file)
    write_text_whole(file, text)
    return file


def write_text_whole(file: Path, text: str) -> None:
    """Write a file that is whole or, if the process is killed meanwhile, as it was.

    Raises:
        DiskRefuses: it cannot be written.
        DiskFull: its disk is full.
    """
    with replacing(file) as partial:
        partial.write_text(text, encoding="utf-8")


def _document(stored: StoredStudy, record: Record, config: TrialConfig, file: Path, folder: Path) -> dict[str, Any]:
    """The study file's data. Settings that change nothing are left out."""
    settings = config.settings
    active = {name: value for name, value in settings.items() if is_active(METHODS[config.method], name, settings)}
    return {
        "name": f"{stored.name}-{str(record.point).replace('@', '-after-')}",
        **({"goal": stored.about.goal} if stored.about.goal else {}),
        "data": _data(stored, config, file, folder),
        "backbones": [_backbone(config)],
        "training": {name: value for name, value in asdict(config.training).items() if value is not None},
        "objectives": list(stored.objectives),
        "methods": {config.method: active},
        "origin": _origin(stored, record, config),
    }


def _data(stored: StoredStudy, config: TrialConfig, file: Path, folder: Path) -> dict[str, Any]:
    """The data section as the search read it, without what is as by default."""
    from peftsearch.data.section import DataSection

    if not stored.about.data:
        raise UserError(f"study {stored.name!r} does not say what data it searched; run its search once more")
    section = DataSection(**stored.about.data)
    written = section.model_dump(mode="json", exclude_defaults=True)
    source = section.source
    if isinstance(source, Mapping):
        moved: Any = {split: _seen_from(file, name, folder) for split, name in source.items()}
    else:
        moved = _seen_from(file, source, folder)
    return {**written, "source": moved, "max_length": config.max_length}


def _seen_from(file: Path, source: str, folder: Path) -> str:
    """A source named relative to `folder`, as the configuration in `file` must name it.

    The path is relative where both lie in the working directory, so that the project can move as a whole.
    """
    from peftsearch.data.load import SOURCES
    from peftsearch.data.read.files import is_url

    kind, colon, _ = source.partition(":")
    path = expanded(source.removeprefix("file:"))
    if is_url(source) or (colon and kind in SOURCES and kind != "file") or not (folder / path).exists():
        return source
    place, here, there = ((Path.cwd() / name).resolve() for name in (folder / path, "", file.parent))
    together = place.is_relative_to(here) and there.is_relative_to(here)
    return os.path.relpath(place, there) if together else str(place)


def _backbone(config: TrialConfig) -> str | dict[str, Any]:
    pinned = {
        "revision": config.revision,
        "trust_remote_code": config.trust_remote_code,
        "tokenizer": config.tokenizer,
        "tokenizer_revision": config.tokenizer_revision,
    }
    written = {name: value for name, value in pinned.items() if value}
    return {"name": config.backbone, **written} if written else config.backbone


def _origin(stored: StoredStudy, record: Record, config: TrialConfig) -> dict[str, Any]:
    measured, best = record.measurement, max((r.metrics[config.selection] for r in record.curve), default=None)
    known: dict[str, Any] = {"study": stored.name, "trial": record.number, "state": record.state}
    if best is not None or measured:
        known |= {"metric": config.selection, "score": measured.metrics[config.selection] if measured else best}
    if measured:
        known |= {"best_epoch": measured.best_epoch or None, "epochs": measured.epochs}
        known |= {"fingerprint": measured.data_fingerprint, "exact": measured.exact or None}
        known |= {"out_of_time": measured.out_of_time or None, "epoch": record.epoch}
    return {name: value for name, value in known.items() if value is not None}


def trial_in_words(stored: StoredStudy, record: Record) -> str:
    """Which trial it is, and what it has reached, in a line."""
    reached = ""
    if stored.quality in record.values:
        reached = f", {objective_with_unit(stored.quality, record.values[stored.quality])}"
    state = record.state if record.epoch is None else f"as it was after epoch {record.epoch}"
    return f"Trial {record.number} of the study {stored.name}: {state}{reached}"


def _yaml(document: Mapping[str, Any], words: str, file: Path) -> str:
    import yaml

    written = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return f"# {words}.\n# To train it without a search: peftsearch train --config {file.name} --out DIR\n\n{written}"


def _json(document: Mapping[str, Any], words: str, file: Path) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Mapping[str, Any], str, Path], str]] = {".yaml": _yaml, ".yml": _yaml, ".json": _json}
"""Suffix of a file → its text, made of the document, the trial in words and the file's name."""

"""Finds the results of a study by its name, its file, or what was read of that."""

from __future__ import annotations

import shlex
from pathlib import Path

from peftsearch.core.calls.arguments import checked
from peftsearch.core.calls.precedence import RUNS_VARIABLE
from peftsearch.core.errors import UserError, close_match
from peftsearch.core.files.run_folder import RunFolder, runs_folder, stored_names
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.connection.where import is_missing_file, own_url, storage_url
from peftsearch.storage.database import study_names
from peftsearch.storage.prepare import check_space
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import StudySpec, load_study

NO_STUDY = "no study named"
"""How the message begins that a name is that of no study file."""

Study = str | Path | StudySpec
"""A study: its name, the path of its YAML file, or what `load_study` has read."""


@checked
def open_results(
    study: Study, *, storage: str | None = None, fork: str | None = None, overrides: Overrides | None = None
) -> StoredStudy:
    """Open the results of a study for reading. A search of it may be running meanwhile.

    Args:
        study: a name, the path of a YAML file, or a loaded study. A name with trials in `./runs`, or in a storage that
            is named, needs no file.
        storage: a database URL; by default `PEFTSEARCH_STORAGE`, else a SQLite file in `./runs`.
        fork: the name under which the trials are kept, if it is not the study's own.
        overrides: what the search was given, and the tolerance with which its front is to be chosen. The trials of a
            loaded study, and of one with overrides, are checked to be of just this study; a name or a path finds trials
            also after its file has changed.

    Returns:
        The trials so far.

    Raises:
        UserError: there is no such study, no search of it has begun, or its trials are of another study.

    Examples:
        >>> results = open_results("quickstart")
        >>> results.status().done
        2
        >>> results.best().record.state
        'complete'
    """
    name = _stored_name(study, storage)
    stored = open_stored(fork or name, storage, _as_written(study, name, fork))
    if overrides or isinstance(study, StudySpec):
        check_space(stored.study, load_study(study, overrides))
    if overrides is None:
        return stored
    return stored.with_tolerance(overrides.tolerance).with_every_epoch(overrides.every_epoch)


def results_of(
    study: Study | StoredStudy, storage: str | None, fork: str | None, overrides: Overrides | None
) -> StoredStudy:
    """Results that are open already as they are, and those of a study as `open_results` opens them."""
    if isinstance(study, StoredStudy):
        return study
    return open_results(study, storage=storage, fork=fork, overrides=overrides)


def file_of(stored: StoredStudy, study: Study, overrides: Overrides | None) -> StudySpec:
    """The study file of these results, which training needs.

    Args:
        study: as for `open_results`, which needs no file.
        overrides: what takes the place of parts of it.

    Raises:
        UserError: the file is not here, or has problems.
    """
    try:
        return load_study(study, overrides)
    except UserError as error:
        if not str(error).startswith(NO_STUDY):
            raise
        raise UserError(
            f"the trials of {stored.name!r} are in the storage, but its study file is not here, and training needs it;"
            f" copy it into ./studies (optimize --data has kept it as runs/{stored.name}/study.yaml where it was run)"
        ) from None


def _stored_name(study: Study, storage: str | None) -> str:
    """The study's name in the storage. It is its own name when its file is gone, or is on another machine, but its
    trials are not."""
    try:
        return load_study(study).name
    except UserError as error:
        name = str(study)
        if RunFolder.of(name).database.is_file():
            return name
        if not str(error).startswith(NO_STUDY):
            raise
        named = storage_url(name, storage)
        if named != own_url(name):
            known = [] if is_missing_file(named) else study_names(named)
            if name in known:
                return name
            runs = f"with trials in the storage: {', '.join(known) or 'none'}"
        else:
            known = stored_names()
            found = ", ".join(known) or f"none (set {RUNS_VARIABLE} to look in another folder)"
            runs = f"with trials in {runs_folder().absolute()}: {found}"
        close = close_match(name, known)
        guess = f"; did you mean {close!r}?" if close and "did you mean" not in str(error) else ""
        raise UserError(f"{error}; {runs}{guess}") from None


def _as_written(study: Study, name: str, fork: str | None) -> str:
    """The options that name the study, as a command takes them."""
    written = name if isinstance(study, StudySpec) else str(study)
    return f"--study {shlex.quote(written)}{f' --fork {fork}' if fork else ''}"

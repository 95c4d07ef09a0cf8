"""Which database holds the trials of a study, where none or one is named."""

from __future__ import annotations

from pathlib import Path

from peftsearch.core.calls.precedence import RUNS_VARIABLE, STORAGE_VARIABLE, of_environment
from peftsearch.core.files.run_folder import RUNS, RunFolder, runs_folder


def storage_url(name: str, storage: str | None = None) -> str:
    """The URL `storage`, or else that of `PEFTSEARCH_STORAGE`, or else the study's own SQLite file under `runs/`."""
    return of_environment(storage, STORAGE_VARIABLE) or own_url(name)


def own_url(name: str) -> str:
    """The URL of the study's own SQLite file under `runs/`, which holds its trials unless a storage is named."""
    return f"sqlite:///{RunFolder.of(name).database}"


def looked_in(name: str, url: str) -> str:
    """Where the trials were looked for, if nobody has named a storage, and how to name another folder."""
    if url != own_url(name):
        return ""
    runs = runs_folder().absolute()
    return f" in {runs} (if it was searched from another folder, go there or set {RUNS_VARIABLE}=THAT_FOLDER/{RUNS})"


def is_missing_file(url: str) -> bool:
    """Whether the URL names a SQLite file that does not exist; opening it would create it."""
    file = url.removeprefix("sqlite:///")
    return file != url and file != ":memory:" and not Path(file.partition("?")[0]).is_file()

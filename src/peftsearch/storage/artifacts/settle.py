"""Which store a study has, checked before its search begins and found again by whoever reads its results."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.calls.precedence import ARTIFACTS_VARIABLE, of_environment
from peftsearch.core.errors import StorageLost, UserError
from peftsearch.storage.artifacts.listed import Place, artifacts_of, read_place, write_place, write_removed
from peftsearch.storage.artifacts.place import NOWHERE, Store, cannot_be_used, open_place, place_named, reason
from peftsearch.storage.connection.patience import say_on_stderr

if TYPE_CHECKING:
    from optuna.study import Study

MARKER = "weights-are-kept-here.txt"
"""The name of the artifact of a study by which a place is known again, whatever its path is on another machine."""


def place_of(study: Study, given: str | None = None) -> str | None:
    """Where the weights of a study are kept for all machines; None if each machine keeps its own.

    Args:
        given: what a command was given; it goes before the environment's, and that before what stands on the study.

    Raises:
        UserError: what was given is no place.
    """
    named = of_environment(given, ARTIFACTS_VARIABLE)
    if named == NOWHERE:
        return None
    if named is not None:
        return place_named(named)
    written = read_place(study)
    return written.name if written else None


def settle(study: Study, given: str | None = None) -> str | None:
    """Check that the store can be read and written, and write onto the study which it is.

    A study that has one keeps it: the same folder may be named by another path, and a bucket by another URL, but they
    must be where its weights are.

    Args:
        given: as for `place_of`.

    Returns:
        The place, if there is one.

    Raises:
        UserError: it cannot be used, or is not where the study's weights are.
    """
    place, written = place_of(study, given), read_place(study)
    if place is None:
        write_place(study, None)
        return None
    store = open_place(place, make=written is None)
    try:
        if written is None:
            written = Place(place, _mark(study, store))
            write_removed(study, [one.id for one in artifacts_of(study) if not store.holds(one.id)])  # left elsewhere
        elif not store.holds(written.marker):
            raise UserError(_another(study, place, written))
        else:
            store.check_writable()
    except (UserError, StorageLost):
        raise
    except Exception as error:  # each SDK has its own errors for what is wrong with a bucket or with credentials
        raise cannot_be_used(place, error) from error
    write_place(study, Place(place, written.marker))
    return place


def check_place(study: Study, place: str) -> Store:
    """The store at a place that was settled, unless another machine has settled another one meanwhile.

    Raises:
        UserError: it has.
    """
    store, written = open_place(place), read_place(study)
    try:
        here = written is None or store.holds(written.marker)
    except Exception as error:  # of an SDK; a store that does not answer now may do so once something is brought
        say_on_stderr(f"{place} does not answer ({reason(error)})")
        here = True
    if written is not None and not here:
        raise UserError(_another(study, place, written))
    return store


def _mark(study: Study, store: Store) -> str:
    from optuna.artifacts import upload_artifact

    store.check_writable()  # at once, whereas writing waits through outages
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / MARKER
        file.write_text(f"peftsearch keeps the weights of the study {study.study_name} here\n", encoding="utf-8")
        return upload_artifact(artifact_store=store, file_path=str(file), study_or_trial=study)


def _another(study: Study, place: str, written: Place) -> str:
    if place == written.name:
        there = f"the weights of {study.study_name!r} are not there any more"
    else:
        there = f"does not hold the weights of {study.study_name!r}, which were put into {written.name}"
    return (
        f"--artifacts {place}: {there}; mount or restore that place, name it by the path that it has here, or keep"
        f" weights on each machine alone with --artifacts {NOWHERE}"
    )

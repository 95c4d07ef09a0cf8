"""A checkpoint, or what it said about the validation rows, brought here from the store: whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from peftsearch.core.calls.precedence import ARTIFACTS_VARIABLE
from peftsearch.core.errors import StorageLost, UserError
from peftsearch.core.files.disk import DiskFull, replacing
from peftsearch.core.files.run_folder import PREDICTIONS
from peftsearch.storage.artifacts.archive import Damaged, one_file, unpack
from peftsearch.storage.artifacts.listed import Artifact, artifacts_of, read_place
from peftsearch.storage.artifacts.place import Store, open_place, reason
from peftsearch.storage.artifacts.shelf import names_of
from peftsearch.storage.records import Record
from peftsearch.training.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from optuna.study import Study


MOUNT = f"mount it, or name the path that it has here by {ARTIFACTS_VARIABLE}"


def artifact_of(study: Study, record: Record) -> Artifact | None:
    """The artifact that has the weights of a point; None if none has."""
    there = {artifact.point: artifact for artifact in artifacts_of(study) if artifact.whole}
    return next((there[name] for name in names_of(record) if name in there), None)


def fetch_weights(
    study: Study, record: Record, place: str, weights: Path, say: Callable[[str], None] = lambda _: None
) -> Path | None:
    """Bring the weights of a point into this machine's folder of weights.

    Args:
        place: where they are kept for all machines.
        weights: the folder that holds a folder for each point.
        say: called with one line before they are brought.

    Returns:
        The checkpoint's own folder, which may be that of the trial's best epoch; None if the store has none.

    Raises:
        UserError: the store cannot be read, or what it holds is damaged or not of this trial.
        DiskFull: there is no room for them.
    """
    artifact = artifact_of(study, record)
    if artifact is None:
        return None
    checkpoint = weights / str(artifact.point)
    say(f"bringing the weights of {record.point.in_words} from {place}")

    def check(unpacked: Path) -> None:
        """What a configuration names is loaded, so it must be what the storage says: others may write to the place."""
        if read_checkpoint(unpacked.parent, artifact.point).config != record.config:
            raise Damaged("they are those of another configuration")

    with _reading(study, record, artifact, place) as archive:
        unpack(archive, checkpoint, check)
    return checkpoint


def fetch_predictions(study: Study, record: Record, place: str, file: Path) -> bool:
    """Bring what a point said about the validation rows into `file`, without its weights; False if it is not there.

    Raises:
        UserError: as for `fetch_weights`.
    """
    artifact = artifact_of(study, record)
    if artifact is None:
        return False
    with _reading(study, record, artifact, place) as archive:
        content = one_file(archive, PREDICTIONS)
    if content is not None:
        with replacing(file) as partial:
            partial.write_bytes(content)
    return content is not None


@contextmanager
def _reading(study: Study, record: Record, artifact: Artifact, place: str) -> Iterator[BinaryIO]:
    """The content of an artifact; every error that the store may raise becomes one line."""
    from optuna.artifacts.exceptions import ArtifactNotFound

    what, store = f"the weights of {record.point.in_words}", open_place(place)
    again = f"to train the trial again: peftsearch export --study {study.study_name} --trial {record.point} --retrain"
    try:
        with closing(store.open_reader(artifact.id)) as content:
            yield content
    except ArtifactNotFound:
        raise UserError(f"{what} {_gone(study, store)}; {again} --out DIR") from None
    except Damaged as damaged:
        raise UserError(f"{what} in {place} are damaged ({damaged}); {again} --out DIR") from None
    except (UserError, StorageLost, DiskFull):
        raise
    except Exception as error:  # each SDK has its own errors
        raise UserError(f"{what} cannot be read from {place} ({reason(error)}); check it, and try again") from error


def _gone(study: Study, store: Store) -> str:
    written = read_place(study)
    if written is None or store.holds(written.marker):
        return f"are not in {store.place} any more"
    if written.name == store.place:
        return f"were put into {store.place}, which is not that place on this machine, or was emptied; {MOUNT}"
    return f"were put into {written.name}, which is not {store.place} on this machine; {MOUNT}"

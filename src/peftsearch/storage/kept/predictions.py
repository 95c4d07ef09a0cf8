"""The predictions of trials on disk: one compressed file for each, whole or not there, and never pickled.

They are small (about 4 bytes for each row and class, compressed), so none is ever deleted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from peftsearch.core.errors import UserError
from peftsearch.core.files.disk import replacing
from peftsearch.core.predictions import Predictions


def write_predictions(file: Path, found: Predictions) -> None:
    """Write `found` in place of what `file` holds: whole or, if the process is killed meanwhile, not at all.

    Raises:
        DiskFull: the disk is full.
        DiskRefuses: the folder cannot be written.
    """
    with replacing(file) as partial:
        for left in file.parent.glob(f".{file.name}-*"):  # by a worker that was killed: only one holds a trial
            left.unlink(missing_ok=True)
        with partial.open("wb") as written:
            np.savez_compressed(written, logits=found.logits, labels=found.labels)


def read_predictions(file: Path) -> Predictions | None:
    """What `write_predictions` has written; None if the file is not there.

    Raises:
        UserError: the file is damaged.
    """
    from zipfile import BadZipFile
    from zlib import error as BadCompression

    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = Predictions(arrays["logits"], arrays["labels"])
    except FileNotFoundError:
        return None
    except PermissionError:
        raise
    except (OSError, BadZipFile, BadCompression, EOFError, KeyError, ValueError, TypeError):
        raise UserError(f"{file} is damaged; delete it, since nothing else depends on it") from None
    if found.logits.shape[:1] != found.labels.shape:
        raise UserError(f"{file} is damaged; delete it, since nothing else depends on it")
    return found

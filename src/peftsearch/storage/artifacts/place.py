"""Where weights are kept for all machines: a folder that they share, or a bucket, as Optuna's artifact stores have it.

Credentials come from the environment or from what the provider's SDK finds by itself, so a place names none and can be
written onto the study.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar
from urllib.parse import unquote

from peftsearch.core.errors import UserError, one_line
from peftsearch.core.packages import expanded
from peftsearch.core.secrets import HIDDEN, hide_secrets

Found = TypeVar("Found")

NOWHERE = "none"
"""Written in the place of a place: weights stay on the machine that trained them."""

BUCKET = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<bucket>[^/?#@:]+)(?:/(?P<prefix>[^?#@]*))?")

URL = re.compile(r".*://|(s3|gs|gcs|https?|file):", re.IGNORECASE | re.DOTALL)
"""With what a folder does not begin; one of such a name is written ./s3:…"""

PATIENCE_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


class ArtifactStore(Protocol):
    """Optuna's own protocol, which has no public name. A method that finds nothing raises `ArtifactNotFound`."""

    def open_reader(self, artifact_id: str) -> BinaryIO: ...
    def write(self, artifact_id: str, content_body: BinaryIO) -> None: ...
    def remove(self, artifact_id: str) -> None: ...


def _s3(bucket: str) -> ArtifactStore:
    import boto3
    from botocore.config import Config
    from optuna.artifacts import Boto3ArtifactStore

    # boto3 waits a minute for each of five connections; what is repeated is decided here.
    config = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 2, "mode": "standard"})
    # The file that is uploaded is not read into memory first: `Watched` cannot be closed by boto3.
    return Boto3ArtifactStore(bucket, boto3.client("s3", config=config), avoid_buf_copy=True)


def _gcs(bucket: str) -> ArtifactStore:
    import warnings

    from optuna.artifacts import GCSArtifactStore
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GCSArtifactStore(bucket)


BUCKETS: dict[str, tuple[Callable[[str], ArtifactStore], str]] = {
    "s3": (_s3, "pip install 'peftsearch[s3]'"),
    "gs": (_gcs, "pip install 'peftsearch[gcs]'"),
}
"""The scheme of a bucket's URL → what opens it, and how to install what that needs."""


def place_named(text: str) -> str:
    """A place as it is written onto a study: a folder by its absolute path, or the URL of a bucket.

    Raises:
        UserError: it is neither, or holds credentials.
    """
    if text.startswith("file:///"):
        return unquote(text.removeprefix("file://"))
    if not URL.match(text):
        return str(expanded(text).absolute())
    found = BUCKET.fullmatch(text)
    if found and found["scheme"] in BUCKETS:
        return text.rstrip("/")
    shown = text if "://" in text else re.sub("(?s):.*@", f":{HIDDEN}@", text)  # those of a URL are hidden anyway
    if text.partition("://")[0] in BUCKETS:
        raise UserError(
            f"--artifacts {shown!r}: is not the URL of a bucket, as in s3://BUCKET/FOLDER; credentials and the address"
            " of a server belong into the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …)"
        )
    raise UserError(f"--artifacts {shown!r}: give a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER")


def open_place(place: str, *, make: bool = False) -> Store:
    """The store at a place, which `place_named` has returned. A bucket is not looked into yet.

    Args:
        make: whether to make a folder that is not there.

    Raises:
        UserError: what it needs is not installed, there are no credentials, or the folder cannot be made.
    """
    from optuna.artifacts import FileSystemArtifactStore

    found = BUCKET.fullmatch(place)
    if found is None:
        if make:
            try:
                Path(place).mkdir(parents=True, exist_ok=True)
            except (OSError, ValueError) as error:
                raise cannot_be_used(place, error) from error
        return Store(place, FileSystemArtifactStore(place))
    opened, install = BUCKETS[found["scheme"]]
    try:
        return Store(place, opened(found["bucket"]), (found["prefix"] or "").strip("/"))
    except ImportError:
        raise UserError(f"--artifacts {place}: no package for it is installed; {install}") from None
    except Exception as error:  # each SDK has its own error for credentials that are missing
        raise cannot_be_used(place, error) from error


def cannot_be_used(place: str, error: BaseException) -> UserError:
    """What to tell the user where a place refuses to be read or written."""
    return UserError(
        f"--artifacts {place}: cannot be used ({reason(error)}); check it, or keep weights on each machine alone with"
        f" --artifacts {NOWHERE}"
    )


def reason(error: BaseException) -> str:
    """What an SDK or the operating system says, on one line and without secrets."""
    return hide_secrets(one_line(error))


class Store:
    """An artifact store as Optuna's protocol has it, below a prefix, whose writing waits through short outages.

    `optuna.artifacts.Backoff` is not used: in Optuna 5.0 it removes an artifact again and again after it has
    removed it, and prints a traceback for each try.

    Args:
        place: what `place_named` has returned.
        inner: the folder, or the bucket.
        prefix: the folder in the bucket.
        step: called while something is written, as a sign of life.
        clock: seconds that never go back.
        pause: sleeps for some seconds.

    Attributes:
        waits: whether writing waits through outages; what can be brought later need not.
    """

    def __init__(
        self,
        place: str,
        inner: ArtifactStore,
        prefix: str = "",
        step: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.place = place
        self.step = step
        self.waits = True
        self._inner = inner
        self._prefix = f"{prefix}/" if prefix else ""
        self._clock = clock
        self._pause = pause

    def open_reader(self, artifact_id: str) -> BinaryIO:
        return self._inner.open_reader(f"{self._prefix}{artifact_id}")

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write an artifact, and try again for `PATIENCE_SECONDS` where that fails, if the store `waits`."""

        def once() -> None:
            content_body.seek(0)
            self._inner.write(f"{self._prefix}{artifact_id}", Watched(content_body, self.step))  # type: ignore[arg-type]

        self.patiently(once) if self.waits else once()

    def patiently(self, call: Callable[[], Found]) -> Found:
        """What `call` returns, which is tried again for `PATIENCE_SECONDS` where it fails."""
        until, pause = self._clock() + PATIENCE_SECONDS, FIRST_PAUSE
        while True:
            try:
                return call()
            except Exception:  # which of an SDK's errors may pass is not said anywhere
                if self._clock() + pause > until:
                    raise
            self._pause(pause)
            self.step()
            pause = min(LONGEST_PAUSE, 2 * pause)

    def remove(self, artifact_id: str) -> None:
        """Remove an artifact, if it is there."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        with suppress(ArtifactNotFound):
            self._inner.remove(f"{self._prefix}{artifact_id}")

    def holds(self, artifact_id: str) -> bool:
        """Whether an artifact is there."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        try:
            self.open_reader(artifact_id).close()
        except ArtifactNotFound:
            return False
        return True

    def check_writable(self) -> None:
        """Write something small and remove it again. Raises what the folder or the SDK raises."""
        probe = f"{self._prefix}{uuid.uuid4()}"
        self._inner.write(probe, BytesIO(b"x"))
        self._inner.remove(probe)


class Watched:
    """A file that is being read: each read is a sign of life, and only whoever has opened it closes it."""

    def __init__(self, file: BinaryIO, step: Callable[[], None]) -> None:
        self._file = file
        self._step = step

    def read(self, size: int = -1) -> bytes:
        self._step()
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """Do nothing: boto3 closes what it has uploaded, and an upload that failed begins with the same file."""

"""What a disk refuses: it is full, read-only, or a name is too long. Recognised in any exception, told in one line."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import RunFolder

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FULL_IN_WORDS = re.compile(r"no space left on device|disk quota exceeded|database or disk is full", re.IGNORECASE)
"""What safetensors, Arrow and databases say, whose exceptions have no error number."""

REMEDIES = {
    errno.EACCES: "check its permissions, or use another folder",
    errno.EPERM: "check its permissions, or use another folder",
    errno.EROFS: "use another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EEXIST: "a file is in the way; delete it, or choose another name",
    errno.ENOTDIR: "a part of this path is a file; choose another",
    errno.ELOOP: "links lead to each other; choose another path",
}
"""What a user can do where the operating system refuses to read or write, by error number."""

NO_PLACE = {errno.ENOENT: "this folder cannot be made; choose another"}
"""What to do where a folder to write to is not there even after it was to be made, as below /proc."""

LONGEST_PATH_SHOWN = 100


class DiskRefuses(UserError):
    """The operating system refuses to read or write a file, and the user can change that."""


class DiskFull(Exception):
    """Nothing can be written to a folder since its disk is full. The message is one line. Exit code 1.

    The configuration that was being trained is not to blame, so this is never a trial's failure.
    """

    def __init__(self, folder: Path) -> None:
        there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
        free = shutil.disk_usage(there).free / 1e6
        super().__init__(f"the disk of {folder} is full, or its quota is used up ({free:,.1f} MB free): make room")


def full_disk(error: BaseException, folder: Path | None = None) -> DiskFull | None:
    """What to tell the user if `error`, or what led to it, is a full disk or a quota that is used up.

    Args:
        folder: where the error occurred, unless it names a file in another one.

    Returns:
        None for any other error.
    """
    causes = list(_causes(error))
    told = next((cause for cause in causes if isinstance(cause, DiskFull)), None)
    if told is None and any(_is_full(cause) for cause in causes):
        file = _file_of(error)
        elsewhere = file is not None and not (folder and Path(file).is_relative_to(folder))
        told = DiskFull(Path(file).parent if file and elsewhere else folder or Path())
    return told


def refusal(
    error: BaseException, folder: Path | None = None, remedies: Mapping[int, str] = REMEDIES
) -> DiskFull | DiskRefuses | None:
    """What to tell the user about an error of the disk, full or not; None for any other error.

    Args:
        folder: where the error occurred, for an error that does not name a file.
        remedies: what to do about each error number that the user can mend.
    """
    told = full_disk(error, folder) or next((cause for cause in _causes(error) if isinstance(cause, DiskRefuses)), None)
    number = error.errno if isinstance(error, OSError) else None
    if told is not None or number is None or number not in remedies:
        return told
    file = _file_of(error) or str(folder or "")
    file = file if len(file) <= LONGEST_PATH_SHOWN else f"{file[: LONGEST_PATH_SHOWN - 3]}..."
    return DiskRefuses(f"{file}: {os.strerror(number)}; {remedies[number]}")


def is_utf8_locale() -> bool:
    """Whether names of files are read and written as UTF-8."""
    return sys.getfilesystemencoding().lower() in ("utf-8", "utf8")


def check_name(path: Path) -> None:
    """Refuse a path that not every library would understand in this locale.

    Those written in Rust (safetensors, tokenizers) take each path for UTF-8, and Python takes it for what the locale
    says: in a Latin-1 locale they mean different files by the same name, unless it is ASCII.

    Raises:
        DiskRefuses: it is such a path.
    """
    if not str(path).isascii() and not is_utf8_locale():
        raise DiskRefuses(
            f"{path}: this locale's encoding, {sys.getfilesystemencoding()}, does not fit the name; "
            "set LC_ALL=C.UTF-8, or use a folder with an ASCII name"
        )


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Inside, an error that says that the disk refuses to write becomes `DiskFull` or `DiskRefuses`."""
    try:
        yield
    except Exception as error:
        there = os.path.isdir(folder)  # noqa: PTH112  Path.is_dir raises where a name is too long
        told = refusal(error, folder, REMEDIES if there else REMEDIES | NO_PLACE)
        if told is None or told is error:
            raise
        raise told from error


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A new file beside `file`, which takes its place once the block inside has filled it.

    Whenever this process is killed, `file` is whole, or as it was. Its folder is made if it is not there.

    Raises:
        DiskRefuses: the folder cannot be written.
        DiskFull: its disk is full.
    """
    partial = file.with_name(f".{file.name}-{os.getpid()}")
    with writing_to(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)


def make_runs(folder: RunFolder) -> None:
    """Make the folder of all studies if it is not there (see `RunFolder.make_parent`).

    Raises:
        DiskRefuses: it cannot be made.
        DiskFull: its disk is full.
    """
    check_name(folder.root.absolute())
    with writing_to(folder.root.parent):
        folder.make_parent()
        folder.root.is_dir()  # raises where the name is too long


def check_writable(folder: Path) -> None:
    """Make `folder` if it is not there, and check that files can be written to it.

    Raises:
        DiskRefuses: they cannot.
        DiskFull: its disk is full.
    """
    import tempfile

    check_name(folder.absolute())
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"x")
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from error  # it names the probe, if anything


def _is_full(cause: BaseException) -> bool:
    return (isinstance(cause, OSError) and cause.errno in FULL) or bool(FULL_IN_WORDS.search(str(cause)))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, each once: chains of exceptions may be circular."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        cause = left.pop()
        if cause is not None and cause not in seen:
            seen.append(cause)
            yield cause
            left += [cause.__context__, cause.__cause__]


def _file_of(error: BaseException) -> str | None:
    """The file that an error or what led to it names."""
    named = (cause.filename for cause in _causes(error) if isinstance(cause, OSError))
    return next((os.fsdecode(name) for name in named if isinstance(name, str | bytes)), None)

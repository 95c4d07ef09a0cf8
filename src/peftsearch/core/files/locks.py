"""Locks between processes and machines, and marks of what is in use.

On NFS they need version 4, whose clients pass `flock` on to the server. Where a file system has no locks nobody waits,
so whoever uses them copes with two processes at once: what they guard is made twice then.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
"""What file systems without locks answer."""


@contextmanager
def locked(file: Path, mode: int = 0o600) -> Iterator[None]:
    """Inside, every other process that asks for the same lock waits.

    Args:
        file: the lock, an empty file that stays.
        mode: its permissions. Whoever may not write to it cannot wait for it.

    Raises:
        OSError: the lock cannot be made.
    """
    from filelock import FileLock

    lock = FileLock(file, mode=mode)
    try:
        lock.acquire()
    except NotImplementedError:  # filelock 3 says so where there is no flock; filelock 4 tries another kind of lock
        pass
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_if_free(file: Path, mode: int = 0o600, seconds: float = 0.0) -> Iterator[bool]:
    """Inside, whether no other process has the lock; where none can be made, as if nobody had it.

    Args:
        file: the lock, an empty file that stays.
        mode: its permissions.
        seconds: how long to wait for another process.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(file, mode=mode)
    try:
        lock.acquire(timeout=seconds)
        free = True
    except Timeout:
        free = False
    except (NotImplementedError, OSError):  # no locks here, or a folder that cannot be written, which its user is told
        free = True
    try:
        yield free
    finally:
        lock.release()


def held(file: Path) -> FileIO | None:
    """`file`, open for reading and marked as in use until it is closed; None if it is not there."""
    try:
        found = FileIO(file)
    except FileNotFoundError:
        return None
    with suppress(OSError):  # no locks here
        fcntl.flock(found, fcntl.LOCK_SH)  # who has it alone is deleting it, and soon done
    if _is_still(found, file):
        return found
    found.close()
    return None


@contextmanager
def alone_with(file: Path) -> Iterator[bool]:
    """Inside, whether nobody uses `file`, and nobody begins to; also False for what another user has made."""
    if not file.is_file():
        yield True
        return
    try:
        found = FileIO(file, "r+")  # NFS gives an exclusive lock only to whoever may write
    except OSError:
        yield False
        return
    with found:
        try:
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except OSError as error:
            alone = error.errno in NO_LOCKS
        yield alone


def _is_still(opened: FileIO, file: Path) -> bool:
    """Whether the name stands for the file that was opened under it."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), file.stat())
    except OSError:
        return False

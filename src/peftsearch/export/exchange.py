"""Two folders that swap their names in one step, so that at any time each name stands for one of them, whole."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of Linux's renameat2(2): paths start at the working directory; swap instead of rename."""

CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
"""What the kernel or a file system answers that cannot swap two names."""


def exchange(one: Path, other: Path) -> bool:
    """Swap two folders of one file system in one step, which Python's own library has no function for.

    Returns:
        False, with nothing done, where the operating system or the file system cannot do that.

    Raises:
        OSError: one of them is not there, or may not be moved.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))

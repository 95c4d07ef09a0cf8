"""Files that an installed Python package carries, named `IMPORT_NAME/PATH`."""

from __future__ import annotations

import importlib.util
from pathlib import Path


class NotInPackage(ValueError):
    """The path leads out of the package's folder."""


def package_path(name: str) -> Path | None:
    """The file or folder `IMPORT_NAME/PATH` inside an installed package, which is found but not imported.

    Returns:
        The path, whether or not anything is there; None if no such package is installed.

    Raises:
        NotInPackage: the path leads out of the package's folder.
    """
    package, _, inside = name.partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(spec.submodule_search_locations[0]).resolve()
    path = (root / inside).resolve()
    if not path.is_relative_to(root):
        raise NotInPackage(f"{inside!r} leads out of the package {package!r}")
    return path


def expanded(name: str) -> Path:
    """The path `name` with the home directory for `~`; as it is written if there is no user of that name."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)

"""Finds the files of a data source and reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from peftsearch.core.errors import UserError, close_match, one_line, shown
from peftsearch.core.files.checksums import checksum
from peftsearch.core.packages import NotInPackage, expanded, package_path
from peftsearch.data.base import Table
from peftsearch.data.read.class_folders import read_class_folders
from peftsearch.data.read.delimited import read_delimited
from peftsearch.data.read.formats import Request, read_json_lines, read_parquet
from peftsearch.data.read.layout import check_classes, find_splits
from peftsearch.data.read.packing import PACKINGS, check_size, limited, unpack
from peftsearch.data.read.saved import is_saved, read_saved
from peftsearch.data.read.workbook import read_workbook

FORMATS = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_lines,
    ".parquet": read_parquet,
    ".xlsx": read_workbook,
    ".ods": read_workbook,
}


@dataclass(frozen=True)
class Identity:
    """What tells a source's content from another.

    Attributes:
        said: JSON data.
        known: whether it changes with the content; only fetching it would tell that of a URL.
    """

    said: object
    known: bool = True


@dataclass(frozen=True)
class Location:
    """The place of one split's rows.

    Attributes:
        path: a local file, a local folder with a folder per class or from `save_to_disk`, or a URL.
        notes: what finding it left out or chose, a sentence each.
    """

    path: str
    notes: tuple[str, ...] = ()

    @property
    def url(self) -> bool:
        """Whether fsspec has to open it."""
        return is_url(self.path)

    @property
    def name(self) -> str:
        """What messages call it: the last part of the path, so that no password in a URL is shown."""
        return PurePosixPath(self.path.partition("?")[0]).name

    def identity(self) -> Identity:
        """The names and checksums of local files, wherever they lie; of a URL only the URL.

        Raises:
            UserError: a file cannot be read.
        """
        if self.url:
            return Identity([self.path], known=False)
        path = Path(self.path)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        try:
            return Identity([[_below(path, file), checksum(file)] for file in files if file.is_file()])
        except OSError as error:
            raise UserError(f"data.source: {self.name} cannot be read: {one_line(error)}") from error


def _below(path: Path, file: Path) -> str:
    return file.name if file == path else file.relative_to(path).as_posix()


def is_url(text: str) -> bool:
    """Whether `text` is a URL for fsspec: `://` after a protocol of two or more letters, which no Windows drive has."""
    return bool(re.match(r"[a-z][a-z0-9+.-]+(::[a-z0-9+.-]+)*://", text))


def locate(source: str, folder: Path) -> dict[str, Location]:
    """The location of each split of a source: a file, a folder or a URL.

    `layout.find_splits` tells what a folder may hold.

    Args:
        source: a path or URL; a relative path starts at `folder`.

    Raises:
        UserError: nothing is there, or a folder's layout is unknown or ambiguous.
    """
    if is_url(source):
        return {"train": Location(source)}
    try:
        path = Path(folder, expanded(source))
        if path.is_file():
            return {"train": Location(str(path))}
        if path.is_dir():
            return {split: Location(str(place), notes) for split, (place, notes) in find_splits(path).items()}
    except (OSError, ValueError, RuntimeError) as error:  # no permission, a NUL in the name, no such home
        raise UserError(f"data.source: {shown(source)} cannot be opened: {one_line(error)}") from error
    where = "" if expanded(source).is_absolute() else f" in {folder.resolve()}"
    near = _near(path)
    raise UserError(f"data.source: no file or folder {source!r}{where}" + (f"; did you mean {near!r}?" if near else ""))


def _near(path: Path) -> str | None:
    """The file beside `path` whose name looks most like its own, which no file has."""
    bare = path.name.strip(" \"'")
    names = {file.name: None for file in path.parent.glob("*") if not file.name.startswith(".")}
    return close_match(bare, names) if bare else None


def locate_in_package(source: str) -> dict[str, Location]:
    """As `locate`, for the path `IMPORT_NAME/PATH` in an installed package, which is not imported.

    Raises:
        UserError: there is no such package, no such path in it, or the path leads out of it.
    """
    try:
        path = package_path(source)
    except NotInPackage as error:
        raise UserError(f"data.source: {error}") from error
    if path is None:
        name = source.partition("/")[0]
        raise UserError(f"data.source: no package {name!r} is installed here; install it, or name a file or folder")
    return locate(str(path), path.parent)


def read_location(location: Location, request: Request) -> Table:
    """Read the file or folder at `location`, and unpack it if its ending says that it is compressed.

    Raises:
        UserError: it cannot be opened, is damaged or too large, or has an unknown format.
    """
    table = _read(location, request)
    return replace(table, notes=location.notes + table.notes)


def _read(location: Location, request: Request) -> Table:
    path = Path(location.path)
    if not location.url and path.is_dir():
        if is_saved(path):
            return read_saved(path, request.wanted)
        return read_class_folders(check_classes(path), request.encoding)
    packed = PurePosixPath(location.name).suffix.lower() in PACKINGS
    if not packed:
        _reader_of(location.name)  # an unknown format is told before anything is fetched
    content, inner, notes = unpack(_fetch(location), location.name)
    table = _reader_of(inner, location.name)(content, location.name, request)
    return replace(table, notes=notes + table.notes)


def _reader_of(name: str, said: str | None = None) -> Callable[[bytes, str, Request], Table]:
    read = FORMATS.get(PurePosixPath(name).suffix.lower())
    if read is None:
        valid = ", ".join(FORMATS)
        inside = f" (it holds {name})" if said and not said.startswith(name) else ""
        raise UserError(
            f"data.source: {said or name} has no known format{inside}; valid: {valid}, each also {', '.join(PACKINGS)}"
        )
    return read


def _fetch(location: Location) -> bytes:
    if not location.url:
        try:
            check_size(Path(location.path).stat().st_size, location.name)
            return Path(location.path).read_bytes()
        except OSError as error:
            raise UserError(f"data.source: {location.name} cannot be read: {one_line(error)}") from error
    import fsspec

    try:
        with fsspec.open(location.path, "rb") as file:
            return limited(file, location.name)
    except UserError:
        raise
    except Exception as error:  # each protocol raises its own kinds
        reason = one_line(f"{type(error).__name__}: {error}").replace(location.path, location.name)
        raise UserError(f"data.source: cannot open {location.name} ({reason}); fetch it and name the file") from error

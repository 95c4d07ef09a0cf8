"""Finds the files of a data source and reads them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from peftsearch.core.errors import UserError, one_line
from peftsearch.core.packages import NotInPackage, package_path
from peftsearch.data.base import SPLITS, Table
from peftsearch.data.read.delimited import read_delimited
from peftsearch.data.read.formats import Request, read_json_lines, read_parquet

FORMATS = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_lines,
    ".parquet": read_parquet,
}
AMBIGUOUS = (".txt", ".json")
"""Endings that are read when a study names the file, but ignored in a folder, where they are often something else."""

SPLIT_WORDS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation",
               "val": "validation", "dev": "validation", "test": "test"}  # fmt: skip


def _unzip(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [i for i in archive.infolist() if not i.is_dir() and not i.filename.startswith("__MACOSX/")]
        if len(members) != 1:
            raise zipfile.BadZipFile(f"holds {len(members)} files instead of one")
        return archive.read(members[0])


# fsspec.open(compression="infer") is no substitute: it overlooks the ending of a URL with a query (`a.csv.gz?token=…`),
# takes `::` in a local file's name for a chain of protocols, and reads whichever file is first in a zip archive.
UNPACK = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress, ".zip": _unzip}


@dataclass(frozen=True)
class Location:
    """The place of one split's rows: a local file, a local folder with a folder per class, or a URL."""

    path: str

    @property
    def url(self) -> bool:
        """Whether fsspec has to open it."""
        return is_url(self.path)

    @property
    def name(self) -> str:
        """What messages call it: the last part of the path, so that no password in a URL is shown."""
        return PurePosixPath(self.path.partition("?")[0]).name

    def identity(self) -> list[object]:
        """JSON data that changes when the size or the time of a local file does; of a URL only the URL."""
        if self.url:
            return [self.path]
        path = Path(self.path)
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return [[str(file), stat.st_size, stat.st_mtime_ns] for file in files if (stat := file.stat())]


def is_url(text: str) -> bool:
    """Whether `text` is a URL for fsspec: `://` after a protocol of two or more letters, which no Windows drive has."""
    return bool(re.match(r"[a-z][a-z0-9+.-]+(::[a-z0-9+.-]+)*://", text))


def locate(source: str, folder: Path) -> dict[str, Location]:
    """The location of each split of a source: a file, a folder or a URL.

    A folder holds one data file, or several with a split's word in each name (`train.csv`, `mrpc_test.tsv.gz`), or a
    folder per class with a text in each file, or such folders under `train` and `test`.

    Args:
        source: a path or URL; a relative path starts at `folder`.

    Raises:
        UserError: nothing is there, or the folder is none of these.
    """
    if is_url(source):
        return {"train": Location(source)}
    path = Path(folder, Path(source).expanduser())
    if path.is_file():
        return {"train": Location(str(path))}
    if not path.is_dir():
        where = "" if Path(source).is_absolute() else f" in {folder.resolve()}"
        raise UserError(f"data.source: no file or folder {source!r}{where}")
    return _locate_in_folder(path)


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
        UserError: it cannot be opened, is damaged, or has an unknown format.
    """
    if not location.url and Path(location.path).is_dir():
        return _read_class_folders(Path(location.path))
    suffixes = [suffix.lower() for suffix in PurePosixPath(location.name).suffixes]
    packing = suffixes.pop() if suffixes and suffixes[-1] in UNPACK else None
    read = FORMATS.get(suffixes[-1] if suffixes else "")
    if read is None:
        valid = ", ".join(FORMATS)
        raise UserError(
            f"data.source: {location.name} has no known format; valid: {valid}, each also {', '.join(UNPACK)}"
        )
    content = _fetch(location)
    if packing:
        try:
            content = UNPACK[packing](content)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as error:
            raise UserError(f"data.source: {location.name} cannot be unpacked: {error}") from error
    return read(content, location.name, request)


def _fetch(location: Location) -> bytes:
    if not location.url:
        return Path(location.path).read_bytes()
    import fsspec

    try:
        with fsspec.open(location.path, "rb") as file:
            content: bytes = file.read()
    except Exception as error:  # each protocol raises its own kinds
        reason = one_line(f"{type(error).__name__}: {error}").replace(location.path, location.name)
        raise UserError(f"data.source: cannot open {location.name} ({reason}); fetch it and name the file") from error
    return content


def _locate_in_folder(path: Path) -> dict[str, Location]:
    files = sorted(file for file in path.iterdir() if _is_data(file))
    if len(files) == 1:
        return {"train": Location(str(files[0]))}
    if files:
        return _by_split(path, files)
    folders = sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))
    splits = [folder for folder in folders if folder.name in SPLIT_WORDS]
    if splits:
        return _by_split(path, splits)
    if not folders:
        raise UserError(f"data.source: no data file in {path}; valid: {', '.join(FORMATS)}, or a folder per class")
    return {"train": Location(str(path))}


def _is_data(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in UNPACK:
        suffixes.pop()
    ending = suffixes[-1] if suffixes else ""
    return file.is_file() and not file.name.startswith(".") and ending in FORMATS and ending not in AMBIGUOUS


def _by_split(folder: Path, paths: list[Path]) -> dict[str, Location]:
    found: dict[str, Location] = {}
    for path in paths:
        words = {SPLIT_WORDS[word] for word in re.split(r"[\W_]+", path.name.lower()) if word in SPLIT_WORDS}
        name = words.pop() if len(words) == 1 else None
        if name is None or name in found:
            names = ", ".join(p.name for p in paths)
            raise UserError(
                f"data.source: which file of {folder} is which split? It has {names}; write {{train: FILE, test: FILE}}"
            )
        found[name] = Location(str(path))
    if "train" not in found:
        raise UserError(f"data.source: no file for train in {folder}; it has {', '.join(p.name for p in paths)}")
    return {name: found[name] for name in SPLITS if name in found}


def _read_class_folders(path: Path) -> Table:
    texts, labels = [], []
    for file in _texts_of_classes(path):
        try:
            texts.append(file.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise UserError(f"data.source: {file} is not UTF-8; convert it, or take it out of the folder") from error
        labels.append(file.relative_to(path).parts[0])
    return Table(f"the folders of {path.name}", {"text": texts, "label": labels})


def _texts_of_classes(path: Path) -> Iterator[Path]:
    for folder in sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith(".")):
        yield from sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))

"""Writes labelled rows to a file that appears whole or not at all, or to the standard output as they come."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

from peftsearch.core.errors import UserError, nearest, one_line
from peftsearch.core.files.disk import check_writable, writing_to

if TYPE_CHECKING:
    from pyarrow import Schema

Packer = Callable[[IO[bytes]], AbstractContextManager[IO[bytes]]]

PACKERS: dict[str, Packer] = {
    ".gz": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="wb")),
    ".bz2": lambda file: bz2.BZ2File(file, "wb"),
    ".xz": lambda file: cast(IO[bytes], lzma.LZMAFile(file, "wb")),  # noqa: SIM115  its user closes it
}


class Writer(ABC):
    """Writes rows in one format.

    Args:
        file: an open binary file.
        columns: the names of all columns, of which the last ones are added to those of the input.
        added: the names of the columns that are added.
        schema: the types of the input's columns, if it has any.
    """

    def __init__(
        self, file: IO[bytes], columns: Sequence[str], added: Sequence[str], schema: Schema | None = None
    ) -> None:
        self.file, self.columns, self.added, self.schema = file, columns, added, schema

    @abstractmethod
    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write some rows.

        Raises:
            UserError: a row has a value that this format or the rows before leave no place for.
        """

    def close(self) -> None:  # noqa: B027  most formats end without a last word
        """Write what ends the file; the file itself stays open."""

    def abandon(self) -> None:  # noqa: B027  most formats hold nothing back
        """Let go of what is held, because the file will not be used."""


class _Delimited(Writer):
    delimiter = ","

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lines([self.columns])

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        known = set(self.columns)
        unknown = next((name for row in rows for name in row if name not in known), None)
        if unknown is not None:
            raise UserError(f"a row has a new column {unknown!r} below the header; write JSON Lines: --out FILE.jsonl")
        self._lines([[_field(row.get(name)) for name in self.columns] for row in rows])

    def _lines(self, lines: Sequence[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter, lineterminator="\n").writerows(lines)
        self.file.write(text.getvalue().encode("utf-8", "replace"))


class _Tabs(_Delimited):
    delimiter = "\t"


class _JsonLines(Writer):
    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.file.write("".join(f"{json_text(row)}\n" for row in rows).encode("utf-8", "replace"))


class _JsonList(Writer):
    """One list, with a row on each line."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.between = "[\n"

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self.file.write(f"{self.between}{json_text(row)}".encode("utf-8", "replace"))
            self.between = ",\n"

    def close(self) -> None:
        self.file.write(b"[]\n" if self.between == "[\n" else b"\n]\n")


class _Labels(Writer):
    """The label of each row on a line, which is empty for a row that has none."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        labels = [" ".join((row[self.added[0]] or "").splitlines()) for row in rows]
        self.file.write("".join(f"{label}\n" for label in labels).encode("utf-8", "replace"))


class _Parquet(Writer):
    """Columns have the types of a Parquet input, else those of the first rows; added ones are text and float64."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.writer: Any = None

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            if self.writer is None:
                self.writer = pq.ParquetWriter(self.file, self._types(rows))
            self.writer.write_table(pa.Table.from_pylist(list(rows), schema=self.writer.schema))
        except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
            raise UserError(
                f"a row does not fit the types of the column: {one_line(error)}; write JSON Lines: --out FILE.jsonl"
            ) from error

    def _types(self, rows: Sequence[Mapping[str, Any]]) -> Schema:
        import pyarrow as pa

        types = self.schema
        if types is None:
            names = [name for name in self.columns if name not in self.added]
            found = pa.table({name: [row.get(name) for row in rows] for name in names}).schema
            types = pa.schema([(f.name, pa.string() if f.type == pa.null() else f.type) for f in found])
        label, *numbers = self.added
        for field in (pa.field(label, pa.string()), *(pa.field(name, pa.float64()) for name in numbers)):
            types = types.append(field)
        return types

    def close(self) -> None:
        if self.writer is None:
            self.write([])
        self.writer.close()

    def abandon(self) -> None:
        if self.writer is not None:
            self.writer.close()  # else it would try to when it is deleted, after the file was closed


WRITERS: dict[str, type[Writer]] = {
    ".csv": _Delimited,
    ".tsv": _Tabs,
    ".jsonl": _JsonLines,
    ".ndjson": _JsonLines,
    ".json": _JsonList,
    ".parquet": _Parquet,
    ".txt": _Labels,
}
"""What is written, by the ending of the file's name."""


SPREADSHEETS = (".xlsx", ".xls", ".ods", ".xlsm", ".xlsb")
"""Endings of spreadsheets, which are not written."""


def kind_of(out: Path) -> str:
    """The ending of a file's name that says its format.

    Raises:
        UserError: it says none.
    """
    path = PurePosixPath(out.name)
    kind = (path.with_suffix("") if path.suffix.lower() in PACKERS else path).suffix.lower()
    if kind in SPREADSHEETS:
        raise UserError(
            f"--out {out}: spreadsheets are read and not written; write CSV, which their programs open: "
            f"--out {out.with_suffix('.csv')}"
        )
    if kind not in WRITERS:
        packed = f", each also {', '.join(PACKERS)}"
        raise UserError(f"--out {out}: has no known format; {nearest(kind, WRITERS)}{packed}")
    return kind


def check_out(out: Path, overwrite: bool) -> None:
    """Refuse a file that is there, unless it may be replaced, and one that cannot be written.

    Raises:
        UserError: what is wrong.
    """
    kind_of(out)
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; name a file in it")
    if out.is_file() and not overwrite:
        raise UserError(f"--out {out}: is there already; to replace it, add --overwrite")
    check_writable(out.absolute().parent)


@contextmanager
def written_whole(out: Path) -> Iterator[IO[bytes]]:
    """An open file, which takes the place of `out` when the block inside ends without an error.

    Its name until then is hidden, begins with that of `out` and ends in `.part`. What is no regular file, such as
    /dev/null, is written as it is.

    Raises:
        DiskRefuses, DiskFull: it cannot be written.
    """
    packer: Packer = PACKERS.get(out.suffix.lower(), nullcontext)
    with writing_to(out.absolute().parent):
        if out.exists() and not out.is_file():
            with out.open("wb") as special:
                yield special
            return
        place = out.resolve()  # a link goes on to lead there
        part = place.with_name(f".{place.name}-{secrets.token_hex(4)}.part")
        try:
            with part.open("xb") as plain, packer(plain) as file:
                yield file
            part.replace(place)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def json_text(row: Any) -> str:
    """A value as JSON on one line. A number that is not finite becomes null, what JSON has no form for becomes text."""
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(_finite(row), ensure_ascii=False, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _field(value: Any) -> str:
    """A value as a delimited file holds it: text as it is, nothing for what is missing, the rest as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return json_text(value) if isinstance(value, bool | int | float | list | dict) else str(value)

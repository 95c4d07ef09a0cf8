"""File formats other than delimited text: bytes in, a `Table` out."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from peftsearch.core.errors import UserError, one_line
from peftsearch.data.base import Table
from peftsearch.data.read.encoding import decode
from peftsearch.data.read.packing import check_is_text, check_size


@dataclass(frozen=True)
class Request:
    """What a study needs of a file.

    Attributes:
        wanted: the columns that the study names.
        header: the names of the columns, for a delimited file without a header line.
        encoding: the encoding of text files; None if it has to be found.
    """

    wanted: tuple[str, ...]
    header: tuple[str, ...] | None = None
    encoding: str | None = None


def check_columns(names: Iterable[str], name: str) -> None:
    """Refuse two columns of one name, of which the study cannot say which it means. Empty names may repeat.

    Raises:
        UserError: there are two.
    """
    twice = next((column for column, count in Counter(names).items() if column and count > 1), None)
    if twice:
        raise UserError(f"data.source: {name} has two columns {twice!r}; rename one of them")


def read_json_lines(content: bytes, name: str, request: Request) -> Table:
    """Read one object a line, or one list of objects. A key that a row lacks counts as missing."""
    check_is_text(content, name)
    text, notes = decode(content, name, request.encoding)
    rows = json_list(text, name) if text.lstrip()[:1] == "[" else _json_lines(text, name)
    nested = next((key for key, value in rows[0].items() if _holds_rows(value)), None) if len(rows) == 1 else None
    if nested is not None and not any(isinstance(value, str) for value in rows[0].values()):
        raise UserError(
            f"data.source: {name} is one object, which holds several rows under {nested!r}; write one object a row"
        )
    keys = dict.fromkeys(key for row in rows for key in row)
    return Table(name, {key: [row.get(key) for row in rows] for key in keys}, notes=notes)


def read_parquet(content: bytes, name: str, request: Request) -> Table:
    """Read Parquet. Class names come from the features that 🤗 Datasets writes into its files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        check_columns(file.schema_arrow.names, name)
        wanted = [column for column in file.schema_arrow.names if column in request.wanted]
        batches, size = [], 0
        for batch in file.iter_batches(columns=wanted):
            size += batch.nbytes
            check_size(size, name)
            batches.append(batch)
        table = pa.Table.from_batches(batches) if batches else file.read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"data.source: {name} is not a Parquet file: {one_line(error)}") from error
    # Other columns are listed without their values, so that a message can name them.
    columns: dict[str, Sequence[Any]] = dict.fromkeys(file.schema_arrow.names, ())
    columns |= {column: table[column].to_pylist() for column in wanted}
    return Table(name, columns, _class_names(file.schema_arrow.metadata))


def json_list(text: str, name: str) -> list[dict[str, Any]]:
    """The rows of one list of objects.

    Raises:
        UserError: it is not JSON, or holds something else.
    """
    try:
        rows = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise UserError(f"data.source: {name}, line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"data.source: {name}: {_why(error)}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise UserError(f"data.source: {name} must hold a list of objects with the columns as keys")
    return list(rows)


def _json_lines(text: str, name: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() would break a text at U+2028
        if not line.strip():
            continue
        row, problem = json_row(line)
        if problem:
            raise UserError(f"data.source: {name}, line {number}: {problem}")
        rows.append(row)
    return rows


def json_row(line: str) -> tuple[dict[str, Any], str | None]:
    """The object of a line, or an empty one and what is wrong with the line."""
    try:
        row = json.loads(line, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        return {}, f"not JSON ({error.msg})"
    except (ValueError, RecursionError) as error:
        return {}, _why(error)
    return (row, None) if isinstance(row, dict) else ({}, "not an object with the columns as keys")


def _holds_rows(value: object) -> bool:
    """Whether a value of a file's only object is a list or a mapping of rows, or of a column's values."""
    return isinstance(value, list | dict) and len(value) > 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} is written twice in one object; keep one")
    return found


def _why(error: Exception) -> str:
    return "too many levels within each other" if isinstance(error, RecursionError) else one_line(error)


def _class_names(metadata: dict[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    features = json.loads((metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    return {
        key: tuple(f["names"]) for key, f in features.items() if isinstance(f, dict) and f.get("_type") == "ClassLabel"
    }

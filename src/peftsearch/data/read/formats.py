"""File formats other than delimited text: bytes in, a `Table` out."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from peftsearch.core.errors import UserError, one_line
from peftsearch.data.base import Table


@dataclass(frozen=True)
class Request:
    """What a study needs of a file.

    Attributes:
        wanted: the columns that the study names.
        header: the names of the columns, for a delimited file without a header line.
    """

    wanted: tuple[str, ...]
    header: tuple[str, ...] | None = None


def decode(content: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """The text of a file in UTF-8 or UTF-16, or else in the encoding that charset-normalizer guesses.

    Returns:
        The text, and a note that names the encoding if it was guessed.

    Raises:
        UserError: the bytes are no text in any encoding.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16"), ()
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        pass
    from charset_normalizer import from_bytes

    guess = from_bytes(content[:100_000]).best()
    try:
        if guess is not None:
            return content.decode(guess.encoding), (f"{name} is not UTF-8; read as {guess.encoding}, which is a guess",)
    except UnicodeDecodeError:
        pass
    raise UserError(f"data.source: {name} is in no encoding that can be told; convert it to UTF-8")


def read_json_lines(content: bytes, name: str, request: Request) -> Table:
    """Read one object a line, or one list of objects. A key that a row lacks counts as missing."""
    text, notes = decode(content, name)
    rows = _json_list(text, name) if text.lstrip()[:1] == "[" else _json_lines(text, name)
    keys = dict.fromkeys(key for row in rows for key in row)
    return Table(name, {key: [row.get(key) for row in rows] for key in keys}, notes=notes)


def read_parquet(content: bytes, name: str, request: Request) -> Table:
    """Read Parquet. Class names come from the features that 🤗 Datasets writes into its files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        wanted = [column for column in file.schema_arrow.names if column in request.wanted]
        table = file.read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"data.source: {name} is not a Parquet file: {one_line(error)}") from error
    # Other columns are listed without their values, so that a message can name them.
    columns: dict[str, Sequence[Any]] = dict.fromkeys(file.schema_arrow.names, ())
    columns |= {column: table[column].to_pylist() for column in wanted}
    return Table(name, columns, _class_names(file.schema_arrow.metadata))


def _json_list(text: str, name: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"data.source: {name}, line {error.lineno}: {error.msg}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise UserError(f"data.source: {name} must hold a list of objects with the columns as keys")
    return list(rows)


def _json_lines(text: str, name: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() would break a text at U+2028
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"data.source: {name}, line {number}: not JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise UserError(f"data.source: {name}, line {number}: not an object with the columns as keys")
        rows.append(row)
    return rows


def _class_names(metadata: dict[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    features = json.loads((metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    return {
        key: tuple(f["names"]) for key, f in features.items() if isinstance(f, dict) and f.get("_type") == "ClassLabel"
    }

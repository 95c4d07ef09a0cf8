"""Small data files, written as a user's would be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from peftsearch.data.base import TextData
from peftsearch.data.load import load_data
from peftsearch.data.section import DataSection

TOPICS = ("cat", "dog", "sun")


def rows(count: int, labels: Iterable[str] = TOPICS, first: int = 0) -> list[dict[str, Any]]:
    """`count` different texts, their labels taking turns."""
    names = list(labels)
    return [
        {"text": f"{names[i % len(names)]} number {i + first}", "label": names[i % len(names)]} for i in range(count)
    ]


def json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def prepare(folder: Path, source: str | dict[str, str], **section: Any) -> TextData:
    """`load_data` with the study and its cache in `folder`."""
    return load_data(DataSection(source=source, **section), folder, folder / "cache")

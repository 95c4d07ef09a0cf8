"""What a model card calls its data: names that mean something to others, no local path and no secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from peftsearch.core.secrets import hide_url

_HUB = re.compile(r"(?:hub:|hf://datasets/)(?P<name>[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)")
_LOCAL_URL = re.compile(r"(?:file|local)://", re.IGNORECASE)


def source_in_words(source: Any) -> str:
    """A study's `data.source`: names of files without their folders, hub names, URLs without secrets.

    >>> source_in_words({"train": "/home/ann/rows.csv", "test": "https://host/test.csv?sig=abc"})
    'train: rows.csv, test: https://host/test.csv?sig=***'
    """
    if isinstance(source, Mapping) and set(source) == {"train"}:
        return source_in_words(source["train"])
    if isinstance(source, Mapping):
        return ", ".join(f"{split}: {source_in_words(one)}" for split, one in source.items())
    if not isinstance(source, str):
        return "not recorded"
    # A chained URL, as zip://rows.csv::/home/ann/rows.zip, may end in a local path.
    return "::".join(_place_in_words(part) for part in source.split("::"))


def hub_data_set(source: Any) -> str | None:
    """The name of the hub's data set that `data.source` names; None if it is from somewhere else."""
    if isinstance(source, Mapping) and set(source) == {"train"}:
        return hub_data_set(source["train"])
    found = _HUB.match(source) if isinstance(source, str) else None
    return found["name"] if found else None


def _place_in_words(place: str) -> str:
    local = place.removeprefix("file:").removeprefix("hub:")
    if _HUB.match(place) or place.startswith("package:") or ("://" in place and not _LOCAL_URL.match(place)):
        return hide_url(place)
    return re.split(r"[\\/]", local.rstrip("\\/"))[-1] or "files"

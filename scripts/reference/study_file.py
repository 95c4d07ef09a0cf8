"""docs/reference/study-file.md: every key of a study file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.reference.markdown import code, page, table
from scripts.reference.schema import introduction, key_table, schema_of

from peftsearch.core.config import SEARCHABLE_TRAINING, SearchConfig, TrainingConfig
from peftsearch.core.front.tolerance import EXACT
from peftsearch.core.objectives import SHORTEST_SECONDS, TIMING_NOISE
from peftsearch.data.section import DataSection
from peftsearch.results.formatting import percent
from peftsearch.study.mistakes.keys import SECTIONS
from peftsearch.study.mistakes.problems import Problems
from peftsearch.study.sections import Backbone, Origin
from peftsearch.study.spec import REQUIRED
from peftsearch.study.yaml_file import parse_document
from peftsearch.tracking.table import TRACKERS

EXAMPLE = Path(__file__).parent / "every-key.yaml"
"""A valid study file in which every key stands once."""

WITH_KEYS: dict[str, type] = {
    "data": DataSection,
    "backbones": Backbone,
    "training": TrainingConfig,
    "search": SearchConfig,
    "origin": Origin,
}
"""The sections whose keys are the fields of a class. Of `backbones` it is each model that is written as a mapping."""


def study_file_page() -> str:
    """The whole page."""
    text = EXAMPLE.read_text(encoding="utf-8")
    document = parse_document(text, Problems(EXAMPLE.name))
    parts = dict(_sections(text))
    rows = [[f"[{code(key)}](#{key})", said, "required" if key in REQUIRED else "–"] for key, said in SECTIONS.items()]
    return page(
        "study-file.md.jinja",
        sections=table(["key", "what it says", "default"], rows),
        example=parts,
        keys={key: _key_tables(key, kind, document[key]) for key, kind in WITH_KEYS.items()},
        trackers=", ".join(map(code, TRACKERS)),
        searchable=", ".join(map(code, SEARCHABLE_TRAINING)),
        timed=", ".join(map(code, EXACT)),
        noise=percent(TIMING_NOISE),
        floor=SHORTEST_SECONDS,
    )


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """The lines of each section of a study file, by its key."""
    for part in re.split(r"^(?=\w)", text, flags=re.M):
        if part:
            yield part.partition(":")[0], part.rstrip("\n")


def _key_tables(at: str, kind: type, written: Any) -> str:
    """The tables of a section's keys and of those of the sections within it, with headings."""
    first, *inner = schema_of(kind, at).items()
    examples = _merged(written)
    tables = [key_table(first[1], at, examples)]
    for place, schema in inner:
        tables += [f"### {place}", introduction(schema), key_table(schema, place, examples[place.rpartition(".")[2]])]
    return "\n\n".join(tables)


def _merged(written: Any) -> Mapping[str, Any]:
    """The keys of a section, or of all mappings in it where it is a list."""
    if isinstance(written, Mapping):
        return written
    return {key: value for item in written if isinstance(item, Mapping) for key, value in item.items()}

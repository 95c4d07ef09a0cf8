"""Reads strict YAML: duplicate keys are problems, `1e-5` is a number, and there is nothing but plain data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from peftsearch.core.errors import UserError, one_line
from peftsearch.data.base import label_text
from peftsearch.study.problems import Problems, Where

FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")


class StudyLoader(yaml.SafeLoader):
    """PyYAML's safe loader, with the numbers of YAML 1.2 (1.1 reads `1e-5` as text) and without dates."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to set it
        start: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
        for start, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


StudyLoader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def read_document(path: Path, problems: Problems) -> Any:
    """What the YAML file holds. Duplicate keys are added to `problems`.

    Raises:
        UserError: the file cannot be read, or is no YAML; the message gives line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{problems.file}: cannot be read: {error}") from error
    try:
        return parse_document(text, problems)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{problems.file}: {_in_one_line(error)}") from error


def parse_document(text: str, problems: Problems) -> Any:
    """The data that `text` spells. Duplicate keys are added to `problems`."""
    loader = StudyLoader(text)
    try:
        node = loader.get_single_node()
        for where in _duplicates(node, (), set()):
            problems.add(where, "is written twice; keep one")
        return loader.construct_document(node) if node is not None else None
    finally:
        loader.dispose()


def text_keys(data: Any) -> Any:
    """A copy of a document's data in which all keys are text, as JSON has them.

    In a valid study only labels can be anything else, and those are compared as text.
    """
    if isinstance(data, Mapping):
        return {key if isinstance(key, str) else label_text(key): text_keys(value) for key, value in data.items()}
    return [text_keys(item) for item in data] if isinstance(data, list | tuple) else data


def _duplicates(node: yaml.Node | None, where: Where, visited: set[int]) -> Iterator[Where]:
    """The places of repeated keys. An aliased node is visited once, because nested aliases grow exponentially."""
    if node is None or id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from _duplicates(item, (*where, i), visited)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield (*where, name)
            seen.add(name)
            yield from _duplicates(value, (*where, name), visited)


def _in_one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return f"no YAML that can be read: {one_line(error)}"

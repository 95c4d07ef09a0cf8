"""Reads study files: YAML 1.2 with plain data only, within limits of size and depth, and with no key written twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from peftsearch.core.errors import UserError, one_line
from peftsearch.data.base import label_text
from peftsearch.study.mistakes.problems import Problems, Where
from peftsearch.study.mistakes.syntax import advice

MOST_CHARACTERS = 100_000
"""The most that a study file may hold, both as it stands and with its aliases written out."""

DEEPEST = 30
"""The most levels of lists and mappings within each other."""

LABEL_KEYS = ("map_labels", "drop_labels")
"""Keys under which scalars are class names: `0111` and `true` stay the text that is written."""

TAG = "tag:yaml.org,2002:"
PLAIN = {TAG + kind for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge")}


class StudyLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2: YAML 1.1 reads `no`, `0111`, `12:30` as other values."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's way to set it
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As in PyYAML, which has no limit: it ends in a RecursionError."""
        self.depth += 1
        if self.depth > DEEPEST + 1:  # a scalar stands one level below its list
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} levels within each other", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for kind, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("merge", r"<<", "<"),
):
    StudyLoader.add_implicit_resolver(TAG + kind, re.compile(f"(?:{pattern})$"), list(first))
StudyLoader.add_constructor(TAG + "int", lambda _, node: int(node.value))  # PyYAML reads `!!int 0111` as octal


def read_document(path: Path, problems: Problems) -> Any:
    """What the YAML file holds. Duplicate keys are added to `problems`.

    Raises:
        UserError: the file cannot be read, is too large, or is no YAML; the message gives line and column.
    """
    try:
        with path.open("rb") as file:
            content = file.read(4 * MOST_CHARACTERS + 1)  # a character takes at most 4 bytes
        text = content[: 4 * MOST_CHARACTERS].decode("utf-8") if len(content) <= 4 * MOST_CHARACTERS else None
    except (OSError, ValueError) as error:
        raise UserError(f"{problems.file}: cannot be read: {one_line(error)}") from error
    if text is None or len(text) > MOST_CHARACTERS:
        raise UserError(f"{problems.file}: is larger than a study file may be, {MOST_CHARACTERS:,} characters")
    try:
        return parse_document(text, problems)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{problems.file}: {_in_one_line(text, error)}") from error


def parse_document(text: str, problems: Problems) -> Any:
    """The data that `text` spells. Duplicate keys are added to `problems`.

    Raises:
        yaml.YAMLError: the text is no YAML, holds anything but plain data, or exceeds the limits.
    """
    loader = StudyLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, {})
        for where in _duplicates(node, (), set()):
            problems.add(where, "is written twice; keep one")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def text_keys(data: Any) -> Any:
    """A copy of a document's data in which all keys are text, as JSON has them.

    In a valid study only labels can be anything else, and those are compared as text.
    """
    if isinstance(data, Mapping):
        return {key if isinstance(key, str) else label_text(key): text_keys(value) for key, value in data.items()}
    return [text_keys(item) for item in data] if isinstance(data, list | tuple) else data


def _check(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Refuse what is not plain data, and make class names text.

    Args:
        sizes: the sizes of nodes that were visited before, by their identity, since aliases repeat nodes; 0 for a node
            that is being visited.

    Returns:
        The number of characters below the node, with aliases written out.
    """
    known = sizes.get(id(node))
    if known == 0:
        raise _problem("an alias stands within what it repeats", node)
    if known:
        return known
    if node.tag not in PLAIN:
        raise _problem(f"the tag {node.tag.replace(TAG, '!!')!r} is not for plain data", node)
    sizes[id(node)] = 0
    size = 1 + sum(_check(child, sizes) for child in _children(node))
    if isinstance(node, yaml.ScalarNode):
        bad = re.search("[\0\ud800-\udfff]", node.value)
        if bad:
            raise _problem(f"{bad[0]!r} is no character that text may hold", node)
        size += len(node.value)
    if size > MOST_CHARACTERS:
        raise _problem(f"with its aliases written out it has more than {MOST_CHARACTERS:,} characters", node)
    sizes[id(node)] = size
    return size


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        node.value = [(key, _as_written(value) if key.value in LABEL_KEYS else value) for key, value in node.value]
        for pair in node.value:
            yield from pair


def _as_written(labels: yaml.Node) -> yaml.Node:
    """A node in which the class names of `labels` are text."""

    def text(node: yaml.Node) -> yaml.Node:
        plain = isinstance(node, yaml.ScalarNode) and node.style is None and node.value and node.tag != f"{TAG}merge"
        return yaml.ScalarNode(f"{TAG}str", node.value, node.start_mark, node.end_mark) if plain else node

    if isinstance(labels, yaml.SequenceNode):
        items: list[Any] = [text(item) for item in labels.value]
    elif isinstance(labels, yaml.MappingNode):
        items = [(text(key), text(value)) for key, value in labels.value]
    else:
        return labels
    return type(labels)(labels.tag, items, labels.start_mark, labels.end_mark)


def _problem(text: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=node.start_mark)


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


def _in_one_line(text: str, error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        told = advice(text, error, error.problem_mark)
        return f"line {told.line + 1}, column {told.column + 1}: {told.text}"
    return f"no YAML that can be read: {one_line(error)}"

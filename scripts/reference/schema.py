"""The keys of a section of the study file, from the JSON Schema that pydantic makes of the section's class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import griffe
from pydantic import TypeAdapter
from scripts.reference.markdown import code, in_yaml, table

Schema = Mapping[str, Any]

KINDS = {"string": "text", "boolean": "`true` or `false`", "integer": "a whole number", "number": "a number"}
"""A type of JSON Schema → its values in words."""


def schema_of(section: type, at: str) -> dict[str, Schema]:
    """The schemas of a section and of the sections within it, by their places in the study file."""
    found = TypeAdapter(section).json_schema()
    inner = {key: _inner(field) for key, field in found["properties"].items()}
    return {at: found, **{f"{at}.{key}": found["$defs"][name] for key, name in inner.items() if name}}


def introduction(schema: Schema) -> str:
    """What the docstring of the section's class says of it, without the line that tells where it stands."""
    return str(_docstring(schema, griffe.DocstringSectionKind.text))


def key_table(schema: Schema, at: str, examples: Mapping[str, Any]) -> str:
    """The keys of a section: what each says, its valid values, its default and an example.

    Raises:
        KeyError: the class does not say what one of its keys is, or there is no example of it.
    """
    said = {item.name: item.description for item in _docstring(schema, griffe.DocstringSectionKind.attributes)}
    rows = []
    for key, field in schema["properties"].items():
        example = code(in_yaml(examples[key]))
        rows.append([code(key), _sentence(said[key]), valid(field, f"{at}.{key}"), _default(key, schema), example])
    return table(["key", "what it says", "valid", "default", "example"], rows)


def valid(field: Schema, place: str) -> str:
    """Which values a key may have, in words."""
    if "anyOf" in field:
        branches = [branch for branch in field["anyOf"] if branch.get("type") != "null"]
        return " or ".join(valid(branch, place) for branch in branches)
    if "$ref" in field:
        return f"a mapping: [{place}](#{place.replace('.', '')})"
    if "enum" in field:
        return _one_of([in_yaml(option) for option in field["enum"]])
    if field["type"] == "array":
        return f"a list of {_plural(field['items'])}"
    if field["type"] == "object":
        return f"a mapping of text to {valid(field['additionalProperties'], place)}"
    return KINDS[field["type"]] + _bounds(field)


def _inner(field: Schema) -> str | None:
    """The name in `$defs` of the section that stands under a key, if one does."""
    for branch in (field, *field.get("anyOf", ())):
        if "$ref" in branch:
            return str(branch["$ref"]).rpartition("/")[2]
    return None


def _docstring(schema: Schema, kind: griffe.DocstringSectionKind) -> Any:
    text = griffe.Docstring(inspect.cleandoc(schema["description"]))
    return next(part.value for part in text.parse("google") if part.kind is kind)


def _default(key: str, schema: Schema) -> str:
    if key in schema.get("required", ()):
        return "required"
    default = schema["properties"][key].get("default")
    return "–" if default in (None, [], {}) or isinstance(default, Mapping) else code(in_yaml(default))


def _bounds(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f" from {low:,.10g} to {high:,.10g}"
    if "exclusiveMinimum" in field:
        end = f"below {field['exclusiveMaximum']:,}" if "exclusiveMaximum" in field else f"at most {high:,}"
        return f" above {field['exclusiveMinimum']:,} and {end}"
    return "" if low is None else f" of at least {low:,}"


def _one_of(options: Sequence[str]) -> str:
    *first, last = map(code, options)
    return f"{', '.join(first)} or {last}" if first else last


def _plural(items: Schema) -> str:
    return {"string": "texts"}[items["type"]]


def _sentence(description: str) -> str:
    return description[:1].upper() + description[1:]

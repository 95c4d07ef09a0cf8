"""A configuration of PEFT or AdapterHub as the Python call that makes it, with what is not as by default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from peftsearch.export.script.template import code_of, enclosed

OF_THE_LIBRARY = frozenset({"peft_type", "peft_version"})
"""Fields that PEFT fills in itself."""


def call_of(config: Any) -> tuple[str, list[str]]:
    """The call, and the names of the classes to import for it.

    >>> from peft import LoraConfig
    >>> call_of(LoraConfig(task_type="FEATURE_EXTRACTION", r=4, target_modules=["query", "value"]))
    ('LoraConfig(task_type="FEATURE_EXTRACTION", r=4, target_modules=["query", "value"])', ['LoraConfig'])
    """
    members = getattr(config, "configs", None)
    if members is not None:  # AdapterHub's union of several
        parts = [call_of(member) for member in members]
        names = list(dict.fromkeys(["ConfigUnion", *(name for _, names in parts for name in names)]))
        return enclosed("ConfigUnion(", [call for call, _ in parts], ")"), names
    name = type(config).__name__
    return enclosed(f"{name}(", [f"{field}={_literal(value)}" for field, value in _changed(config)], ")"), [name]


def _changed(config: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(config):
        value, default = getattr(config, field.name), field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        if field.init and field.name not in OF_THE_LIBRARY and value != default:
            yield field.name, value


def _literal(value: Any) -> str:
    """A value as code. PEFT makes sets of lists, and enumerations of names."""
    if isinstance(value, set | frozenset):
        value = sorted(value)
    return code_of(getattr(value, "value", value))

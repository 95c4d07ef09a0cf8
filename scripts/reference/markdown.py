"""Pieces of Markdown, and the templates into which pages put them."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

BAR = "&#124;"
"""A | that does not end a cell."""

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,
)


def page(template: str, **parts: Any) -> str:
    """The page that a template of this folder makes of its parts."""
    return _TEMPLATES.get_template(template).render(**parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown. A cell may hold Markdown; it is put on one line."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def code(value: str) -> str:
    """Text as code. GitHub and the site agree on a | within a table only if it is written as HTML."""
    if "|" in value:
        return f"<code>{html.escape(value).replace('|', BAR)}</code>"
    return f"`{value}`" if value else ""


def in_block(lines: Iterable[str]) -> str:
    """Lines as a block of code."""
    return "\n".join(["```", *lines, "```"])


def in_yaml(value: Any) -> str:
    """A value as a study file writes it on one line."""
    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=math.inf)
    return written.removesuffix("\n...\n").removesuffix("\n")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", BAR)

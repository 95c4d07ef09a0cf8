"""Strings that do something in a terminal, in rich's markup, in Markdown, in HTML or in a template."""

from __future__ import annotations

import re

HOSTILE = (
    "[/b]", "[bold red]x[/]", "[link=https://evil.example]x[/link]", "[@click=app.quit]x[/]", "\\[b]", ":warning:",
    "\x1b[2J", "\x1b]0;title\x07", "\x1b[31mred", "\x9b31m", "a\rb", "a\bb", "\x00", "\x7f", "a\nb", "a\u2028b",
    "a\x85b", "\u202egnp.exe", "\u2066x\u2069", "\ufeffx", "x\u200by", "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</td></tr>", "&lt;b&gt;", "| a | b |", "`x`", "**x**", "[x](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "$x^{$", "$$", "{goal}", "%s %d", "# heading", "- item", "---", "~~x~~", "'\"",
)  # fmt: skip

_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\u200b]")


def commands_in(text: str) -> list[str]:
    """The characters in `text` that a terminal takes for a command, or that change how the others are read."""
    return _COMMANDS.findall(text)

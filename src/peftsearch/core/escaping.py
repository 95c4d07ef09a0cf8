"""Makes text from outside harmless where it is shown: on a terminal, in Markdown and in HTML."""

from __future__ import annotations

import html
import re

_COMMANDS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters but tab and newline, what changes the direction of writing, what has no width, and halves of
surrogate pairs, which no terminal can be sent. Joiners stay, because emoji and several scripts need them."""

_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
_AT_START = re.compile(r"^(?:#|[-+=](?=[-+=\s]|$)|\d+[.)](?=\s|$))")
"""What begins a heading, a list or a rule, at the start of a line alone."""


def visible(text: str) -> str:
    """`text` in which a terminal reads no commands: each is shown as Python would write it.

    >>> visible("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return _COMMANDS.sub(_as_written, text)


def on_one_line(text: str) -> str:
    """As `visible`, with tabs and line ends shown too, so that a name cannot pretend to be several lines."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def json_escapes(text: str) -> str:
    """A JSON document with the same data, in which a terminal reads no commands."""
    return _COMMANDS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def html_text(text: str) -> str:
    """`text` as HTML that shows it and does nothing, on one line."""
    return html.escape(visible(" ".join(text.split())))


def markdown_text(text: str) -> str:
    """`text` as Markdown that shows it and does nothing, on one line.

    >>> markdown_text("*a* | <b>")
    '\\\\*a\\\\* \\\\| &lt;b&gt;'
    """
    escaped = _MARKDOWN.sub(r"\\\g<0>", html.escape(visible(" ".join(text.split())), quote=False))
    return _AT_START.sub(lambda start: f"{start.group()[:-1]}&#{ord(start.group()[-1])};", escaped)


def _as_written(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

"""Text from outside is shown and does nothing, in whatever it is shown."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from peftsearch.core.escaping import html_text, json_escapes, markdown_text, on_one_line, visible
from tests.helpers.hostile import HOSTILE, commands_in


def test_every_control_character_and_every_change_of_direction_is_made_visible() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        dangerous = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character not in "\n\t"
        turns = unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        assert (visible(character) != character) >= (dangerous or turns), hex(code)
    assert visible("a\x1b[2Jb\u202ec\x9bd") == r"a\x1b[2Jb\u202ec\x9bd"


@pytest.mark.parametrize("text", ["plain", "Grüße", "日本語", "👩‍🚀", "می‌خواهم", "שלום", "a\tb\nc", "café"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_left_that_does_something(text: str) -> None:
    assert not commands_in(visible(text))
    assert "\n" not in on_one_line(text)
    assert not {"<", ">", '"', "'", "\n"} & set(html_text(text))
    written = markdown_text(text)
    assert not {"<", ">", "\n"} & set(written)
    for mark in "*`[]|~$":
        assert written.count(mark) == written.count(f"\\{mark}")


@pytest.mark.parametrize("text", HOSTILE)
def test_json_stays_the_same_data(text: str) -> None:
    document = json_escapes(json.dumps({text: [text]}, ensure_ascii=False, indent=2))
    assert json.loads(document) == {text: [text]}
    assert not commands_in(document)
    document.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("all-MiniLM-L6_v2", "all-MiniLM-L6_v2"),
        ("# big", "&#35; big"),
        ("- item", "&#45; item"),
        ("1. item", "1&#46; item"),
        ("---", "&#45;--"),
        ("-0.31", "-0.31"),
        ("3.1e-4", "3.1e-4"),
        ("_a_ b_c", r"\_a\_ b_c"),
        ("a & b", "a &amp; b"),
    ],
)
def test_markdown_stays_readable(text: str, written: str) -> None:
    assert markdown_text(text) == written

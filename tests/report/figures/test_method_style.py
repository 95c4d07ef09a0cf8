"""Every method has a colour and a marker that are its own."""

from __future__ import annotations

from collections import Counter

import pytest

from peftsearch.methods.table import METHODS
from peftsearch.report.figures.method_style import STYLES, UNKNOWN, MethodStyle, style_of


def test_every_method_has_a_style_and_no_two_have_the_same_marker() -> None:
    assert set(STYLES) == set(METHODS)
    assert len({style.marker for style in STYLES.values()}) == len(METHODS)


def test_the_colours_are_few_enough_to_be_told_apart_and_shared_evenly() -> None:
    counts = Counter(style.colour for style in STYLES.values())
    assert len(counts) == 7
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_method_of_another_version_is_drawn_too() -> None:
    assert style_of("from_the_future") == UNKNOWN


@pytest.mark.parametrize(("colour", "pale"), [("#000000", "#8C8C8C"), ("#D55E00", "#ECB78C")])
def test_the_pale_colour_is_mixed_with_white(colour: str, pale: str) -> None:
    assert MethodStyle(colour, "circle").pale == pale

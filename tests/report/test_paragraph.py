"""Prose that is wrapped between words."""

from __future__ import annotations

import re

from peftsearch.report.paragraph import Paragraph, tied, wrapped
from tests.report.test_fitted_table import printed


def test_what_is_tied_stays_together() -> None:
    classes = ", ".join(tied(f"CLASS {number}: 1,234 (22 %)") for number in range(9))
    for width in range(30, 120):
        lines = printed(Paragraph(f"classes in train: {classes}"), width, terminal=True).splitlines()
        assert max(map(len, lines)) <= width
        assert sum(line.count("CLASS") for line in lines) == sum(line.count("1,234 (22 %)") for line in lines) == 9
        assert not any(line.endswith("(22") for line in lines)


def test_a_number_keeps_its_unit() -> None:
    said = "about 1 h 5 min left, 4.9 MB, 22.6 M, 0.5 % of 12 s and 7.1 ms, in 3 minutes"
    for width in range(20, 60):
        lines = wrapped(said, width)
        assert " ".join(lines) == said
        assert not [line for line in lines if re.match(r"(h|min|MB|M|%|s|ms)\b", line)]
        assert max(map(len, lines)) <= width


def test_a_url_is_never_broken_and_each_line_is_indented() -> None:
    url = "https://arxiv.org/abs/1902.00751-with-hyphens-and/a/long/path"
    text = printed(Paragraph(f"paper: Houlsby et al. 2019, {url}", indent=2), 62, terminal=True)
    assert text == f"  paper: Houlsby et al. 2019,\n  {url}\n"


def test_square_brackets_are_no_markup() -> None:
    assert printed(Paragraph("a [bold] word"), 80, terminal=True) == "a [bold] word\n"

"""The learnt portfolio: configurations that did well on recorded learning curves, tried after the starting points.

`benchmarks/portfolio.py` chooses them and writes `resources/portfolio.json`; `docs/performance.md` says what they gain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

from peftsearch.core.dimensions import Scalar, contains, in_type_of
from peftsearch.study.starting_points.baselines import Baseline, Vocabulary, default_settings, same_configuration

Entry = Mapping[str, Any]
"""`method`, and `settings`: a value for each of some of its dimensions."""


@cache
def shipped() -> tuple[Entry, ...]:
    """The entries that the package ships, the most useful first."""
    text = files("peftsearch").joinpath("resources", "portfolio.json").read_text(encoding="utf-8")
    return tuple(json.loads(text))


def portfolio_points(
    known: Vocabulary, before: Sequence[Baseline], entries: Sequence[Entry] | None = None
) -> tuple[Baseline, ...]:
    """Half as many entries as the study has methods, rounded up: the most useful ones that its space holds.

    Half gain as much as one for each method, and a study of many methods still has trials left to search with.

    Args:
        known: the study's methods with their dimensions, and its backbones.
        before: what is tried before them, and therefore not again.
        entries: the portfolio; by default the shipped one.
    """
    many = (len(known.spaces) + 1) // 2
    return tuple(islice(_new(known, before, shipped() if entries is None else entries), many))


def _new(known: Vocabulary, before: Sequence[Baseline], entries: Sequence[Entry]) -> Iterator[Baseline]:
    found = list(before)
    for entry in entries:
        point = _point(known, entry) if entry["method"] in known.spaces else None
        if point and not any(same_configuration(point, other) for other in found):
            found.append(point)
            yield point


def _point(known: Vocabulary, entry: Entry) -> Baseline | None:
    """The entry with the method's default for what it does not say; None if the space lacks one of its values."""
    method = entry["method"]
    space = known.spaces[method]
    written: dict[str, Scalar] = entry["settings"]
    if not all(contains(space[name], value) for name, value in written.items() if name in space):
        return None
    own = {name: in_type_of(space[name], value) for name, value in written.items() if name in space}
    settings = {**default_settings(known.table[method], space), **own}
    return Baseline(method, known.names(method)[0], settings, learnt=True)

"""The same text in two splits, word for word or but for case, punctuation and spaces."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Sequence
from itertools import combinations

from peftsearch.core.errors import UserError
from peftsearch.data.base import SPLITS, Rows

TOLERATED = 0.01
"""Share of a split's rows that may stand in an earlier split before training is refused."""


def keys(rows: Rows) -> list[Hashable]:
    """One per row, equal for rows whose texts differ in case, punctuation and spaces at most.

    Letters, digits, accents, signs of any script and symbols count; a text of punctuation only stands for itself.
    """
    columns = [rows.text] if rows.pair is None else [rows.text, rows.pair]
    return list(zip(*(_normalised(column) for column in columns), strict=True))


def without_overlap(parts: dict[str, Rows], allowed: bool) -> tuple[dict[str, Rows], list[str]]:
    """Take out of the earlier split what stands in a later one too, if it is little.

    Returns:
        The splits, unchanged if `allowed`, and a note for each pair of splits that overlap, or that none does.

    Raises:
        UserError: more than 1 % of a split's rows stand in an earlier split, and that is not `allowed`.
    """
    normalised = {name: keys(rows) for name, rows in parts.items()}
    exact = {name: set(zip(rows.text, rows.pair or rows.text, strict=True)) for name, rows in parts.items()}
    notes = []
    drop: dict[str, set[Hashable]] = {name: set() for name in parts}
    for earlier, later in combinations([name for name in SPLITS if name in parts], 2):
        common = set(normalised[earlier]) & set(normalised[later])
        if not common:
            continue
        shared = sum(key in common for key in normalised[later])
        found = f"{shared:,} of {len(parts[later]):,} rows of {later} ({shared / len(parts[later]):.1%})"
        found += f" stand in {earlier} too, {len(exact[earlier] & exact[later]):,} texts word for word"
        if allowed:
            notes.append(f"{found}; kept, as data.allow_overlap says")
            continue
        if shared > TOLERATED * len(parts[later]):
            raise UserError(f"data.source: {found}; remove them, or set data.allow_overlap: true")
        drop[earlier] |= common
        notes.append(f"{found}; dropped from {earlier}")
    notes = notes or ["no text stands in two splits, not even with other case, punctuation or spaces"]
    return {
        name: rows.take([i for i, key in enumerate(normalised[name]) if key not in drop[name]]) if drop[name] else rows
        for name, rows in parts.items()
    }, notes


def _normalised(texts: Sequence[str]) -> list[str]:
    # Not all but letters and digits: that would take the vowels off Hindi words, and merge 5 < 6 with 5 > 6.
    noise = {ord(c): None for c in set().union(*texts) if unicodedata.category(c)[0] in "PZC"}
    return [text.casefold().translate(noise) or text for text in texts]

"""Finds texts that stand in two splits, equal word for word or except for case, punctuation and spaces."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Sequence
from itertools import combinations

from peftsearch.core.errors import UserError
from peftsearch.data.base import SPLITS, LabelledRows

TOLERATED = 0.01
"""Training is refused if more than this share of a split's rows stands in an earlier split."""


def keys(rows: LabelledRows) -> list[Hashable]:
    """A key for each row, equal for rows whose texts differ at most in case, punctuation and spaces.

    Letters, digits, accents, signs of any script and symbols are compared. A text of punctuation only is compared as it
    is.
    """
    columns = [rows.text] if rows.pair is None else [rows.text, rows.pair]
    return list(zip(*(_normalised(column) for column in columns), strict=True))


def without_overlap(parts: dict[str, LabelledRows], allowed: bool) -> tuple[dict[str, LabelledRows], list[str]]:
    """Remove from the earlier split the rows that a later one has too, unless they are too many.

    Returns:
        The splits, unchanged if `allowed`, and notes: one for each pair of splits that overlap, or one that none does.

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
    # Removing everything but letters and digits would strip vowel signs from Hindi and equate 5 < 6 with 5 > 6.
    noise = {ord(c): None for c in set().union(*texts) if unicodedata.category(c)[0] in "PZC"}
    return [text.casefold().translate(noise) or text for text in texts]

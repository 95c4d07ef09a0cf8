"""Which attributes of a study a page shows to people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LONGEST_WORD = 100
"""Characters. optuna-dashboard (0.21) breaks a value at spaces only, so that a longer word, such as the hashes of a
split, makes all plots of the study's page wider than the window."""


def legible(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those attributes that have no longer word; the others are for programs.

    >>> legible({"goal": "sort the texts", "hashes": "0f" * 200})
    {'goal': 'sort the texts'}
    """
    return {name: value for name, value in attributes.items() if _longest_word(value) <= LONGEST_WORD}


def _longest_word(value: Any) -> int:
    return max(map(len, json.dumps(value, ensure_ascii=False).split()), default=0)

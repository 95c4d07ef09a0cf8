"""Stages of unfreezing as a study writes them: `10-11; 8-11; all`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from peftsearch.core.dimensions import Text
from peftsearch.core.errors import nearest

if TYPE_CHECKING:
    from peftsearch.backbones.anatomy import Anatomy

PROJECTIONS = ("query", "key", "value")
PARTS = ("embeddings", "rest", *PROJECTIONS, "all", "head")
PLAN = Text(pattern=r"[0-9a-z,; -]*", example="10-11; 8-11; all")

_LAYERS = re.compile(r"(\d+)(?:-(\d+))?")


def read_plan(plan: str) -> list[list[str]]:
    """The parts that each stage trains beside the head: names in `PARTS` and numbers of layers, with ranges expanded.

    >>> read_plan("0-1, rest; all")
    [['0', '1', 'rest'], ['all']]
    """
    return [[part for word in words for part in _written_out(word)] for words in _words(plan)]


def complaint_about_plan(plan: str, anatomy: Anatomy) -> str | None:
    """Why `plan` cannot be followed on an encoder with this anatomy, in half a sentence; None if it can."""
    if not plan.strip():
        return f'order: planned needs a plan, like plan: "{PLAN.example}"'
    found = (_complaint(word, anatomy) for stage in _words(plan) for word in stage)
    if not all(_words(plan)):
        return f"a stage of the plan {plan!r} is empty; write head to train the head alone"
    return next((text for text in found if text), None)


def _words(plan: str) -> list[list[str]]:
    return [re.findall(r"[^,\s]+", stage) for stage in plan.split(";")]


def _written_out(word: str) -> list[str]:
    match = _LAYERS.fullmatch(word)
    if match is None:
        return [word]
    first, last = match.group(1), match.group(2) or match.group(1)
    return [str(number) for number in range(int(first), int(last) + 1)]


def _complaint(word: str, anatomy: Anatomy) -> str | None:
    match = _LAYERS.fullmatch(word)
    if match is None:
        if word not in PARTS:
            return f"the plan's {word!r} is neither a layer's number nor a part; {nearest(word, PARTS)}"
        lacking = word in PROJECTIONS and not anatomy.attention
        return f"the plan names {word}, but {anatomy.model_type} has no attention" if lacking else None
    first, last = int(match.group(1)), int(match.group(2) or match.group(1))
    if first > last:
        return f"the plan's layers {word} are upside down; write {last}-{first}"
    layers = len(anatomy.layers)
    return f"the plan names layer {last}, but its layers are 0 to {layers - 1}" if last >= layers else None

"""Writes a study file that says in comments what each key does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from peftsearch.draft.presets import RANGES

COMMENT_COLUMN = 54
"""Where comments begin. A longer line has its comment above it."""

HEADER = """\
# peftsearch made this study from a file. Change what you like; these commands help:
#   peftsearch check --study FILE     names every mistake, and shows what would be searched on which rows
#   peftsearch methods                lists every method with its dimensions
# A list such as [4, 8] is a choice; {log: [low, high]}, {range: …}, {int: …} and {int_log: …} are ranges."""

Line = tuple[str, str]
"""A line of the file, and its comment."""


@dataclass(frozen=True)
class Content:
    """What a new study file says.

    Attributes:
        source: the file, or a file for each split, relative to the study file's folder.
        columns: the columns of the text (two for pairs), and why they were taken.
        label: the column of the class, and why it was taken.
        left_out: classes that are left out.
        limit: the most rows of a split.
        rows: the number of rows in a few words, for the comment.
        epochs: how often each row is read.
    """

    name: str
    goal: str
    source: str | Mapping[str, str]
    columns: tuple[tuple[str, ...], str]
    label: tuple[str, str]
    left_out: Sequence[str]
    limit: Mapping[str, int]
    max_length: tuple[int, str]
    backbones: Sequence[str]
    epochs: int
    rows: str
    methods: Sequence[str]


def study_text(content: Content) -> str:
    """The study file as YAML."""
    sections = (
        _heading(content),
        (("data:", "the rows to learn from"), *_indented(_data(content))),
        [(f"backbones: {_flow(list(content.backbones))}", "the pretrained encoders that are tuned")],
        (("training:", "these settings apply to every trial"), *_indented(_training(content))),
        [("objectives: [macro_f1, trainable_parameters, train_seconds]", "what the Pareto front weighs up")],
        (("methods:", "what is searched of each method, the cheapest first"), *_indented(_methods(content))),
        [("search: {sampler: ehvi, pruner: dominated, seed: 0}", "what proposes trials, and what stops them early")],
    )
    blocks = ("\n".join(_commented(line, comment) for line, comment in section) for section in sections)
    return "\n\n".join((HEADER, *blocks)) + "\n"


def _heading(content: Content) -> Iterator[Line]:
    yield f"name: {content.name}", "names the trials: runs/NAME and runs/NAME.db"
    yield f"goal: {_flow(content.goal)}", "a sentence for readers, which changes nothing"


def _data(content: Content) -> Iterator[Line]:
    columns, why = content.columns
    yield f"source: {_flow(content.source)}", f"relative to this file's folder; {content.rows}"
    yield f"text: {_flow(columns[0] if len(columns) == 1 else list(columns))}", why
    yield f"label: {_flow(content.label[0])}", content.label[1]
    if content.left_out:
        yield f"drop_labels: {_flow(list(content.left_out))}", "classes with too few different texts"
    yield "splits: {validation: 0.15, test: 0.2, seed: 42}", "shares of the rows, where the source has no such split"
    if content.limit:
        yield f"limit: {_flow(content.limit)}", "the most rows; every class keeps its share"
    yield f"max_length: {content.max_length[0]}", content.max_length[1]


def _training(content: Content) -> Iterator[Line]:
    patience = max(2, math.ceil(content.epochs / 4))
    yield f"epochs: {content.epochs}", "how often each row is read at most; fewer rows need more"
    yield "batch_size: 32", "the rows of a step"
    yield "weight_decay: 0.01", "how far each step pulls the weights towards 0"
    yield "warmup: 0.1", "the share of the steps in which the learning rate rises"
    yield "precision: auto", "bf16 where it is faster here, else fp32"
    yield "seed: 42", "of the training: the head's first weights, the order of the rows"
    yield f"early_stopping: {{patience: {patience}, threshold: 0.001}}", f"ends a trial after {patience} epochs in vain"


def _methods(content: Content) -> Iterator[Line]:
    return ((f"{name}: {RANGES[name]}", "") for name in content.methods)


def _indented(lines: Iterable[Line]) -> Iterator[Line]:
    return ((f"  {line}", comment) for line, comment in lines)


def _commented(line: str, comment: str) -> str:
    """A line with a comment after it, or above it where they are long. No text leaves its comment."""
    if not comment:
        return line
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in comment)
    if len(line) < COMMENT_COLUMN - 1 and len(plain) < 120 - COMMENT_COLUMN:
        return f"{line.ljust(COMMENT_COLUMN)}# {plain}"
    return f"{' ' * (len(line) - len(line.lstrip()))}# {plain}\n{line}"


def _flow(value: Any) -> str:
    """A value as YAML on one line: text in double quotes, in which every character is safe."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if not isinstance(value, str):
        return str(value)
    # Without indentation a scalar's line cannot be folded, and PyYAML escapes what YAML does not allow.
    return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=math.inf).rstrip("\n")

"""What a study would search, and on which data, as `check` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peftsearch.core.dimensions import Fixed, describe
from peftsearch.core.front.tolerance import margins_of
from peftsearch.core.objectives import positive_class
from peftsearch.report.fitted_table import FittedTable
from peftsearch.report.paragraph import Paragraph, tied
from peftsearch.results.formatting import (
    backbone_in_words,
    dimension_in_words,
    enumerated,
    percent,
    tolerance_in_words,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from peftsearch.data.describe import Description, TokenLengths
    from peftsearch.study.spec import Backbone, StudySpec


SHOWN = 100
"""The number of characters of an example text that are shown."""

Lengths = Mapping[str, "TokenLengths"]
"""Token lengths of the training texts by backbone name."""


def study_preview_json(
    spec: StudySpec, data: Description, lengths: Lengths, untrained: Sequence[str] = ()
) -> dict[str, Any]:
    """The validated study and its data, for programs."""
    return {
        "name": spec.name,
        "goal": spec.goal,
        "path": str(spec.path),
        "backbones": [backbone.name for backbone in spec.backbones],
        "objectives": list(spec.objectives),
        "tolerance": {name: str(margin) for name, margin in margins_of(spec.objectives, spec.tolerance).items()},
        "constraints": {constraint.objective: constraint.bound for constraint in spec.constraints},
        "not_trained": list(untrained),
        "positive_class": positive_class(spec.objectives, list(data.classes["train"])),
        "methods": {
            method: {name: describe(dimension) for name, dimension in space.items()}
            for method, space in spec.methods.items()
        },
        "baselines": [
            {
                "method": baseline.method,
                "backbone": baseline.backbone,
                "settings": dict(baseline.settings),
                "written": baseline.written is not None,
                "learnt": baseline.learnt,
            }
            for baseline in spec.baselines
        ],
        "data": {**data.to_dict(), "tokens": {name: found.to_dict() for name, found in lengths.items()}},
        "warnings": list(spec.warnings),
    }


def study_preview(
    spec: StudySpec, data: Description, lengths: Lengths, untrained: Sequence[str] = ()
) -> list[RenderableType]:
    """The validated study and its data, for people.

    Args:
        untrained: a line for each baseline that breaks a constraint.
    """
    from rich.text import Text

    title = ": ".join(part for part in (spec.name, spec.goal) if part)
    lines = [title, "", f"backbones: {', '.join(map(_backbone, spec.backbones))}"]
    lines += [f"objectives: {', '.join(spec.objectives)}"]
    lines += [f"constraints: {', '.join(map(str, spec.constraints))}"] if spec.constraints else []
    lines += [f"on the front, {line}" for line in tolerance_in_words(spec.objectives, spec.tolerance)]
    lines += _data(data, lengths)
    positive = positive_class(spec.objectives, list(data.classes["train"]))
    lines += [f"positive class: {positive}"] if positive else []
    lines += [f"note: {note}" for note in (*data.notes, *spec.warnings)]
    lines += [f"a row of {label}: {' | '.join(map(_shortened, texts))}" for label, *texts in data.examples]
    return [
        *(Paragraph(line) if line else Text() for line in (*lines, "", "searched:")),
        space_table(spec),
        _first(spec),
        *map(Paragraph, untrained),
    ]


def _first(spec: StudySpec) -> Paragraph:
    """Which trials a search begins with."""
    first = [baseline for baseline in spec.baselines if not baseline.learnt]
    written = sum(baseline.written is not None for baseline in first)
    defaults = len(first) - written
    parts = [f"{written} baseline{'' if written == 1 else 's'} of the study"] if written else []
    if defaults:
        noun, their = ("method", "its") if defaults == 1 else ("methods", "their")
        parts.append(f"{defaults} {noun} without a baseline at {their} default settings")
    order = dict.fromkeys(baseline.method for baseline in first)
    in_order = f", in this order: {', '.join(order)}" if len(order) > 1 else ""
    return Paragraph(f"tried first: {', and '.join(parts)}{in_order}{_learnt(spec)}")


def _learnt(spec: StudySpec) -> str:
    """What is tried after that, since other searches have taught it."""
    methods = [baseline.method for baseline in spec.baselines if baseline.learnt]
    if not methods:
        return ""
    those, noun = enumerated(dict.fromkeys(methods)), "configuration" if len(methods) == 1 else "configurations"
    return f"; then {len(methods)} {noun} of {those} that did well on recorded learning curves"


def _backbone(backbone: Backbone) -> str:
    return f"{backbone.name} (read by the tokenizer of {backbone.tokenizer})" if backbone.tokenizer else backbone.name


def _data(data: Description, lengths: Lengths) -> Iterator[str]:
    """Lines about the data: the rows of each split and class, and the lengths of the texts."""
    yield f"rows: {', '.join(f'{split} {count:,}' for split, count in data.rows.items())}"
    for split, classes in data.classes.items():
        total = sum(classes.values())
        shares = (tied(f"{name}: {count:,} ({percent(count / total)})") for name, count in classes.items())
        yield f"classes in {split}: {', '.join(shares)}"
    yield f"characters in train: {_percentiles(data.characters)}"
    for name, found in lengths.items():
        cut = f"{percent(found.truncated) if found.truncated else 'none'} longer than max_length {found.max_length}"
        looked = "" if found.rows == data.rows["train"] else f" (measured on {found.rows:,} evenly spaced rows)"
        yield f"tokens in train, {backbone_in_words(name)}: {_percentiles(found.percentiles)}; {cut}{looked}"


def _percentiles(values: Mapping[int, int]) -> str:
    """Percentiles in words: `5th percentile 22, median 86, 95th percentile 199, longest 300`."""
    names = {50: "median", 100: "longest"}
    return ", ".join(f"{names.get(share, f'{share}th percentile')} {value:,}" for share, value in values.items())


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN else f"{plain[: SHOWN - 1]}…"


def space_table(spec: StudySpec) -> FittedTable:
    """A table with one row for each searched dimension, and one for all fixed dimensions of a method."""
    from rich.text import Text

    table = FittedTable(keys=2)
    table.add_column("method", "word")
    table.add_column("dimension", "word")
    table.add_column("values")
    for method, space in spec.methods.items():
        searched = {name: dimension for name, dimension in space.items() if not isinstance(dimension, Fixed)}
        fixed = [f"{name} {dimension_in_words(d)}" for name, d in space.items() if name not in searched]
        rows = [(Text(name), Text(dimension_in_words(dimension))) for name, dimension in searched.items()]
        rows += [(Text("fixed", "dim"), Text(", ".join(fixed), "dim"))] if fixed else []
        for place, cells in enumerate(rows or [(Text(), Text())]):
            table.add_row(Text("" if place else method, "bold"), *cells)
    return table

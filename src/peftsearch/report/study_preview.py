"""What a study would search, and on which data, as `check` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from peftsearch.core.dimensions import Fixed, describe
from peftsearch.core.objectives import positive_class
from peftsearch.results.formatting import backbone_in_words, percent

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from peftsearch.data.describe import Description, TokenLengths
    from peftsearch.study.spec import Backbone, StudySpec


SHOWN = 100
"""The number of characters of an example text that are shown."""

Lengths = Mapping[str, "TokenLengths"]
"""Token lengths of the training texts by backbone name."""


def study_preview_json(spec: StudySpec, data: Description, lengths: Lengths) -> dict[str, Any]:
    """The validated study and its data, for programs."""
    return {
        "name": spec.name,
        "goal": spec.goal,
        "path": str(spec.path),
        "backbones": [backbone.name for backbone in spec.backbones],
        "objectives": list(spec.objectives),
        "positive_class": positive_class(spec.objectives, list(data.classes["train"])),
        "methods": {
            method: {name: describe(dimension) for name, dimension in space.items()}
            for method, space in spec.methods.items()
        },
        "baselines": [
            {"method": b.method, "backbone": b.backbone, "settings": dict(b.settings), "written": b.written is not None}
            for b in spec.baselines
        ],
        "data": {**data.to_dict(), "tokens": {name: found.to_dict() for name, found in lengths.items()}},
        "warnings": list(spec.warnings),
    }


def study_preview(spec: StudySpec, data: Description, lengths: Lengths) -> list[RenderableType]:
    """The validated study and its data, for people."""
    from rich.text import Text

    shared = [f"backbones: {', '.join(map(_backbone, spec.backbones))}"]
    shared += [f"objectives: {', '.join(spec.objectives)}", *_data(data, lengths)]
    positive = positive_class(spec.objectives, list(data.classes["train"]))
    shared += [f"positive class: {positive}"] if positive else []
    shared += [f"note: {note}" for note in (*data.notes, *spec.warnings)]
    written = sum(baseline.written is not None for baseline in spec.baselines)
    defaults = len(spec.baselines) - written
    first = (
        f"tried first: {written} baselines of the study, and {defaults} methods without one at their default settings"
    )
    return [Text("\n".join([f"{spec.name}: {spec.goal}", "", *shared, "", "searched:"])), _space(spec), first]


def _backbone(backbone: Backbone) -> str:
    return f"{backbone.name} (read by the tokenizer of {backbone.tokenizer})" if backbone.tokenizer else backbone.name


def _data(data: Description, lengths: Lengths) -> Iterator[str]:
    """Lines about the data: rows of each split and class, text lengths, and a few examples."""
    yield f"rows: {', '.join(f'{split} {count:,}' for split, count in data.rows.items())}"
    for split, classes in data.classes.items():
        total = sum(classes.values())
        shares = (f"{name}: {count:,} ({percent(count / total)})" for name, count in classes.items())
        yield f"classes in {split}: {', '.join(shares)}"
    yield f"characters in train: {_percentiles(data.characters)}"
    for name, found in lengths.items():
        cut = f"{percent(found.truncated) if found.truncated else 'none'} longer than max_length {found.max_length}"
        looked = "" if found.rows == data.rows["train"] else f" (measured on {found.rows:,} evenly spaced rows)"
        yield f"tokens in train, {backbone_in_words(name)}: {_percentiles(found.percentiles)}; {cut}{looked}"
    for label, *texts in data.examples:
        yield f"a row of {label}: {' | '.join(_shortened(text) for text in texts)}"


def _percentiles(values: Mapping[int, int]) -> str:
    """Percentiles in words: `5th percentile 22, median 86, 95th percentile 199, longest 300`."""
    names = {50: "median", 100: "longest"}
    return ", ".join(f"{names.get(share, f'{share}th percentile')} {value:,}" for share, value in values.items())


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN else f"{plain[: SHOWN - 1]}…"


def _space(spec: StudySpec) -> Table:
    """A table with one row for each searched dimension, and one for all fixed dimensions of a method."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
    for method, space in spec.methods.items():
        searched = {name: dimension for name, dimension in space.items() if not isinstance(dimension, Fixed)}
        for place, (name, dimension) in enumerate(searched.items()):
            table.add_row(Text("" if place else method, style="bold"), name, Text(describe(dimension)))
        fixed = ", ".join(f"{name} {describe(dimension)}" for name, dimension in space.items() if name not in searched)
        table.add_row(
            Text("" if searched else method, style="bold"), Text("fixed", style="dim"), Text(fixed, style="dim")
        )
    return table

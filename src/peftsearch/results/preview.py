"""What a study would search, on which data: what `check` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peftsearch.core.dimensions import Fixed, describe
from peftsearch.core.objectives import positive_class

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from peftsearch.data.describe import Description
    from peftsearch.study.spec import StudySpec


def preview_json(spec: StudySpec, data: Description) -> dict[str, Any]:
    """The study as it was understood, and its data, for programs."""
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
        "data": data.to_dict(),
        "warnings": list(spec.warnings),
    }


def preview(spec: StudySpec, data: Description) -> list[RenderableType]:
    """The same for people."""
    from rich.text import Text

    rows = ", ".join(f"{split} {count:,}" for split, count in data.rows.items())
    shared = [f"backbones: {', '.join(backbone.name for backbone in spec.backbones)}"]
    shared += [f"objectives: {', '.join(spec.objectives)}", f"rows: {rows}"]
    positive = positive_class(spec.objectives, list(data.classes["train"]))
    shared += [f"positive class: {positive}"] if positive else []
    shared += [f"classes in train: {', '.join(f'{name} {count:,}' for name, count in data.classes['train'].items())}"]
    shared += [f"note: {note}" for note in (*data.notes, *spec.warnings)]
    written = sum(baseline.written is not None for baseline in spec.baselines)
    first = f"tried first: {written} baselines and {len(spec.baselines) - written} default points of other methods"
    return [Text("\n".join([f"{spec.name}: {spec.goal}", "", *shared, "", "searched:"])), _space(spec), first]


def _space(spec: StudySpec) -> Table:
    """One line a searched dimension; what is fixed is one line a method."""
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

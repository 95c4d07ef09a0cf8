"""docs/reference/objectives.md: what a study can optimise or bound."""

from __future__ import annotations

from scripts.reference.markdown import code, page, table

from peftsearch.core.objectives import DEFAULT_METRIC, EVALUATE, OBJECTIVES, Objective

BETTER = {"maximize": "more", "minimize": "less"}
WHEN = {
    "curve": "after every epoch",
    "start": "before the first step",
    "time": "grows with the epochs",
    "end": "after the trial",
}
"""When a running trial's value is known, in words, by `Objective.known`."""


def objectives_page() -> str:
    """The whole page."""
    rows = [
        [code(name), _summary(found), BETTER[found.direction], found.unit, WHEN[found.known], _margin(found)]
        for name, found in OBJECTIVES.items()
    ]
    return page(
        "objectives.md.jinja",
        table=table(["name", "what it measures", "better is", "unit", "when it is known", "equal within"], rows),
        evaluate=EVALUATE,
        default=DEFAULT_METRIC,
    )


def _margin(objective: Objective) -> str:
    """By how much two values may differ and count as equal on a front, unless a study says otherwise."""
    share = f"{objective.equal_within:.0%}".replace("%", " %") if objective.equal_within else "–"
    return share + (f" + {objective.noise_floor:g} {objective.unit}" if objective.noise_floor else "")


def _summary(objective: Objective) -> str:
    notes = [objective.summary]
    if objective.classes:
        notes.append(f"needs {objective.classes} classes")
    if objective.on_request:
        notes.append("measured only in a study that names it, because that takes time")
    return "; ".join(notes)

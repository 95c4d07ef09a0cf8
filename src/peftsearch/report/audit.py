"""The audit of a study as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peftsearch.report.fitted_table import FittedTable
from peftsearch.report.paragraph import Paragraph
from peftsearch.results.audit import FEW
from peftsearch.results.formatting import dimension_in_words, percent, value_in_words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from peftsearch.results.audit import Audit, MethodAudit, SearchedDimension
    from peftsearch.results.times.kinds import ScaledKind
    from peftsearch.storage.times.scale import Scale

EDGES = {"low": "at the lower end", "high": "at the upper end"}

NOTHING = "nothing in the trials speaks against this result"


def audit_view(found: Audit) -> list[RenderableType]:
    """What each method was given, where its best settings lie in what was searched, and the warnings."""
    parts: list[RenderableType] = [part for pair in audit_tables(found) for part in pair]
    warned = list(warnings(found))
    if not warned:
        return [*parts, NOTHING]
    return [*parts, "what speaks against this result", *(Paragraph(line, indent=2) for line in warned)]


def audit_tables(found: Audit) -> Iterator[tuple[str, FittedTable]]:
    """The tables of the audit, each after its heading."""
    yield "what each method was given", _given(found)
    if any(method.dimensions for method in found.methods):
        yield "what was searched, and where the best trial of each method lies in it", _searched(found)


def audit_json(found: Audit) -> dict[str, Any]:
    """The audit for programs, with the warnings as people read them."""
    return {**found.to_dict(), "warnings": list(warnings(found))}


def warnings(found: Audit) -> Iterator[str]:
    """What speaks against the result, a sentence for each kind and for each setting at the end of its range."""
    few = [f"{method.method} ({_finished(method)})" for method in found.methods if method.few]
    if few:
        yield (
            f"fewer than {FEW} trials have finished of {', '.join(few)}; so few say little about a method: give the "
            f"search more trials"
        )
    cut = [
        f"{method.method} (trial {method.best}: by {percent(method.still_falling)})"
        for method in found.methods
        if method.still_falling
    ]
    if cut:
        yield (
            f"not trained to its end, because the validation loss still fell in the last epoch, is the best trial of "
            f"{', '.join(cut)}: give it more epochs"
        )
    for method in found.methods:
        yield from (_at_the_end(method.method, dimension) for dimension in method.dimensions if dimension.edge)
    yield from map(scaled_in_words, found.scaled)
    if found.apart:
        yield timings_in_words(found.apart)
    if found.versions:
        groups = (f"{len(trials):,} with {words}" for words, trials in found.versions.items())
        yield (
            f"not all trials had the same versions of packages: of the finished ones, {', '.join(groups)}; peftsearch "
            "confirm trains the best again with the same versions"
        )
    if found.beside_others:
        front = "those of the front were measured again, alone"
        alone = front if found.timed_again else "peftsearch confirm measures times alone"
        yield (
            f"another trial ran on the same device during {len(found.beside_others)} of {found.finished} finished "
            f"trials, whose times are longer and less exact for it; {alone}"
        )


def scaled_in_words(kind: ScaledKind) -> str:
    """By what the times of another kind of device were multiplied."""
    count, light = len(kind.trials), f" ({kind.evaluation:.2f} where no part of an encoder is trained)"
    return (
        f"the times of {count:,} trial{'' if count == 1 else 's'} (~) are multiplied by {kind.training:.2f}"
        f"{light if kind.work == 'encoder' else ''}, as was measured on both devices: they are {kind.timed_in}, and the"
        f" study compares {kind.reference}; such a time may be off by a fifth"
    )


def reference_in_words(scale: Scale) -> str:
    """That no worker had the reference which the study file names, and which kinds of device are it instead."""
    kinds = " and ".join(dict.fromkeys(each.timed_in for each in scale.references.values()))
    return (
        f"the study compares {kinds}: no device that was timed has {scale.named!r} in its name, which the study file"
        " gives as reference_device"
    )


def timings_in_words(found: Mapping[str, Sequence[int]]) -> str:
    """What keeps the times of a study's trials from being compared, and what to do about it."""
    groups = (f"{len(trials):,} {'has' if len(trials) == 1 else 'have'} {words}" for words, trials in found.items())
    return (
        f"not all train times compare, and no factor between them is known: of the finished trials, "
        f"{', '.join(groups)}; a search under a name of its own (--fork) measures all alike"
    )


def _finished(method: MethodAudit) -> str:
    others = (("pruned", method.pruned), ("failed", method.failed))
    return ", ".join([str(method.finished), *(f"{count} {words}" for words, count in others if count)])


def _at_the_end(method: str, dimension: SearchedDimension) -> str:
    name, value = dimension.name.replace("_", " "), value_in_words(dimension.best if dimension.best is not None else "")
    return (
        f"the best trial of {method} has its {name}, {value}, {where(dimension)} of what was searched, "
        f"{dimension_in_words(dimension.dimension)}: search beyond it"
    )


def _given(found: Audit) -> FittedTable:
    table = FittedTable()
    table.add_column("method", "word")
    for heading in ("finished", "pruned", "failed", "running or\nwaiting", "epochs", "best\ntrial"):
        table.add_column(heading, "number")
    for method in found.methods:
        counts = (method.finished, method.pruned, method.failed, method.open, method.epochs)
        best = "–" if method.best is None else str(method.best)
        table.add_row(method.method, *(f"{count:,}" for count in counts), best)
    return table


def _searched(found: Audit) -> FittedTable:
    table = FittedTable(keys=2)
    table.add_column("method", "word")
    table.add_column("setting")
    table.add_column("searched")
    table.add_column("values\ntried", "number")
    table.add_column("best", "word")
    table.add_column("where")
    for method in found.methods:
        for dimension in method.dimensions:
            best = "–" if dimension.best is None else value_in_words(dimension.best)
            words = dimension_in_words(dimension.dimension)
            table.add_row(method.method, dimension.name, words, f"{dimension.tried:,}", best, where(dimension))
    return table


def where(dimension: SearchedDimension) -> str:
    """At which end of what was searched the best value lies; empty if it lies at none."""
    return EDGES[dimension.edge] if dimension.edge else ""

"""Lists that are not trials: studies, methods, parameter counts, predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.dimensions import Text, describe
from peftsearch.methods.architectures import works_on
from peftsearch.methods.hyperparameters import SHARED, TRAINING, Hyperparameter
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.report.fitted_table import FittedTable, Kind
from peftsearch.report.paragraph import Paragraph, tied
from peftsearch.results.formatting import backbone_in_words, config_in_words, dimension_in_words
from peftsearch.study.catalogue import displayed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from peftsearch.core.config import TrialConfig
    from peftsearch.methods.base import Method
    from peftsearch.results.kept import Kept
    from peftsearch.training.dry_run import MethodCheck


ABOUT_FIGURES = (
    "Scores are macro F1 of all-MiniLM-L6-v2 on validation rows; the questions are 1,500 TREC questions "
    "(docs/experiments.md)."
)
"""What the figures in `Method.when` are."""

COLUMNS_OF_A_METHOD: dict[str, Kind] = {
    "hyperparameter": "word",
    "default": "text",
    "valid": "text",
    "what it is": "text",
}


def studies_table(studies: Iterable[tuple[str, str, Path]], kept: Mapping[str, Kept]) -> FittedTable:
    """The name, goal, state and file of each study.

    Args:
        studies: those that have a file, as `list_studies` finds them.
        kept: those that have trials, by name; some of these have no file.
    """
    table = FittedTable()
    table.add_column("study", "word")
    table.add_column("goal")
    table.add_column("trials")
    table.add_column("file")
    files = {name: (goal, displayed(path)) for name, goal, path in studies}
    found = {name: (study.goal, study.file or "–") for name, study in kept.items()} | files
    for name, (goal, file) in sorted(found.items()):
        table.add_row(name, goal, kept[name].state if name in kept else "–", file)
    return table


def parameters_table(baselines: Sequence[tuple[TrialConfig, Sequence[int]]]) -> FittedTable:
    """The trainable parameters of each configuration, in every epoch in which they change.

    Args:
        baselines: configurations with one count for each epoch; without counts where they depend on the texts.
    """
    table, changing = FittedTable(keys=2), any(len(set(counts)) > 1 for _, counts in baselines)
    table.add_column("method", "word")
    table.add_column("backbone")
    table.add_column("settings")
    table.add_column("trainable parameters", "text" if changing else "number")
    for config, counts in baselines:
        changes = [count for i, count in enumerate(counts) if i == 0 or count != counts[i - 1]]
        words = " → ".join(f"{count:,}" for count in changes) or "depends on the texts"
        backbone = backbone_in_words(config.backbone) if counts else "–"
        table.add_row(config.method, backbone, config_in_words(config), words)
    return table


def methods_list(methods: Iterable[Method]) -> Iterator[RenderableType]:
    """What each method does, its paper, and what it can search."""
    from rich.text import Text

    for method in methods:
        yield Text(method.name, style="bold")
        yield Paragraph(method.summary, indent=2)
        yield Paragraph(f"paper: {method.paper}", indent=2)
        if method.own:
            yield _dimensions(method.own)
    yield Paragraph("Every method also has these, unless it says otherwise above:")
    yield _dimensions(SHARED)
    yield Paragraph(f"A study may also search these fields of its training section: {', '.join(TRAINING)}")


def method_page(method: Method) -> Iterator[RenderableType]:
    """One method: what it does, its paper, when to use it, where it works, and every hyperparameter.

    A hyperparameter is shown with its default space and its valid values.
    """
    from rich.text import Text as Line

    yield Line(method.name, style="bold")
    yield Paragraph(method.summary, indent=2)
    yield Paragraph(f"paper: {method.paper}", indent=2)
    yield Paragraph(f"when to use it: {method.when}", indent=2)
    yield from (Paragraph(line, indent=2) for line in _architectures(method))
    table = FittedTable(indent=2)
    for heading, kind in COLUMNS_OF_A_METHOD.items():
        table.add_column(heading, kind)
    for name, hyperparameter in method.hyperparameters.items():
        valid = hyperparameter.valid
        words = describe(valid) if isinstance(valid, Text) else dimension_in_words(valid)
        table.add_row(name, dimension_in_words(hyperparameter.default), words, hyperparameter.summary)
    yield table
    if method.takes_steps:
        yield Paragraph(f"A study may also search these fields of its training section: {', '.join(TRAINING)}")
    if method.name in ENCODER_METHODS:
        yield Paragraph(f"Whether it works on a model: {tied('peftsearch methods --backbone NAME')}")
    yield Paragraph(ABOUT_FIGURES)


def _architectures(method: Method) -> Iterator[str]:
    """The architectures on which the method works, and why it does not on the others."""
    if method.name not in ENCODER_METHODS:
        yield "works on: any texts, because it needs no model"
        return
    works, why = works_on(method.name)
    yield f"works on: {', '.join(works)}"
    yield from (f"not on {name}: {reason}" for name, reason in why.items())


def checks_table(checks: Iterable[MethodCheck]) -> FittedTable:
    """Which methods work on a backbone."""
    table = FittedTable()
    for heading in ("method", "works", "trains", "merges"):
        table.add_column(heading, "word")
    table.add_column("parameters", "number")
    table.add_column("why not")
    for check in checks:
        works = check.why is None
        marks = (_yes(check.trains), _yes(check.merges)) if works else ("", "")
        table.add_row(check.method, _yes(works), *marks, f"{check.parameters:,}" if works else "", check.why or "")
    return table


def predictions_table(texts: Iterable[str | Sequence[str]], answers: Iterable[Mapping[str, Any]]) -> FittedTable:
    """The most probable label of each text, or of each pair of texts."""
    table = FittedTable(keys=2)
    table.add_column("label")
    table.add_column("probability", "number")
    table.add_column("text")
    for text, answer in zip(texts, answers, strict=True):
        words = text if isinstance(text, str) else " | ".join(text)
        table.add_row(answer["label"], f"{answer['probability']:.3f}", words)
    return table


def _dimensions(hyperparameters: Mapping[str, Hyperparameter]) -> FittedTable:
    """One row for each hyperparameter: its default dimension and what it means. The table has no headings."""
    table = FittedTable(indent=2)
    for kind in ("word", "text", "text"):
        table.add_column("", kind)
    for name, hyperparameter in hyperparameters.items():
        table.add_row(name, dimension_in_words(hyperparameter.default), hyperparameter.summary)
    return table


def _yes(mark: bool) -> str:
    return "yes" if mark else "no"

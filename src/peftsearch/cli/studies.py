"""Commands about studies and methods, before anything is trained: studies, methods, params, check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from peftsearch.cli.options import ChosenStudy, example, json_option, study_option
from peftsearch.cli.output import print_json, show

if TYPE_CHECKING:
    from rich.table import Table

    from peftsearch.methods.base import Method
    from peftsearch.methods.hyperparameters import Hyperparameter


@click.command(epilog=example("peftsearch studies"))
@json_option
def studies(as_json: bool) -> None:
    """List the studies that --study finds by name, with their goals."""
    from rich.table import Table

    from peftsearch.api import list_studies

    found = list_studies()
    if as_json:
        print_json([{"name": name, "goal": goal, "path": str(path)} for name, goal, path in found])
        return
    table = Table("study", "goal", "file", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, goal, path in found:
        table.add_row(name, goal, str(path))
    show(table)


@click.command(
    epilog=example("peftsearch methods", "peftsearch methods --backbone sentence-transformers/all-MiniLM-L6-v2")
)
@click.option(
    "--backbone", metavar="NAME", help="Try each method on this model for a few steps, and say which ones work."
)
@json_option
def methods(backbone: str | None, as_json: bool) -> None:
    """List the tuning methods: what each one is, what it can search, and its paper."""
    if backbone is not None:
        _methods_on(backbone, as_json)
        return
    from rich.text import Text

    from peftsearch.methods.hyperparameters import SHARED, TRAINING
    from peftsearch.methods.table import METHODS

    if as_json:
        print_json([_method_json(method) for method in METHODS.values()])
        return
    for method in METHODS.values():
        show(Text(method.name, style="bold"), Text(f"  {method.summary}\n  paper: {method.paper}"))
        show(_dimensions(method.own))
    show("Every method also has these, unless it says otherwise above:", _dimensions(SHARED))
    show(f"Every method may also search these fields of the training section: {', '.join(TRAINING)}")


def _methods_on(backbone: str, as_json: bool) -> None:
    from dataclasses import asdict

    from rich.table import Table

    from peftsearch.backbones.names import resolve
    from peftsearch.training.dry_run import try_methods

    found = list(try_methods(resolve(backbone)))
    if as_json:
        print_json([{**asdict(check), "works": check.why is None} for check in found])
        return
    table = Table("method", "works", "trains", "merges", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("parameters", justify="right")
    table.add_column("why not")
    for check in found:
        works = check.why is None
        marks = (_yes(check.trains), _yes(check.merges)) if works else ("", "")
        table.add_row(check.method, _yes(works), *marks, f"{check.parameters:,}" if works else "", check.why or "")
    show(table)


def _yes(mark: bool) -> str:
    return "yes" if mark else "no"


@click.command(epilog=example("peftsearch params --study quickstart", "peftsearch params --study agnews --classes 4"))
@study_option
@click.option("--classes", type=click.IntRange(2), help="The number of labels.  [default: counted in the study's data]")
@json_option
def params(study: ChosenStudy, classes: int | None, as_json: bool) -> None:
    """Count the trainable parameters of a study's baselines.

    They are counted in each epoch and shown where they change. Nothing is trained, and a backbone's config.json is
    enough.
    """
    from rich.table import Table

    from peftsearch.optimize.preview import baseline_parameters
    from peftsearch.results.formatting import backbone_in_words, config_in_words

    found = baseline_parameters(study.load(), classes)
    if as_json:
        print_json([{"config": config.to_dict(), "trainable_parameters": counts} for config, counts in found])
        return
    table = Table("method", "backbone", "settings", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("trainable parameters", justify="right")
    for config, counts in found:
        changes = [count for i, count in enumerate(counts) if i == 0 or count != counts[i - 1]]
        words = " → ".join(f"{count:,}" for count in changes)
        table.add_row(config.method, backbone_in_words(config.backbone), config_in_words(config), words)
    show(table)


def _dimensions(hyperparameters: Mapping[str, Hyperparameter]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from peftsearch.core.dimensions import describe

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
    for name, hyperparameter in hyperparameters.items():
        table.add_row(name, Text(describe(hyperparameter.default)), Text(hyperparameter.summary, style="dim"))
    return table


def _method_json(method: Method) -> dict[str, object]:
    from peftsearch.core.dimensions import describe

    dimensions = {
        name: {"default": describe(found.default), "valid": describe(found.valid), "summary": found.summary}
        for name, found in method.hyperparameters.items()
    }
    return {"name": method.name, "summary": method.summary, "paper": method.paper, "dimensions": dimensions}


@click.command(epilog=example("peftsearch check --study my-study.yaml"))
@study_option
@json_option
def check(study: ChosenStudy, as_json: bool) -> None:
    """Validate a study and its data, and say what would be searched.

    Nothing is trained.
    """
    from peftsearch import api
    from peftsearch.data.describe import describe_data
    from peftsearch.optimize.preview import token_lengths
    from peftsearch.report.study_preview import study_preview, study_preview_json

    spec = study.load()
    data = api.check_study(spec)
    described, lengths = describe_data(data), token_lengths(spec, data)
    if as_json:
        print_json(study_preview_json(spec, described, lengths))
    else:
        show(*study_preview(spec, described, lengths))

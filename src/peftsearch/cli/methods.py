"""`methods`: what can be searched, and which methods work on a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from peftsearch.cli.options import example, json_option
from peftsearch.cli.output import list_table, print_json, show

if TYPE_CHECKING:
    from rich.table import Table

    from peftsearch.methods.base import Method
    from peftsearch.methods.hyperparameters import Hyperparameter


@click.command(
    epilog=example("peftsearch methods", "peftsearch methods --backbone sentence-transformers/all-MiniLM-L6-v2")
)
@click.option(
    "--backbone", metavar="NAME", help="Try each method on this model for a few steps, and say which ones work."
)
@json_option
def methods(backbone: str | None, as_json: bool) -> None:
    """List the tuning methods and what each can search.

    For each hyperparameter this shows the default space, and for each method its paper.
    """
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
    show(f"A study may also search these fields of its training section: {', '.join(TRAINING)}")


def _methods_on(backbone: str, as_json: bool) -> None:
    from dataclasses import asdict

    from peftsearch.backbones.names import resolve
    from peftsearch.training.dry_run import try_methods

    found = list(try_methods(resolve(backbone)))
    if as_json:
        print_json([{**asdict(check), "works": check.why is None} for check in found])
        return
    table = list_table("method", "works", "trains", "merges")
    table.add_column("parameters", justify="right")
    table.add_column("why not")
    for check in found:
        works = check.why is None
        marks = (_yes(check.trains), _yes(check.merges)) if works else ("", "")
        table.add_row(check.method, _yes(works), *marks, f"{check.parameters:,}" if works else "", check.why or "")
    show(table)


def _yes(mark: bool) -> str:
    return "yes" if mark else "no"


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

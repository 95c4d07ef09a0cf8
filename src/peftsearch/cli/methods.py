"""`methods`: what can be searched, and which methods work on a backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from peftsearch.cli.shared import completion
from peftsearch.cli.shared.options import example, json_option
from peftsearch.cli.shared.output import print_json, show
from peftsearch.core.errors import nearest, shown

if TYPE_CHECKING:
    from peftsearch.methods.base import Method


@click.command(
    epilog=example(
        "peftsearch methods",
        "peftsearch methods lora",
        "peftsearch methods --backbone sentence-transformers/all-MiniLM-L6-v2",
    )
)
@click.argument("name", metavar="[METHOD]", required=False, shell_complete=completion.methods)
@click.option(
    "--backbone", metavar="NAME", help="Try each method on this model for a few steps, and say which ones work."
)
@json_option
def methods(name: str | None, backbone: str | None, as_json: bool) -> None:
    """List the tuning methods and what each can search.

    For each hyperparameter this shows the default space, and for each method its paper. With METHOD it shows that
    method alone: also when to use it, on which architectures it works, and which values are valid.
    """
    if name is not None and backbone is not None:
        raise click.UsageError("give either a method's name or --backbone")
    if backbone is not None:
        _methods_on(backbone, as_json)
        return
    from peftsearch.methods.table import METHODS
    from peftsearch.report.lists import method_page, methods_list

    if name is not None:
        if name not in METHODS:
            raise click.BadParameter(
                f"no method is called {shown(name)}; {nearest(name, METHODS)}", param_hint="METHOD"
            )
        print_json(_method_json(METHODS[name])) if as_json else show(*method_page(METHODS[name]))
        return
    if as_json:
        print_json([_method_json(method) for method in METHODS.values()])
        return
    show(*methods_list(METHODS.values()))


def _methods_on(backbone: str, as_json: bool) -> None:
    from dataclasses import asdict

    from peftsearch.backbones.names import resolve
    from peftsearch.report.lists import checks_table
    from peftsearch.training.dry_run import try_methods

    found = list(try_methods(resolve(backbone)))
    if as_json:
        print_json([{**asdict(check), "works": check.why is None} for check in found])
        return
    show(checks_table(found))


def _method_json(method: Method) -> dict[str, object]:
    from peftsearch.core.dimensions import describe
    from peftsearch.methods.architectures import works_on
    from peftsearch.methods.table import ENCODER_METHODS

    dimensions = {
        name: {"default": describe(found.default), "valid": describe(found.valid), "summary": found.summary}
        for name, found in method.hyperparameters.items()
    }
    about: dict[str, object] = {name: getattr(method, name) for name in ("name", "summary", "paper", "when")}
    if method.name in ENCODER_METHODS:
        works, why = works_on(method.name)
        about |= {"works_on": works, "not_on": dict(why)}
    return {**about, "dimensions": dimensions}

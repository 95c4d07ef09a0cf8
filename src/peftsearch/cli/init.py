"""`init`: a study file made from a file of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from peftsearch.cli.shared.options import example
from peftsearch.cli.shared.output import say, tell
from peftsearch.cli.shared.volume import is_quiet
from peftsearch.core.escaping import on_one_line
from peftsearch.draft.presets import DEFAULT_EFFORT, EFFORTS

effort_option = click.option(
    "--effort",
    type=click.Choice(tuple(EFFORTS)),
    help="How many methods, epochs and rows a new study has: quick finds a first model, thorough compares nine methods."
    "  [default: balanced]",
)
text_option = click.option(
    "--text",
    multiple=True,
    metavar="COLUMN",
    help="The column of the texts; repeat the option for pairs of texts.  [default: guessed]",
)
label_option = click.option("--label", metavar="COLUMN", help="The column of the classes.  [default: guessed]")


@click.command(
    epilog=example(
        "peftsearch init reviews.csv", "peftsearch init reviews.csv --text body --label stars --effort quick"
    )
)
@click.argument("file", metavar="FILE")
@text_option
@label_option
@effort_option
@click.option(
    "--backbone",
    multiple=True,
    metavar="NAME",
    help="A pretrained encoder to tune; repeat the option for several."
    "  [default: sentence-transformers/all-MiniLM-L6-v2]",
)
@click.option("--out", metavar="FILE", help="The study file to write.  [default: studies/NAME.yaml]")
@click.option("--overwrite", is_flag=True, help="Replace a study file that is there already.")
def init(
    file: str,
    text: tuple[str, ...],
    label: str | None,
    effort: str | None,
    backbone: tuple[str, ...],
    out: str | None,
    overwrite: bool,
) -> None:
    """Make a study from a file of labelled texts.

    FILE is a table such as CSV, JSON lines or Parquet, a folder with a data file or a folder for each class, or a URL.
    The study file says in comments what each of its keys does. Nothing is trained, and no row of a test split is read.
    """
    from peftsearch.api import init_study

    made = init_study(
        file, out, text=text, label=label, backbones=backbone, effort=effort or DEFAULT_EFFORT, overwrite=overwrite
    )
    for line in made.found if not is_quiet() else ():
        tell(on_one_line(line))
    for line in made.warnings:
        say(on_one_line(f"note: {line}"))
    named = made.name if made.path == Path("studies", f"{made.name}.yaml") else shlex.quote(str(made.path))
    tell(on_one_line(f"written to {made.path}; search it with:"))
    tell(on_one_line(f"  peftsearch optimize --study {named} --time-limit 15m"))

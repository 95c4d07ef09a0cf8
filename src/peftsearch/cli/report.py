"""`report`: a study as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from peftsearch.cli.shared.options import ChosenStudy, example, front_options, storage_options, stored
from peftsearch.cli.shared.output import say
from peftsearch.cli.shared.parsing import WholeNumber


@click.command(
    epilog=example(
        "peftsearch report --study quickstart --out report.html",
        "peftsearch report --study quickstart --out report.html --texts 0",
    )
)
@storage_options
@front_options
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="The page to write."
)
@click.option(
    "--texts",
    type=WholeNumber(min=0),
    default=10,
    show_default=True,
    help="How many wrongly labelled validation texts to show. With 0 the page holds no text of your data.",
)
def report(study: ChosenStudy, fork: str | None, storage: str | None, out: Path, texts: int) -> None:
    """Write a study as one HTML page, for anyone to read.

    Its reader need not know peftsearch. The page has the answer, the front, learning curves, what was stopped and why,
    the chosen trial's classes and mistakes, and how far all of it can be trusted. It needs nothing from the network.
    """
    from peftsearch.report.html.page import write_report

    results = stored(study, fork, storage)
    write_report(results, out, texts)
    say(f"{results.name}: its report is {out} ({out.stat().st_size / 1e6:.1f} MB)")

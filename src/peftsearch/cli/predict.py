"""The command that labels texts with an exported classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from peftsearch.cli.options import example, json_option
from peftsearch.cli.output import print_json, say, show
from peftsearch.core.errors import UserError

if TYPE_CHECKING:
    from peftsearch.predict.input import Row


@click.command(
    epilog=example(
        "peftsearch predict my-classifier --text 'a small wild cat'",
        "peftsearch predict my-classifier --file texts.csv --json",
    )
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, help="A text to label; may be repeated.")
@click.option(
    "--pair", "pairs", multiple=True, help="The second text of a pair; give one for each --text, in the same order."
)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="A file of texts: .txt with one text on each line, or CSV, JSON Lines or Parquet with the study's columns.",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Texts in one forward pass."
)
@json_option
def predict(
    folder: Path, texts: tuple[str, ...], pairs: tuple[str, ...], file: Path | None, batch_size: int, as_json: bool
) -> None:
    """Label texts with an exported classifier."""
    from peftsearch.api import load_classifier
    from peftsearch.predict.input import read_input
    from peftsearch.report.lists import predictions_table

    if bool(texts) == bool(file):
        raise UserError("give the texts with either --text or --file")
    if pairs and len(pairs) != len(texts):
        raise UserError(
            f"--pair is given {len(pairs)} times and --text {len(texts)} times; give one --pair for each --text"
        )
    classifier = load_classifier(folder)
    rows: Sequence[Row] = list(zip(texts, pairs, strict=True)) if pairs else texts
    if file:
        rows, notes = read_input(file, classifier.inputs)
        for note in notes:
            say(f"note: {note}")
    answers = classifier.predict(rows, batch_size)
    given = [classifier.inputs.shown(row) for row in rows]
    if as_json:
        print_json([{"text": text, **answer} for text, answer in zip(given, answers, strict=True)])
        return
    show(predictions_table(given, answers))

"""Commands that take a classifier away and use it: export, predict."""

from __future__ import annotations

from pathlib import Path

import click

from peftsearch.cli.options import (
    BEST,
    ChosenStudy,
    example,
    json_option,
    parse_trial,
    print_json,
    show,
    storage_options,
    stored,
)
from peftsearch.core.errors import UserError


@click.command(epilog=example("peftsearch export --study quickstart --trial best --out my-classifier"))
@storage_options
@click.option("--trial", callback=parse_trial, default=BEST, show_default=True, metavar="N|best", help="Which trial.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A new folder to write to.")
@json_option
def export(
    study: ChosenStudy, fork: str | None, storage: str | None, trial: int | str, out: Path, as_json: bool
) -> None:
    """Write a trial's classifier to a folder, ready to use.

    Weights, tokenizer, label names, configuration and model card.
    `best` is the trial of the front with the best quality. Weights are kept of the trials on the front.
    """
    from peftsearch.api import export_trial

    results = stored(study, fork, storage)
    kept = export_trial(results, trial, out)
    if as_json:
        print_json({"trial": kept.number, "method": kept.config.method, "out": str(out)})
    else:
        click.echo(f"trial {kept.number} ({kept.config.method}) is in {out}; try: peftsearch predict {out} --text '…'")


@click.command(
    epilog=example(
        "peftsearch predict my-classifier --text 'a small wild cat'",
        "peftsearch predict my-classifier --file texts.csv --json",
    )
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, help="A text to label; may be repeated.")
@click.option("--pair", "pairs", multiple=True, help="The second text of the --text at the same place.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="Texts: a .txt file with one a line, or CSV, JSON Lines or Parquet with the columns the study had.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True)
@json_option
def predict(
    folder: Path, texts: tuple[str, ...], pairs: tuple[str, ...], file: Path | None, batch_size: int, as_json: bool
) -> None:
    """Label texts with an exported classifier."""
    from rich.table import Table
    from rich.text import Text

    from peftsearch.api import load_classifier
    from peftsearch.export.predict_input import read_texts

    if bool(texts) == bool(file):
        raise UserError("give the texts with either --text or --file")
    if pairs and len(pairs) != len(texts):
        raise UserError(f"--pair stands {len(pairs)} times and --text {len(texts)} times; give each text its pair")
    classifier = load_classifier(folder)
    given = (
        read_texts(file, classifier.text_columns) if file else list(zip(texts, pairs, strict=True)) if pairs else texts
    )
    answers = classifier.predict(list(given), batch_size)
    if as_json:
        print_json([{"text": text, **answer} for text, answer in zip(given, answers, strict=True)])
        return
    table = Table("label", "probability", "text", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for text, answer in zip(given, answers, strict=True):
        words = text if isinstance(text, str) else " | ".join(text)
        table.add_row(Text(answer["label"]), f"{answer['probability']:.3f}", Text(words))
    show(table)

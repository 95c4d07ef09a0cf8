"""The command that labels texts, or the rows of a file, with an exported classifier."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from peftsearch.cli.shared.options import example, json_option
from peftsearch.cli.shared.output import can_redraw, complain, console, print_json, say, show
from peftsearch.cli.shared.parsing import Number, WholeNumber
from peftsearch.cli.shared.volume import is_quiet
from peftsearch.core.errors import UserError
from peftsearch.core.escaping import json_escapes, on_one_line

if TYPE_CHECKING:
    from peftsearch.predict.label import Labelled, Labelling
    from peftsearch.predict.load import LoadedClassifier

Sink = Callable[[list["Labelled"]], None]

MOST_REPORTED = 20
"""Broken rows of a file that are told one by one."""

ON_STDOUT = dict.fromkeys((".txt", ".parquet", ".xlsx", ".ods"), ".csv")
"""What is printed for files of these kinds; for others, their own kind."""

FORMATS = ("txt", "csv", "tsv", "jsonl", "json", "parquet", "xlsx", "ods")


@click.command(
    epilog=example(
        "peftsearch predict my-classifier --text 'a small wild cat'",
        "peftsearch predict my-classifier --file texts.csv --out labelled.csv",
        "zcat texts.jsonl.gz | peftsearch predict my-classifier --file - --format jsonl | head",
    )
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, help="A text to label; may be repeated.")
@click.option(
    "--pair", "pairs", multiple=True, help="The second text of a pair; give one for each --text, in the same order."
)
@click.option(
    "--file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="A file of texts: .txt with one text on each line, or CSV, JSON Lines, Parquet or a spreadsheet with the "
    "study's columns; also packed, as in .csv.gz. - is the standard input.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="The format of --file, if its name does not say it.  [default for the standard input: txt]",
)
@click.option("--encoding", help="The encoding of --file.  [default: found out]")
@click.option(
    "--text-column",
    "text_columns",
    multiple=True,
    metavar="NAME",
    help="The column of --file that holds the text, if it is called otherwise than in the study. "
    "Repeat it for pairs, and for each column that a text is composed of, in the study's order.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write all columns of --file and the labels to this file: .csv, .tsv, .jsonl, .json, .parquet, or .txt for "
    "the labels alone. Without it, they are printed: as a table on a terminal, in the file's format in a pipe.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file that --out names.")
@click.option("--all-probabilities", is_flag=True, help="Add a column with the probability of each label.")
@click.option(
    "--min-probability",
    type=Number(0, 1),
    default=0.0,
    metavar="P",
    help="Answer `unsure` where the label's probability is smaller.",
)
@click.option("--batch-size", type=WholeNumber(min=1), default=32, show_default=True, help="Texts in one forward pass.")
@json_option
def predict(
    folder: Path,
    texts: tuple[str, ...],
    pairs: tuple[str, ...],
    file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Label texts with an exported classifier.

    A file is read, labelled and written piece by piece, so it may be larger than memory. All of its columns are kept;
    `label` and `probability` are added (`predicted_label` and so on, if it has such columns). A row without a text, or
    one that cannot be read, is told and stays without a label; the exit code is 1 then, and 0 if every row has one.
    """
    if not (texts or file) and folder.suffix and not folder.is_dir():
        raise UserError(
            f"write the classifier's folder first: peftsearch predict DIR --file {shlex.quote(str(folder))}"
        )
    if bool(texts) == bool(file):
        raise UserError("give the texts with either --text or --file")
    if file:
        _label_file(folder, file, as_json, **options)
    else:
        _label_texts(folder, texts, pairs, as_json, **options)


def _label_texts(
    folder: Path,
    texts: tuple[str, ...],
    pairs: tuple[str, ...],
    as_json: bool,
    batch_size: int,
    min_probability: float,
    **of_files: Any,
) -> None:
    from peftsearch.predict.label import or_unsure
    from peftsearch.report.lists import predictions_table

    given = next((name for name, value in of_files.items() if value), None)
    if given:
        raise UserError(f"--{given.replace('_', '-').replace('kind', 'format')} is for --file")
    if pairs and len(pairs) != len(texts):
        raise UserError(
            f"--pair is given {len(pairs)} times and --text {len(texts)} times; give one --pair for each --text"
        )
    rows: Sequence[str | tuple[str, str]] = list(zip(texts, pairs, strict=True)) if pairs else texts
    answers = or_unsure(_loaded(folder).predict(rows, batch_size), min_probability)
    if as_json:
        print_json([{"text": text, **answer} for text, answer in zip(rows, answers, strict=True)])
        return
    show(predictions_table(rows, answers))


def _loaded(folder: Path) -> LoadedClassifier:
    from peftsearch.api import load_classifier
    from peftsearch.export.description import read_description
    from peftsearch.methods.table import ENCODER_METHODS
    from peftsearch.predict.quick_import import import_transformers

    with suppress(UserError):  # which loading tells
        if read_description(folder).config.method in ENCODER_METHODS:
            import_transformers()
    return load_classifier(folder)


def _label_file(
    folder: Path,
    file: Path,
    as_json: bool,
    kind: str | None,
    out: Path | None,
    overwrite: bool,
    all_probabilities: bool,
    **options: Any,
) -> None:
    from peftsearch.predict.label import labelling
    from peftsearch.predict.write import check_out

    if as_json and out:
        raise UserError("--json prints to the standard output; leave it out, and give --out a name that ends in .json")
    if out:
        check_out(out, overwrite)
    if file != Path("-") and not file.is_file():
        raise UserError(f"--file {file}: no such file")
    classifier = _loaded(folder)
    with labelling(classifier, file, kind=kind and f".{kind}", **options) as found, ExitStack() as stack:
        sink = stack.enter_context(_sink(found, out, as_json, all_probabilities))
        told = stack.enter_context(_progress(found, wanted=out is not None or is_file(sys.stdout)))
        _tell_notes(found)
        for window in found.windows():
            sink(window)
            sys.stdout.flush()  # whoever reads the pipe has the answers as they come
            _report(window, found)
            told()
    _tell_notes(found)
    where = f" in {out}" if out else ""
    missing = f"; {found.broken:,} without a label" if found.broken else ""
    say(f"labelled {found.done - found.broken:,} of {found.done:,} rows{where}{missing}")
    if found.broken:
        raise SystemExit(1)


def is_file(stream: TextIO) -> bool:
    """Whether rows go into a file; those in a pipe may be shown, as by `head`, and a bar would stand among them."""
    with suppress(OSError, ValueError):  # a stream without a descriptor, as in tests and notebooks
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    return False


def _tell_notes(found: Labelling) -> None:
    """Tell what was found out about the file since the last call."""
    for note in found.stream.notes:
        say(f"note: {note}")
    found.stream.notes.clear()


@contextmanager
def _sink(found: Labelling, out: Path | None, as_json: bool, all_probabilities: bool) -> Iterator[Sink]:
    """What takes each window of rows: a table, JSON, or a file or the standard output in some format."""
    from peftsearch.predict.write import kind_of, written_whole

    if as_json:
        with _json_list(found) as sink:
            yield sink
    elif out:
        with written_whole(out) as file, found.writer(file, kind_of(out), all_probabilities) as write:
            yield write
    elif console().is_terminal:
        yield _tables
    else:
        kind = ON_STDOUT.get(found.stream.kind, found.stream.kind)
        with found.writer(sys.stdout.buffer, kind, all_probabilities) as write:
            yield write


@contextmanager
def _json_list(found: Labelling) -> Iterator[Sink]:
    """Print one list, piece by piece, of what `--text` would print for each text."""
    from peftsearch.predict.write import json_text

    between = ["[\n"]

    def sink(window: list[Labelled]) -> None:
        for item in window:
            click.echo(f"{between[0]}{json_escapes(json_text(item.to_dict()))}", nl=False)
            between[0] = ",\n"

    yield sink
    click.echo("[]" if between[0] == "[\n" else "\n]")


def _tables(window: list[Labelled]) -> None:
    from peftsearch.report.lists import predictions_table

    good = [item for item in window if item.answer]
    show(predictions_table([" | ".join(item.text or ()) for item in good], [item.answer or {} for item in good]))


def _report(window: list[Labelled], found: Labelling) -> None:
    """Tell each broken row, up to `MOST_REPORTED` of a file."""
    broken = [item for item in window if item.problem]
    before = found.broken - len(broken)
    for item in broken[: max(0, MOST_REPORTED - before)]:
        complain(on_one_line(f"{found.stream.name}, {item.row.place}: {item.problem}"))
    if before <= MOST_REPORTED < found.broken:
        complain("more broken rows are counted and not told")


@contextmanager
def _progress(found: Labelling, wanted: bool) -> Iterator[Callable[[], None]]:
    """A bar on a terminal: how much of the file is read, how many rows are labelled, and the time left."""
    if is_quiet() or not (wanted and can_redraw(err=True)):
        yield lambda: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(err=True), transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("0 rows", total=found.stream.size)
        yield lambda: progress.update(
            task, completed=found.stream.position(), description=f"{found.done:,} rows", refresh=True
        )

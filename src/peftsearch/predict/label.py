"""Labels the rows of a file, a window at a time, so that the file may be larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from peftsearch.core.errors import UserError
from peftsearch.predict.load import WINDOW_BATCHES
from peftsearch.predict.rows import READERS, FileRow, Rows, read_rows
from peftsearch.predict.stream import Stream, opened, reading
from peftsearch.predict.write import WRITERS

if TYPE_CHECKING:
    from peftsearch.predict.input import InputTexts
    from peftsearch.predict.load import LoadedClassifier

UNSURE = "unsure"
"""What stands for the label where it is not probable enough."""

PREFIX = "predicted_"
"""What the names of the added columns begin with if the file has columns of these names already."""

Answer = dict[str, Any]


@dataclass(frozen=True)
class Labelled:
    """A row, and its answer, or what is wrong with it.

    Attributes:
        text: what the classifier read; None if the row is broken.
        answer: as `LoadedClassifier.predict` gives it; None if the row is broken.
    """

    row: FileRow
    text: tuple[str, ...] | None = None
    answer: Answer | None = None
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints: the text or pair with its answer, or the problem without one."""
        if self.text is None or self.answer is None:
            nothing = dict.fromkeys(("text", "label", "probability", "probabilities"))
            return {**nothing, "problem": f"{self.row.place}: {self.problem}"}
        return {"text": self.text[0] if len(self.text) == 1 else self.text, **self.answer}


@dataclass(frozen=True)
class Added:
    """The columns that labels add to those of a file.

    Attributes:
        names: the column of the label, that of its probability, and one for each label's probability, if these are
            wanted.
        labels: the labels of the latter.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...] = ()

    def to(self, item: Labelled) -> dict[str, Any]:
        """The row with these columns, which are empty if it is broken. Probabilities have six decimals."""
        taken = next((name for name in self.names if name in item.row.values), None)
        if taken is not None:
            raise UserError(f"{item.row.place} has a column {taken!r}, which the first rows lack; rename it")
        if item.answer is None:
            return {**item.row.values, **dict.fromkeys(self.names)}
        given = [item.answer["probability"], *(item.answer["probabilities"][label] for label in self.labels)]
        values = (item.answer["label"], *(round(value, 6) for value in given))
        return {**item.row.values, **dict(zip(self.names, values, strict=True))}


@dataclass
class Labelling:
    """The rows of an open file and their answers, which can be gone through once.

    Attributes:
        columns: the file's columns; those of the first window's rows where each row names its own.
        done: how many rows have been labelled or found to be broken.
        broken: how many of these are broken.
    """

    stream: Stream
    rows: Rows
    inputs: InputTexts
    classifier: LoadedClassifier
    batch_size: int
    min_probability: float
    columns: tuple[str, ...] = ()
    done: int = 0
    broken: int = 0
    ahead: list[FileRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ahead = self._next()
        own = dict.fromkeys(name for row in self.ahead for name in row.values)
        self.columns = self.rows.columns if self.rows.columns is not None else tuple(own)
        if self.ahead and not set(self.inputs.columns) & set(self.columns):
            raise UserError(
                f"--file {self.stream.name}: no column {self.inputs.columns[0]!r}; columns: {', '.join(self.columns)}; "
                "name the column of the text with --text-column"
            )

    def windows(self) -> Iterator[list[Labelled]]:
        """The rows in the order of the file, some thousands at a time."""
        while self.ahead:
            found = self._labelled(self.ahead)
            self.done += len(found)
            self.broken += sum(item.answer is None for item in found)
            yield found
            self.ahead = self._next()

    @contextmanager
    def writer(self, file: IO[bytes], kind: str, all_probabilities: bool) -> Iterator[Callable[[list[Labelled]], None]]:
        """What writes windows of rows with their labels to an open file, in the format of an ending such as `.csv`.

        Raises:
            UserError: the labels' columns have no place beside those of the file, or a row's values in the format.
        """
        if kind == ".txt" and all_probabilities:
            raise UserError("a .txt file holds labels alone; choose another format for --all-probabilities")
        added = self.added(all_probabilities)
        writer = WRITERS[kind](file, (*self.columns, *added.names), added.names, self.rows.schema)
        try:
            yield lambda window: writer.write([added.to(item) for item in window])
        except BaseException:
            writer.abandon()
            raise
        writer.close()

    def added(self, all_probabilities: bool) -> Added:
        """The columns that are added.

        Raises:
            UserError: the file has columns of these names, and of the names that would stand in their place.
        """
        labels = self.classifier.labels if all_probabilities else ()
        names = ("label", "probability", *(f"probability_{label}" for label in labels))
        if taken := set(names) & set(self.columns):
            self.stream.notes.append(
                f"{self.stream.name} has a column {min(taken)!r}; the added columns begin with {PREFIX!r}"
            )
            names = tuple(PREFIX + name for name in names)
        if taken := set(names) & set(self.columns):
            raise UserError(f"--file {self.stream.name}: has a column {min(taken)!r}; rename it")
        return Added(names, labels)

    def _next(self) -> list[FileRow]:
        with reading(self.stream.name):
            return list(islice(self.rows.rows, self.batch_size * WINDOW_BATCHES))

    def _labelled(self, window: Sequence[FileRow]) -> list[Labelled]:
        read = [_read(row, self.inputs) for row in window]
        texts = [item.text for item in read if item.text is not None]
        answers = iter(or_unsure(self.classifier.predict_read(texts, self.batch_size), self.min_probability))
        return [item if item.text is None else replace(item, answer=next(answers)) for item in read]


def or_unsure(answers: Sequence[Answer], min_probability: float) -> list[Answer]:
    """The answers, of which those with a smaller probability than this have the label `unsure`."""
    return [{**a, "label": UNSURE} if a["probability"] < min_probability else a for a in answers]


@contextmanager
def labelling(
    classifier: LoadedClassifier,
    file: Path,
    *,
    kind: str | None = None,
    encoding: str | None = None,
    text_columns: Sequence[str] = (),
    min_probability: float = 0.0,
    batch_size: int = 32,
) -> Iterator[Labelling]:
    """Open a file whose rows are to be labelled.

    Args:
        classifier: labels them.
        file: a file of any kind in `READERS`, packed or not; `-` is the standard input.
        kind: the format as the ending of a name, such as `.csv`, if the file's name says none or another one.
        encoding: the encoding of a text file; found out if it is None.
        text_columns: the file's names for the columns that the classifier reads, if it has other ones.
        min_probability: the probability in 0..1 below which the label becomes `unsure`.
        batch_size: texts in one forward pass.

    Raises:
        UserError: the file cannot be read, or lacks a column.
    """
    if min_probability and UNSURE in classifier.labels:
        raise UserError(f"this classifier has a label {UNSURE!r} of its own; leave out --min-probability")
    inputs = classifier.inputs.renamed(text_columns) if text_columns else classifier.inputs
    with opened(file, tuple(READERS), kind) as stream, reading(stream.name):
        rows = read_rows(stream, inputs, encoding)
        yield Labelling(stream, rows, inputs, classifier, batch_size, min_probability)


def _read(row: FileRow, inputs: InputTexts) -> Labelled:
    if row.problem:
        return Labelled(row, problem=row.problem)
    try:
        text = inputs.of(row.values)
    except UserError as error:
        return Labelled(row, problem=str(error))
    return Labelled(row, text) if all(map(str.strip, text)) else Labelled(row, problem="no text")

"""The trials that are being trained, for a terminal that is redrawn: a bar for each, and below it how it gets on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from peftsearch.core.escaping import on_one_line
from peftsearch.core.objectives import is_metric
from peftsearch.report.paragraph import Paragraph, tied
from peftsearch.report.tables import quality_so_far
from peftsearch.results.formatting import config_in_words, duration, objective_label
from peftsearch.results.status import life_signs
from peftsearch.storage.liveness.worker_identity import host

if TYPE_CHECKING:
    from rich.console import RenderableType

    from peftsearch.core.progress import StepReport
    from peftsearch.storage.records import Record


def running_view(
    running: Sequence[Record], quality: str, names: Sequence[str] | None = None
) -> Iterator[RenderableType]:
    """One bar for each trial, as wide as the terminal, and its numbers, which are wrapped but never cut off.

    Args:
        running: the running trials.
        quality: the objective whose best value so far is shown.
        names: what to call each of them; by default its number and its method.
    """
    names = [on_one_line(name) for name in names or map(_name, running)]
    for record, name in zip(running, names, strict=True):
        yield _bar(record, name.ljust(max(map(len, names))))
        yield Paragraph(", ".join(map(tied, _facts(record, quality))), indent=2)


def _name(record: Record) -> str:
    return f"trial {record.number}" + (f" {record.config.method}" if record.config else "")


def _bar(record: Record, name: str) -> RenderableType:
    """The name and, once the trial has made a step, how much of its training is done."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    if record.at is None:
        return Text(f"{name}  {'training' if record.curve else 'starting'}")
    share = min(1.0, _steps_made(record, record.at) / record.at.steps)
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True)
    row.add_row(Text(name), ProgressBar(total=1.0, completed=share), Text(f"{100 * share:3.0f} %"))
    return row


def _steps_made(record: Record, at: StepReport) -> int:
    """Those last told or, if that was before the end of an epoch that is known of, those of its epochs."""
    epochs = record.config.training.epochs if record.config else 1
    return max(at.step, at.steps * min(len(record.curve), epochs) // epochs)


def _facts(record: Record, quality: str) -> Iterator[str]:
    """What is known of a running trial; the settings stand last."""
    life, config, at = life_signs(record), record.config, record.at
    if config is not None and (at or record.curve):
        yield f"epoch {min(len(record.curve) + (at is not None), config.training.epochs)}/{config.training.epochs}"
    if at is not None:
        yield f"step {_steps_made(record, at):,}/{at.steps:,}"
        yield from [f"loss {at.loss:.3f}"] if at.loss is not None else []
    if is_metric(quality) and quality_so_far(record, quality):
        yield f"best {objective_label(quality)} {quality_so_far(record, quality)}"
    if (machine := record.worker.get("host", host())) != host():
        yield f"on {machine.partition('/')[0]}"
    yield f"{duration(life.age)} so far"
    if life.stale:
        yield f"no sign of life for {duration(life.last_sign)}"
    elif life.left is not None and life.left >= 1:
        yield f"about {duration(life.left)} left"
    yield from filter(None, config_in_words(config).split(", ") if config else ())

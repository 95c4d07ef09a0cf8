"""Options and output that commands share."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from peftsearch.core.run_folder import STUDY_NAME

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.study.overrides import Overrides
    from peftsearch.study.spec import StudySpec

Command = TypeVar("Command", bound=Callable[..., Any])

PIPE_WIDTH = 200
"""Columns of a table that no terminal shows: wide enough that no line breaks."""

TERMINAL_WIDTH = 100
"""Tables are laid out for this; a wider terminal does not pull them apart."""

BEST = "best"
UNITS = "KMGT"
SPLITS = ("train", "validation", "test")
DATA_KEYS = (*SPLITS, "text", "pair", "label")


@dataclass(frozen=True)
class ChosenStudy:
    """What `--study` names, and what `--data`, `--limit` and `--backbone` put in place of its own."""

    name: str
    overrides: Overrides

    def load(self) -> StudySpec:
        """The study file, read and checked."""
        from peftsearch.api import load_study

        return load_study(self.name, self.overrides)


def study_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--study` and what overrides parts of it; the command gets all of them as `study: ChosenStudy`."""

    @functools.wraps(command)
    def with_study(
        *args: Any,
        study: str,
        data: dict[str, str],
        limit: dict[str, int],
        backbone: tuple[str, ...],
        **kwargs: Any,
    ) -> Any:
        return command(*args, study=ChosenStudy(study, _overrides(data, limit, backbone)), **kwargs)

    backbones = click.option(
        "--backbone",
        multiple=True,
        metavar="NAME",
        help="A model in place of the study's; of several, repeat it, in their order.",
    )
    data = click.option(
        "--data",
        multiple=True,
        callback=_parse_data,
        metavar="train=FILE,…",
        help="Files in place of the study's data: train=, validation=, test=. Their columns are the study's"
        " (data.files, if it says so), or text=, pair=, label=.",
    )
    limit = click.option(
        "--limit",
        multiple=True,
        callback=_parse_limit,
        metavar="train=ROWS,…",
        help="At most so many rows: train=, validation=, test=; each class keeps its share.",
    )
    named = click.option(
        "--study",
        "study",
        required=True,
        metavar="NAME|PATH",
        help="A study: a name found in ./studies or among the package's own, or the path of a YAML file.",
    )
    return named(data(limit(backbones(with_study))))


def storage_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--study`, and where its results are kept."""
    fork = click.option(
        "--fork",
        metavar="NEW_NAME",
        callback=_check_name,
        help="The same study file, with its trials kept under another name.",
    )
    storage = click.option(
        "--storage",
        metavar="URL",
        envvar="PEFTSEARCH_STORAGE",
        help="Database of the trials, like postgresql+psycopg://user@host/name.  [default: sqlite in ./runs]",
    )
    return study_option(fork(storage(command)))


def json_option(command: Command) -> Command:
    """`--json`: the same data for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def example(*lines: str) -> str:
    """A command's epilog; the mark keeps Click from joining the lines."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def console(err: bool = False) -> Console:
    """Where tables go: coloured on a terminal (unless NO_COLOR is set), plain and unbroken in a pipe.

    Args:
        err: to the standard error, beside the data.
    """
    from rich.console import Console

    found = Console(highlight=False, stderr=err)
    found.width = min(found.width, TERMINAL_WIDTH) if found.is_terminal else PIPE_WIDTH
    return found


def show(*parts: RenderableType) -> None:
    """Print tables and lines; in a pipe without rules and without the blanks that tables pad their lines with."""
    from rich.table import Table

    target = console()
    if target.is_terminal:
        target.print(*parts, sep="\n")
        return
    for part in parts:
        if isinstance(part, Table) and part.box is not None:
            part.box, part.padding = None, (0, 2, 0, 0)  # the rules held the columns apart
    with target.capture() as captured:
        target.print(*parts, sep="\n")
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_json(data: Any) -> None:
    """Print data as JSON that every parser reads: a number that is not finite becomes null."""
    click.echo(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False))


def stored(study: ChosenStudy, fork: str | None, storage: str | None) -> StoredStudy:
    """The results that `storage_options` name."""
    from peftsearch.api import open_results

    return open_results(study.name, storage=storage, fork=fork, overrides=study.overrides)


def parse_size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """`500M`, `2G`: bytes, in binary units."""
    written = re.fullmatch(rf"(\d+(?:\.\d+)?)([{UNITS}]?)", (value or "").strip().upper())
    if value is not None and not written:
        raise click.BadParameter(f"{value!r} is not a size; write bytes, or a number with K, M, G or T, as in 2G")
    return int(float(written[1]) * 1024 ** (UNITS.index(written[2]) + 1 if written[2] else 0)) if written else None


def parse_trial(_: click.Context, __: click.Parameter, value: str) -> int | str:
    """A trial's number, or `best`."""
    if value != BEST and not value.isdecimal():
        raise click.BadParameter(f"{value!r} is neither a trial's number nor {BEST!r}")
    return value if value == BEST else int(value)


def parse_trials(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[int | str, ...]:
    """The same of a repeated option."""
    return tuple(parse_trial(context, option, value) for value in values)


def _parse_data(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`train=a.csv,label=topic` → its parts; a comma within a file's name stays where no key follows it."""
    found = _parts(values, DATA_KEYS, "NAME", "one file a split, one name a column")
    if found and "train" not in found:
        raise click.BadParameter("names no file for train; write train=FILE")
    return found


def _parse_limit(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """`train=1000,validation=500` → rows by split."""
    found = _parts(values, SPLITS, "ROWS", "one number a split")
    for split, rows in found.items():
        if not rows.isdecimal() or int(rows) < 1:
            raise click.BadParameter(f"{split}= takes a number of rows from 1, but got {rows!r}")
    return {split: int(rows) for split, rows in found.items()}


def _parts(values: tuple[str, ...], keys: tuple[str, ...], value: str, once: str) -> dict[str, str]:
    """The parts `KEY=VALUE` of all `values`, each key once."""
    found: dict[str, str] = {}
    for part in (part for written in values for part in re.split(rf",(?=(?:{'|'.join(keys)})=)", written)):
        key, equals, name = part.partition("=")
        if not equals or key not in keys or not name:
            raise click.BadParameter(f"{part!r} is not KEY={value} with one of the keys {', '.join(keys)}")
        if key in found:
            raise click.BadParameter(f"{key}= stands twice; {once}")
        found[key] = name
    return found


def _overrides(data: dict[str, str], limit: dict[str, int], backbones: tuple[str, ...]) -> Overrides:
    from peftsearch.study.overrides import Overrides, from_here

    columns = {key: name for key, name in data.items() if key in ("text", "pair", "label")}
    source = {key: from_here(name) for key, name in data.items() if key not in columns}
    return Overrides(source, columns, backbones, limit)


def _check_name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not STUDY_NAME.fullmatch(value):
        raise click.BadParameter(f"{value!r} may have letters, digits, - and _ only: it names files")
    return value


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if data - data == 0 else None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list | tuple) else data

"""Options that commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from peftsearch.cli.shared import completion
from peftsearch.cli.shared.output import debug
from peftsearch.cli.shared.parsing import check_name, parse_data, parse_limit, parse_tolerance
from peftsearch.core.calls.precedence import STORAGE_VARIABLE
from peftsearch.core.secrets import hide_url

if TYPE_CHECKING:
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.study.overrides import Overrides
    from peftsearch.study.spec import StudySpec

Command = TypeVar("Command", bound=Callable[..., Any])

OVERRIDE_OPTIONS = (
    click.option(
        "--data",
        multiple=True,
        callback=parse_data,
        metavar="FILE|train=FILE,…",
        help="Use these files instead of the study's data; the keys are train=, validation= and test=. "
        "Columns keep the names that the study gives them, unless text=, pair= or label= name others.",
    ),
    click.option(
        "--limit",
        multiple=True,
        callback=parse_limit,
        metavar="train=ROWS,…",
        help="Use at most this many rows of train=, validation= or test=; each class keeps its share.",
    ),
    click.option(
        "--backbone",
        multiple=True,
        metavar="NAME",
        help="Use this model instead of the study's; for a study with several, repeat the option in their order.",
    ),
)
storage_option = click.option(
    "--storage",
    metavar="URL",
    envvar=STORAGE_VARIABLE,
    help="The database that holds the trials, for example postgresql+psycopg://user@host/name.  "
    "[default: SQLite in ./runs]",
)
STORAGE_OPTIONS = (
    click.option(
        "--fork",
        metavar="NEW_NAME",
        callback=check_name,
        help="Keep the trials of this study under another name.",
    ),
    storage_option,
)

tolerance_option = click.option(
    "--tolerance",
    callback=parse_tolerance,
    metavar="OBJECTIVE=AMOUNT,…|none",
    help="Values that differ by no more than this count as equal on the front, for example "
    "macro_f1=0.005,train_seconds=10%; with none only the same values do.  "
    "[default: what the study says, and 10% + 0.1 s for what is timed]",
)
every_epoch_option = click.option(
    "--every-epoch/--whole-trials",
    default=None,
    help="Whether every epoch of a trial counts as a point of the front, or only whole trials do.  "
    "[default: what the study says, and every epoch]",
)


@dataclass(frozen=True)
class ChosenStudy:
    """What `--study` names, and what `--data`, `--limit` and `--backbone` put in place of the study's own."""

    name: str
    overrides: Overrides

    def load(self) -> StudySpec:
        """Read and check the study file."""
        from peftsearch.api import load_study

        return load_study(self.name, self.overrides)


def override_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that override parts of a study; `overrides_of` makes one object of their values."""
    return with_options(command, OVERRIDE_OPTIONS)


def study_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--study` and the options that override parts of it; the command gets all of them as `study: ChosenStudy`."""

    @functools.wraps(command)
    def with_study(
        *args: Any, study: str, data: dict[str, str], limit: dict[str, int], backbone: tuple[str, ...], **kwargs: Any
    ) -> Any:
        return command(*args, study=ChosenStudy(study, overrides_of(data, limit, backbone)), **kwargs)

    return with_options(with_study, (named_study(required=True), *OVERRIDE_OPTIONS))


def named_study(required: bool) -> Callable[..., Any]:
    """The option `--study`."""
    return click.option(
        "--study",
        required=required,
        metavar="NAME|PATH",
        shell_complete=completion.studies,
        help="A study: a name found in ./studies, in ./runs or among the package's own studies, or the path of a YAML"
        " file.",
    )


def storage_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--study`, and the options that say where its results are kept."""
    return study_option(with_options(command, STORAGE_OPTIONS))


def front_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with which a front is chosen to a command with `storage_options`, whose `ChosenStudy` then holds
    them."""

    @functools.wraps(command)
    def with_front(
        *args: Any,
        study: ChosenStudy,
        tolerance: dict[str, str] | str | None,
        every_epoch: bool | None,
        **kwargs: Any,
    ) -> Any:
        overrides = replace(study.overrides, tolerance=tolerance, every_epoch=every_epoch)
        return command(*args, study=replace(study, overrides=overrides), **kwargs)

    return with_options(with_front, (tolerance_option, every_epoch_option))


def json_option(command: Command) -> Command:
    """Add `--json`, which prints the same data for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def example(*lines: str) -> str:
    """A command's epilog with examples; `\\b` keeps Click from joining the lines."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def stored(study: ChosenStudy, fork: str | None, storage: str | None) -> StoredStudy:
    """The results that `storage_options` name."""
    from peftsearch.results.open import open_results

    found = open_results(study.name, storage=storage, fork=fork, overrides=study.overrides)
    debug(f"the trials are in {hide_url(found.url)}, and their files in {found.folder.root}")
    return found


def with_options(command: Callable[..., Any], options: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    """Add options, so that `--help` lists the options in the order given."""
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


def overrides_of(data: dict[str, str], limit: dict[str, int], backbones: tuple[str, ...]) -> Overrides:
    """What `OVERRIDE_OPTIONS` put in the place of parts of a study."""
    from peftsearch.study.overrides import Overrides, from_here

    columns = {key: name for key, name in data.items() if key in ("text", "pair", "label")}
    source = {key: from_here(name) for key, name in data.items() if key not in columns}
    return Overrides(source, columns, backbones, limit)

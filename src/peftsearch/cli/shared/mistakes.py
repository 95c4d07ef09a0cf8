"""What a person may have meant by a command line that Click refuses.

A mistake is one function and one line in `RULES`. What other programs call a command or an option is one entry in
`OTHER_COMMANDS` or `OTHER_OPTIONS`.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

import click

from peftsearch.core.errors import shown

OTHER_COMMANDS: dict[str, str] = {
    **dict.fromkeys(("search", "run", "tune", "fit", "start", "resume", "continue"), "optimize"),
    **dict.fromkeys(("join", "work", "agent", "workers"), "worker"),
    **dict.fromkeys(("new", "create", "draft"), "init"),
    **dict.fromkeys(("validate", "lint", "verify"), "check"),
    **dict.fromkeys(("results", "pareto", "plot", "best", "leaderboard"), "front"),
    **dict.fromkeys(("test", "evaluate", "eval"), "confirm"),
    **dict.fromkeys(("choose", "pick"), "recommend"),
    **dict.fromkeys(("save", "publish"), "export"),
    **dict.fromkeys(("classify", "label", "infer", "inference"), "predict"),
    **dict.fromkeys(("list", "ls"), "studies"),
    **dict.fromkeys(("progress", "watch"), "status"),
    **dict.fromkeys(("serve", "ui"), "dashboard"),
    **dict.fromkeys(("html",), "report"),
    "version": "--version",
    "help": "--help",
}
"""What other programs call the commands."""

OTHER_OPTIONS: dict[str, str] = {
    **dict.fromkeys(("--model", "--encoder", "--model-name"), "--backbone"),
    **dict.fromkeys(("--dataset", "--train", "--csv"), "--data"),
    **dict.fromkeys(("--n-trials", "--max-trials"), "--trials"),
    **dict.fromkeys(("--jobs", "--n-jobs", "--num-workers", "--processes"), "--workers"),
    **dict.fromkeys(("--config", "--study-file", "--study-name", "--name"), "--study"),
    **dict.fromkeys(("--output", "--output-dir", "--out-dir", "--to"), "--out"),
    **dict.fromkeys(("--input", "--in", "--data"), "--file"),
    **dict.fromkeys(("--target", "--label-column"), "--label"),
    **dict.fromkeys(("--column", "--text-col"), "--text-column"),
    **dict.fromkeys(("--text-column", "--column"), "--text"),
    **dict.fromkeys(("--max-time", "--time", "--duration", "--budget"), "--time-limit"),
    **dict.fromkeys(("--db", "--database"), "--storage"),
    **dict.fromkeys(("--force", "--replace"), "--overwrite"),
}
"""What other programs call the options."""

CLOSE = 0.85
"""How alike an unknown option and one of the command are that hardly differ by more than a slip of the finger."""


@dataclass(frozen=True)
class Refused:
    """A command line that Click refuses.

    Attributes:
        error: why.
        context: that of the command; of the group, where there is no such command.
        arguments: what follows the command's name.
        commands: all commands by name.
    """

    error: click.UsageError
    context: click.Context
    arguments: tuple[str, ...]
    commands: Mapping[str, click.Command]

    @property
    def command(self) -> str:
        """How a person calls the command."""
        return f"peftsearch {self.context.info_name}"

    @property
    def options(self) -> set[str]:
        return options_of(self.context.command)

    @cached_property
    def loose(self) -> list[str]:
        """The arguments that belong to no option and that the command does not take."""
        name = self.context.info_name
        return self.context.command.make_context(name, list(self.arguments), resilient_parsing=True).args

    @property
    def lacks_study(self) -> bool:
        """Whether the command takes `--study`, and it is not given."""
        given = any(argument.partition("=")[0] == "--study" for argument in self.arguments)
        return "--study" in self.options and not given


def mended(refused: Refused) -> str | None:
    """What to do, in one line; None if Click's own words say it."""
    if isinstance(refused.context.command, click.Group) and {*refused.arguments[:1]} & refused.commands.keys():
        return None  # an option of that command lacks its value, which Click says without the command's context
    return next((told for rule in RULES if (told := rule(refused))), None)


def options_of(command: click.Command) -> set[str]:
    """Every spelling of a command's options."""
    return {name for parameter in command.params if isinstance(parameter, click.Option) for name in parameter.opts}


def _unknown_command(refused: Refused) -> str | None:
    if not isinstance(refused.context.command, click.Group) or not refused.arguments:
        return None
    wrong, *rest = refused.arguments
    known = OTHER_COMMANDS.get(wrong.casefold())
    if known == "--help" and rest and rest[0] in refused.commands:
        return f"write the command first: peftsearch {rest[0]} --help"
    if known:
        return f"no command {wrong!r}; write: peftsearch {known}"
    if "." in wrong or "/" in wrong or wrong.startswith("-"):
        return f"{shown(wrong)} is no command; write one first, as in: peftsearch optimize --study {shlex.quote(wrong)}"
    close = difflib.get_close_matches(wrong.casefold(), refused.commands, n=1)
    told = f"did you mean {close[0]!r}?" if close else f"the commands are {', '.join(refused.commands)}"
    return f"no command {shown(wrong)}; {told}"


def _file_without_option(refused: Refused) -> str | None:
    """`front rev.yaml`, `optimize reviews.csv`: a study or a file of texts without the option that names it."""
    if not refused.lacks_study or isinstance(refused.error, click.NoSuchOption) or not refused.loose:
        return None
    found = shlex.quote(refused.loose[0])
    if not _holds_texts(refused.loose[0]):
        return f"name the study with --study: {refused.command} --study {found}"
    if {"--data", "--effort"} <= refused.options:
        return f"name the file of texts with --data: {refused.command} --data {found}"
    return f"{found} holds texts; make a study of it first: peftsearch init {found}"


def _configuration_without_option(refused: Refused) -> str | None:
    """`train best.yaml`, or `train` alone."""
    if refused.context.info_name != "train" or not isinstance(refused.error, click.MissingParameter):
        return None
    if refused.loose and "--config" not in refused.arguments:
        file = shlex.quote(refused.loose[0])
        return f"name the configuration with --config: {refused.command} --config {file} --out DIR"
    if refused.error.param and refused.error.param.name == "config":
        return "name the configuration with --config FILE; peftsearch export --config FILE writes one"
    return None


def _text_without_option(refused: Refused) -> str | None:
    """`predict model new.csv`, `predict model nice text`."""
    if refused.context.info_name != "predict" or isinstance(refused.error, click.NoSuchOption) or not refused.loose:
        return None
    if {"--text", "--file"} & set(refused.arguments):
        return None
    file = refused.loose[0] if _holds_texts(refused.loose[0]) else None
    what, option = ("file", "--file") if file else ("text", "--text")
    before = [word for word in refused.arguments if word not in refused.loose]
    words = shlex.join([*before, option, file or " ".join(refused.loose)])
    return f"name the {what} with {option}: {refused.command} {words}"


def _study_in_place_of_trial(refused: Refused) -> str | None:
    """`trial rev.yaml`: a study where a trial's number stands."""
    wanted = refused.error.param if isinstance(refused.error, click.BadParameter) else None
    if not isinstance(wanted, click.Argument) or wanted.name != "number" or not refused.lacks_study:
        return None
    if isinstance(refused.error, click.MissingParameter):
        return None
    written = next(word for word in refused.arguments if not word.startswith("-"))
    return f"name a trial, and the study with --study: {refused.command} best --study {shlex.quote(written)}"


def _no_study(refused: Refused) -> str | None:
    if not isinstance(refused.error, click.MissingParameter) or not refused.lacks_study:
        return None
    return "name the study with --study NAME, or the path of its file; peftsearch studies lists those that are here"


def _one_too_many(refused: Refused) -> str | None:
    if not refused.loose or isinstance(refused.error, click.NoSuchOption | click.BadParameter):
        return None
    taken = next((found for found in refused.context.command.params if isinstance(found, click.Argument)), None)
    place = refused.arguments.index(refused.loose[0])
    if taken and not any(word.startswith("-") for word in refused.arguments[:place]):
        return f"{refused.command} takes one {taken.name}; leave out {shown(refused.loose[0])}"
    return (
        f"{shown(refused.loose[0])} belongs to no option of {refused.command}; "
        "put a value with spaces in quotation marks"
    )


def _negative_number(refused: Refused) -> str | None:
    wrong = _unknown_option(refused)
    return f"{wrong} is less than 0, which nothing here takes" if re.fullmatch(r"-\d", wrong or "") else None


def _option_by_another_name(refused: Refused) -> str | None:
    wrong = _unknown_option(refused)
    known = OTHER_OPTIONS.get(wrong or "")
    return f"no option {wrong} in {refused.command}; write {known}" if known in refused.options else None


def _option_of_another_command(refused: Refused) -> str | None:
    wrong = _unknown_option(refused)
    if wrong is None or difflib.get_close_matches(wrong, refused.options, n=1, cutoff=CLOSE):
        return None
    others = [name for name, command in refused.commands.items() if wrong in options_of(command)]
    if not others or len(others) > 3:
        return None
    return f"no option {wrong} in {refused.command}; it is one of peftsearch {' and peftsearch '.join(others)}"


def _key_of_a_study_file(refused: Refused) -> str | None:
    from peftsearch.study.mistakes.keys import places_of

    wrong = _unknown_option(refused)
    if wrong is None or difflib.get_close_matches(wrong, refused.options, n=1, cutoff=CLOSE):
        return None
    places = places_of(wrong.removeprefix("--").replace("-", "_"))
    return f"no option {wrong} in {refused.command}; in the study file, write {' or '.join(places)}" if places else None


RULES: tuple[Callable[[Refused], str | None], ...] = (
    _unknown_command,
    _file_without_option,
    _configuration_without_option,
    _text_without_option,
    _study_in_place_of_trial,
    _no_study,
    _negative_number,
    _option_by_another_name,
    _option_of_another_command,
    _key_of_a_study_file,
    _one_too_many,
)
"""The mistakes, the first that fits is told."""


def _unknown_option(refused: Refused) -> str | None:
    return refused.error.option_name if isinstance(refused.error, click.NoSuchOption) else None


def _holds_texts(file: str) -> bool:
    from peftsearch.data.read.files import FORMATS
    from peftsearch.data.read.packing import PACKINGS

    endings = [suffix.lower() for suffix in PurePath(file).suffixes]
    return bool(endings) and (endings[-1] in FORMATS or endings[-1] in PACKINGS)

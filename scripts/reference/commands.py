"""docs/reference/commands.md: every command with its help, options and examples, as Click has them."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator
from typing import Any

import click
from scripts.reference.markdown import code, in_block, page, table

from peftsearch.cli import COMMANDS, main
from peftsearch.cli.shared.ended import EXIT_CODES

DEFAULT = re.compile(r"\s*\[default: (.+)\]")
WORDS = re.compile(r"(?<![\w`/-])(--?[a-z][\w-]*|[A-Z]+_[A-Z_]+|runs/NAME[\w./]*\w)(?![\w`])")
"""What stands as code in the text of a help: options, variables of the environment and paths."""


def commands_page() -> str:
    """The whole page."""
    root = click.Context(main, info_name="peftsearch", **main.context_settings)
    contexts = [(name, click.Context(command, root, info_name=name)) for name, command in COMMANDS.items()]
    commands = [(name, _parts(found)) for name, found in contexts]
    return page("commands.md.jinja", group=_parts(root), commands=commands, exit_codes=EXIT_CODES)


def _parts(context: click.Context) -> dict[str, str]:
    command = context.command
    options = [found for found in command.get_params(context) if isinstance(found, click.Option)]
    rows = [_row(option, context) for option in options if "--help" not in option.opts]
    return {
        "usage": " ".join([context.command_path, *command.collect_usage_pieces(context)]),
        "help": "\n\n".join(_blocks(command.help or "")),
        "options": table(["option", "what it does", "default"], rows),
        "examples": "\n".join(line.strip() for line in (command.epilog or "").splitlines()[2:]),
    }


def _blocks(text: str) -> Iterator[str]:
    """The paragraphs of a help as Markdown. After `\\b` its lines stay as they are; indented ones are code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        for part in paragraph.split("\b\n"):
            for indented, group in itertools.groupby(part.splitlines(), key=lambda line: line.startswith(" ")):
                lines = [line.strip() for line in group]
                yield in_block(lines) if indented else _coded(" ".join(lines))


def _row(option: click.Option, context: click.Context) -> list[str]:
    record = option.get_help_record(context)
    assert record is not None, f"{option.name} is hidden"
    said = " ".join(filter(None, (option.help, _range(option.type), _variable(option))))
    return [code(record[0].replace(" RANGE", "")), _coded(DEFAULT.sub("", said)), _default(option, said)]


def _range(kind: click.ParamType[Any]) -> str:
    """The valid numbers of an option, as a sentence."""
    if not isinstance(kind, click.IntRange | click.FloatRange) or kind.min is None:
        return ""
    if kind.max is not None:
        return f"From {kind.min:,} to {kind.max:,}."
    return f"More than {kind.min}." if kind.min_open else f"At least {kind.min}."


def _variable(option: click.Option) -> str:
    return f"The variable {option.envvar} is its default." if option.envvar else ""


def _default(option: click.Option, said: str) -> str:
    written = DEFAULT.search(said)
    if written:
        return _coded(written[1])
    if option.required:
        return "required"
    return code(str(option.default)) if option.show_default else "–"


def _coded(text: str) -> str:
    """The text with options, variables and paths as code."""
    return WORDS.sub(r"`\1`", text.replace("<", "&lt;"))

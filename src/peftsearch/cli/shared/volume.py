"""`-v`, `-q` and `--no-color`: how much is printed. They may stand before a command's name or after it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from peftsearch.core.files.run_folder import RunFolder

VERBOSE, QUIET, PLAIN = (f"peftsearch.{name}" for name in ("verbose", "quiet", "no_color"))
"""Where Click keeps what was asked for, which a command's context shares with that of the whole program."""

LIBRARIES = ("torch", "transformers", "peft", "adapters", "datasets", "optuna")

LOUD = {"TRANSFORMERS_VERBOSITY": "info", "DATASETS_VERBOSITY": "info"}
"""Environment variables with which libraries tell what they do, in this process and in its workers."""


def is_quiet() -> bool:
    """Whether only results and errors are to be printed."""
    return _asked(QUIET)


def is_verbose() -> bool:
    """Whether everything is to be told that helps to find a fault."""
    return _asked(VERBOSE)


def is_plain() -> bool:
    """Whether no colours are to be used; NO_COLOR, which rich reads, does the same."""
    return _asked(PLAIN)


def volume_options() -> list[click.Option]:
    """The three options, which no command gets as arguments."""
    return [
        _flag(["-v", "--verbose"], VERBOSE, "Also print what the libraries say, where logs are, and errors in full."),
        _flag(["-q", "--quiet"], QUIET, "Print only results and errors: no notes and no progress."),
        _flag(["--no-color"], PLAIN, "Print without colours, as with the variable NO_COLOR."),
    ]


def with_volume(command: click.Command, note: Callable[[str], None]) -> click.Command:
    """The command, which also takes `volume_options` and does what they ask for.

    Args:
        note: prints what is only for --verbose.
    """
    run = command.callback
    assert run is not None, "every command does something"

    @functools.wraps(run)
    def loud_or_quiet(*args: Any, **options: Any) -> Any:
        if is_verbose() and is_quiet():
            raise click.UsageError("--verbose and --quiet contradict each other; keep one")
        if not is_verbose():
            return run(*args, **options)
        note(_about_this_machine())
        with _loud_libraries(note):
            return run(*args, **options)

    command.callback = loud_or_quiet
    command.params += volume_options()
    return command


def where_logs_are(folder: RunFolder) -> str:
    """Where the workers of a study, and the libraries that they use, print."""
    return f"each worker writes what it and the libraries say to {folder.worker_log(0)} and so on"


def _asked(name: str) -> bool:
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(name))


def _flag(names: list[str], key: str, text: str) -> click.Option:
    def keep(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.meta[key] = True

    return click.Option(names, is_flag=True, expose_value=False, callback=keep, help=text)


def _about_this_machine() -> str:
    import platform

    found = [f"{name} {_version(name)}" for name in LIBRARIES]
    return f"peftsearch {_version('peftsearch')}, Python {platform.python_version()}, {', '.join(found)}"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


@contextmanager
def _loud_libraries(note: Callable[[str], None]) -> Iterator[None]:
    """Let libraries tell what they do, unless the environment says how much."""
    import logging

    handler = logging.Handler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    handler.emit = lambda record: note(handler.format(record))  # type: ignore[method-assign]
    before, level = dict(os.environ), logging.root.level
    os.environ.update({name: value for name, value in LOUD.items() if name not in os.environ})
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.INFO)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        logging.root.setLevel(level)
        _restore(before)


def _restore(before: Mapping[str, str]) -> None:
    for name in LOUD:
        if name in before:
            os.environ[name] = before[name]
        else:
            os.environ.pop(name, None)

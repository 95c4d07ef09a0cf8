"""What the shell completes after an option: names of studies and of methods. Nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem


def studies(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Study files and kept studies by name; where no name fits, files."""
    from peftsearch.core.files.run_folder import stored_names
    from peftsearch.study.catalogue import study_files

    return _fitting({*study_files(), *stored_names()}, begun) or [CompletionItem(begun, type="file")]


def methods(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Tuning methods by name, with what they are."""
    from peftsearch.methods.table import METHODS

    return [CompletionItem(name, help=METHODS[name].summary) for name in METHODS if name.startswith(begun)]


def _fitting(names: Iterable[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(begun)]

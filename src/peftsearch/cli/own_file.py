"""Options of `optimize`, which makes a study itself where `--data` names a file and `--study` names none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from peftsearch.cli.init import effort_option, label_option, text_option
from peftsearch.cli.shared.options import (
    OVERRIDE_OPTIONS,
    STORAGE_OPTIONS,
    ChosenStudy,
    named_study,
    overrides_of,
    with_options,
)
from peftsearch.cli.shared.output import say
from peftsearch.core.escaping import on_one_line
from peftsearch.draft.presets import DEFAULT_EFFORT, EFFORTS


def study_or_file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """As `storage_options`, but `--data` without `--study` makes a study of the file."""

    @functools.wraps(command)
    def with_study(
        *args: Any,
        study: str | None,
        data: dict[str, str],
        limit: dict[str, int],
        backbone: tuple[str, ...],
        text: tuple[str, ...],
        label: str | None,
        effort: str | None,
        **kwargs: Any,
    ) -> Any:
        files = _with_columns(data, text, label)
        endless = kwargs["trials"] is None and kwargs["timeout"] is None and not kwargs["until_flat"]
        if effort is None and endless:
            raise click.UsageError("say when the search ends: with --trials, --time-limit, --until-flat or several")
        if study is None:
            chosen = _made(files, limit, backbone, effort, kwargs["fork"])
            if endless:
                kwargs["trials"] = EFFORTS[effort or DEFAULT_EFFORT].trials
        elif effort is not None:
            raise click.UsageError("--effort is for a study that is made from --data, but --study names one")
        else:
            chosen = ChosenStudy(study, overrides_of(files, limit, backbone))
        return command(*args, study=chosen, **kwargs)

    options = (named_study(required=False), *OVERRIDE_OPTIONS, text_option, label_option, effort_option)
    return with_options(with_study, (*options, *STORAGE_OPTIONS))


def _with_columns(data: dict[str, str], text: tuple[str, ...], label: str | None) -> dict[str, str]:
    """`--data` with the columns that `--text` and `--label` name."""
    if len(text) > 2:
        raise click.UsageError(f"--text is given {len(text)} times; name one column, or two for pairs of texts")
    columns = dict(zip(("text", "pair"), text, strict=False)) | ({} if label is None else {"label": label})
    if columns and not data:
        raise click.UsageError("--text and --label name columns of the file that --data names; add --data FILE")
    twice = next((key for key in columns if key in data), None)
    if twice is not None:
        raise click.UsageError(f"{twice}= in --data and an option name the same column; keep one")
    return {**data, **columns}


def _made(
    data: dict[str, str], limit: dict[str, int], backbones: tuple[str, ...], effort: str | None, name: str | None
) -> ChosenStudy:
    """A study of the files, which is kept beside its trials."""
    if not data:
        raise click.UsageError("name a study with --study, or a file of labelled texts with --data FILE")
    from peftsearch.draft.make import Wishes
    from peftsearch.draft.new_file import kept_study
    from peftsearch.study.overrides import Overrides

    texts = tuple(data[key] for key in ("text", "pair") if key in data)
    files = {split: file for split, file in data.items() if split not in ("text", "pair", "label")}
    made = kept_study(files, Wishes(texts, data.get("label"), backbones, effort or DEFAULT_EFFORT, limit), name)
    for line in (*made.found, *(f"note: {line}" for line in made.warnings)):
        say(on_one_line(line))
    say(f"this study is {made.path}; later commands find it with --study {made.name}")
    return ChosenStudy(str(made.path), Overrides())

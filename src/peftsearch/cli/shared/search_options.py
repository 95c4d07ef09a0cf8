"""Options that say how trials are chosen and trained, for the commands that search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from peftsearch.cli.shared.options import every_epoch_option, with_options
from peftsearch.cli.shared.parsing import Number, WholeNumber, parse_duration, parse_size
from peftsearch.core.strategies import PRUNERS, SAMPLERS

SEARCH_OPTIONS = (
    click.option(
        "--time-limit",
        "--timeout",
        "timeout",
        callback=parse_duration,
        metavar="TIME",
        help="End the search after this time, for example 90s, 30m or 1h30m; a number alone means seconds. Running"
        " trials end with the epochs that they have.",
    ),
    click.option(
        "--until-flat",
        is_flag=True,
        help="End the search once the last 16 trials that the sampler proposed have added less than 0.5 % to the"
        " hypervolume; values within the tolerance count as equal. Running trials are trained to their ends.",
    ),
    click.option(
        "--like",
        metavar="STUDY",
        help="Try the front of an earlier study first, and the best trial of each of its methods: the name of a study"
        " whose trials are kept, or the URL of a database that holds one study.",
    ),
    every_epoch_option,
    click.option(
        "--trial-timeout",
        type=Number(min=0, min_open=True),
        metavar="SECONDS",
        help="Stop a trial that makes no step for this time, and try it once more."
        "  [default: ten times its slowest step but at least 300, and 1800 before its first step]",
    ),
    click.option(
        "--pruner", type=click.Choice(tuple(PRUNERS)), help="When a trial is stopped early.  [default: the study's]"
    ),
    click.option(
        "--sampler", type=click.Choice(tuple(SAMPLERS)), help="What proposes configurations.  [default: the study's]"
    ),
    click.option("--seed", type=WholeNumber(0, 2**32 - 1), help="The sampler's seed.  [default: the study's]"),
    click.option(
        "--exact",
        is_flag=True,
        help="Use fp32 instead of bf16, no frozen-prefix cache, and batches of mixed lengths. This is slower, and meant"
        " for comparisons.",
    ),
    click.option(
        "--cache-size",
        callback=parse_size,
        metavar="SIZE",
        help="How much disk the frozen-prefix cache may take, for example 2G.  [default: 1/4 of the free space]",
    ),
    click.option(
        "--artifacts",
        metavar="PLACE",
        help="Keep the weights of the front for all machines in this place, too: a folder that they share,"
        " s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, or none. PEFTSEARCH_ARTIFACTS does the same for every command."
        "  [default: where the study's weights are; a new study's stay where they were trained]",
    ),
    click.option(
        "--other-packages",
        is_flag=True,
        help="Train also where torch, transformers or another package that decides a result has another version than"
        " where the search was begun, as after an upgrade. Otherwise such a machine is refused.",
    ),
    click.option(
        "--storage-patience",
        type=Number(min=0),
        metavar="SECONDS",
        default=300.0,
        show_default=True,
        help="How long the search waits for a storage that does not answer, before it ends.",
    ),
)


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--time-limit` and the options after it, which `api.run_study` and `api.run_worker` take by their names."""
    return with_options(command, SEARCH_OPTIONS)

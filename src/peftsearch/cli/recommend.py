"""`recommend`: one trial of a study, and why."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import click

from peftsearch.cli.shared.options import ChosenStudy, example, front_options, json_option, storage_options
from peftsearch.cli.shared.output import print_json, print_line, show
from peftsearch.cli.shared.parsing import Number, UnboundedNumber

PREFERENCES = ("quality", "small", "fast", "knee")
"""The keys of `recommend.preferences.PREFERENCES`, which takes numpy to import."""


@click.command(
    epilog=example(
        "peftsearch recommend --study quickstart",
        "peftsearch recommend --study quickstart --max-parameters 1% --max-train-seconds 60",
        "peftsearch recommend --study quickstart --prefer small --min-quality 0.9",
    )
)
@storage_options
@front_options
@click.option(
    "--max-parameters", metavar="N|SHARE", help="The most trainable parameters: 500k, or 1% of full fine-tuning's."
)
@click.option("--max-train-seconds", type=Number(min=0), metavar="T", help="The longest training time.")
@click.option("--max-latency-ms", type=Number(min=0), metavar="L", help="The longest time for one text.")
@click.option(
    "--max-size-mb",
    type=Number(min=0),
    metavar="M",
    help="The largest size, in MiB, of what is shipped beside a shared backbone.",
)
@click.option("--min-quality", type=UnboundedNumber(), metavar="Q", help="The least value of the study's metric.")
@click.option(
    "--prefer",
    type=click.Choice(PREFERENCES),
    default="quality",
    show_default=True,
    help="What counts among the trials that fit: the best quality, the fewest parameters, the shortest training, or "
    "the knee of the front, which is nearest to the best of everything.",
)
@json_option
def recommend(
    study: ChosenStudy, fork: str | None, storage: str | None, as_json: bool, prefer: str, **limits: Any
) -> None:
    """Choose one trial, and say why.

    If trials that fit were confirmed, one of them is chosen by its scores on test; else one of all finished trials by
    its scores on validation. The runner-up and what it would trade stand below.
    """
    from peftsearch import api
    from peftsearch.recommend.sentences import heading, next_command, recommendation_json, sentences
    from peftsearch.report.paragraph import Paragraph

    found = api.recommend_trial(
        study.name, **limits, prefer=prefer, storage=storage, fork=fork, overrides=study.overrides
    )
    if as_json:
        print_json(recommendation_json(found))
        return
    show(Paragraph(heading(found)), *(Paragraph(line, indent=2) for line in sentences(found)))
    command = next_command(found, _options(study, fork))
    if command:
        print_line(f"  next: {command}")


def _options(study: ChosenStudy, fork: str | None) -> str:
    """The options that name the study in the next command, and those with which its front is chosen."""
    tolerance = study.overrides.tolerance
    if isinstance(tolerance, Mapping):
        tolerance = ",".join(f"{name}={amount}" for name, amount in tolerance.items())
    epochs = {None: [], True: ["--every-epoch"], False: ["--whole-trials"]}[study.overrides.every_epoch]
    named = ["--study", study.name, *(["--fork", fork] if fork else [])]
    return shlex.join([*named, *(["--tolerance", tolerance] if tolerance else []), *epochs])

"""The command that takes a classifier away."""

from __future__ import annotations

import os
from pathlib import Path

import click

from peftsearch.cli.options import ChosenStudy, example, json_option, storage_options
from peftsearch.cli.output import print_json, print_line, say
from peftsearch.cli.parsing import BEST, parse_trial
from peftsearch.core.errors import UserError


@click.command(epilog=example("peftsearch export --study quickstart --trial best --out my-classifier"))
@storage_options
@click.option(
    "--trial", callback=parse_trial, default=BEST, show_default=True, metavar="N|best", help="The trial to export."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The new folder to write to."
)
@click.option(
    "--retrain",
    is_flag=True,
    help="Train the trial again, with the seed of the search, if its weights are missing or damaged.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in DIR; nothing else is.")
@click.option("--push", metavar="REPO", help="Upload the folder to this repository of the Hugging Face hub, too.")
@click.option("--private", is_flag=True, help="Hide a repository that --push makes from others.")
@json_option
def export(
    study: ChosenStudy,
    fork: str | None,
    storage: str | None,
    trial: int | str,
    out: Path,
    retrain: bool,
    overwrite: bool,
    push: str | None,
    private: bool,
    as_json: bool,
) -> None:
    """Write a trial's classifier to a folder, ready to use.

    The folder holds weights, tokenizer, label names, configuration and a model card. Only trials on the front
    have their weights kept; --retrain exports any other finished trial too. `best` is the one with the best quality.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as workers have it; read when torch is loaded
    from peftsearch.api import export_trial, push_export
    from peftsearch.export.push import check_repository

    if private and not push:
        raise UserError("--private belongs to --push REPO")
    if push:
        check_repository(push)
    kept = export_trial(
        study.name, trial, out, storage=storage, fork=fork, overrides=study.overrides, retrain=retrain,
        overwrite=overwrite, say=say,
    )  # fmt: skip
    address = push_export(out, push, private=private) if push else None
    if as_json:
        pushed = {"pushed": address} if address else {}
        print_json({"trial": kept.number, "method": kept.config.method, "out": str(out), **pushed})
    else:
        print_line(f"trial {kept.number} ({kept.config.method}) is in {out}; try: peftsearch predict {out} --text '…'")
        if address:
            print_line(f"it is on the hub too: {address}")

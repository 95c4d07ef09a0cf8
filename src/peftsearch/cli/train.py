"""`train`: trains one configuration without a search."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from peftsearch.cli.shared.options import example, json_option, override_options, overrides_of
from peftsearch.cli.shared.output import print_json, say, tell
from peftsearch.cli.shared.parsing import WholeNumber

if TYPE_CHECKING:
    from peftsearch.training.checkpoint import Checkpoint


@click.command(
    epilog=example(
        "peftsearch train --config best.yaml --out my-classifier",
        "peftsearch train --config best.yaml --all-rows --out for-production",
    )
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The configuration, as `export --config` writes it.",
)
@override_options
@click.option("--seed", type=WholeNumber(0, 2**32 - 1), help="The seed of the training.  [default: the file's]")
@click.option(
    "--all-rows",
    is_flag=True,
    help="Train on the training and the validation rows, for as many epochs as were best in the search.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The new folder to write to."
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in DIR; nothing else is.")
@json_option
def train(
    config: Path,
    data: dict[str, str],
    limit: dict[str, int],
    backbone: tuple[str, ...],
    seed: int | None,
    all_rows: bool,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Train one configuration without a search.

    `peftsearch export --config FILE` writes the configuration, and the folder is as `peftsearch export` writes it.
    The best epoch is chosen on the validation split; with --all-rows no rows are left to choose by or to measure on.
    The test split is never read. A trial that was dominated or pruned in its search can be trained in this way.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as workers have it; read when torch is loaded
    from peftsearch.api import train_config

    kept = train_config(
        config, out, overrides=overrides_of(data, limit, backbone), seed=seed, all_rows=all_rows, overwrite=overwrite,
        say=say,
    )  # fmt: skip
    if as_json:
        print_json({"method": kept.config.method, "out": str(out), "measurement": kept.measurement.to_dict()})
        return
    tell(f"{_result_line(kept)}; it is in {out}; to label texts:")
    tell(f"  peftsearch predict {out} --text '…'")


def _result_line(kept: Checkpoint) -> str:
    from peftsearch.results.formatting import objective_with_unit

    measured, selection = kept.measurement, kept.config.selection
    best = f" after epoch {measured.best_epoch}" if measured.best_epoch else ""
    score = "not measured, because no rows are left"
    if measured.metrics:
        score = f"{objective_with_unit(selection, measured.metrics[selection])} on the validation split"
    return f"{kept.config.method}{best}: {score}"

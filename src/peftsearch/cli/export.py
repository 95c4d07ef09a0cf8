"""The command that takes a classifier away."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from peftsearch.cli.shared.options import ChosenStudy, example, front_options, json_option, storage_options
from peftsearch.cli.shared.output import print_json, say, tell
from peftsearch.cli.shared.parsing import BEST, RECOMMENDED, parse_exported_trial
from peftsearch.core.errors import UserError
from peftsearch.core.points import Point


@click.command(
    epilog=example(
        "peftsearch export --study quickstart --trial recommended --retrain --out my-classifier",
        "peftsearch export --study quickstart --trial 7 --config trial-7.yaml",
        "peftsearch export --study quickstart --front --configs configs",
    )
)
@storage_options
@front_options
@click.option(
    "--trial",
    callback=parse_exported_trial,
    default=BEST,
    show_default=True,
    metavar="N|N@EPOCH|best|recommended",
    help="The trial to export; 7@3 is trial 7 as it was after its epoch 3.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="A new folder, for the classifier.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A new file (.yaml or .json), for the configuration of the trial; `peftsearch train` reads it.",
)
@click.option(
    "--script",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A new file (.py), for a script that trains the same with torch and the method's library alone.",
)
@click.option("--front", is_flag=True, help="With --configs: every trial on the front.")
@click.option(
    "--configs", type=click.Path(path_type=Path), metavar="DIR", help="With --front: the folder for their files."
)
@click.option(
    "--retrain",
    is_flag=True,
    help="Train the trial again, with the seed of the search, if its weights are missing or damaged.",
)
@click.option(
    "--adapter",
    is_flag=True,
    help="Leave out the backbone: DIR holds the adapter and the head, in the format of the library that trained it.",
)
@click.option(
    "--onnx", is_flag=True, help="Write DIR/onnx/model.onnx, too: for onnxruntime, without torch. Needs the extra onnx."
)
@click.option("--int8", is_flag=True, help="With --onnx: write a version with weights of 8 bits, too.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in DIR, or an earlier file.")
@click.option("--push", metavar="REPO", help="Upload the folder to this repository of the Hugging Face hub, too.")
@click.option("--private", is_flag=True, help="Hide a repository that --push makes from others.")
@json_option
def export(
    study: ChosenStudy,
    fork: str | None,
    storage: str | None,
    trial: str,
    out: Path | None,
    config: Path | None,
    script: Path | None,
    front: bool,
    configs: Path | None,
    retrain: bool,
    adapter: bool,
    onnx: bool,
    int8: bool,
    overwrite: bool,
    push: str | None,
    private: bool,
    as_json: bool,
) -> None:
    """Write a trial's classifier to a folder, ready to use.

    The folder holds weights, tokenizer, label names, configuration and a model card. Only what is on the front has its
    weights kept; --retrain exports any other finished trial, or epoch of a trial, too. `best` is what has the best
    quality, and `recommended` what `peftsearch recommend` chooses without limits.
    --config writes the trial's configuration to a file, with which `peftsearch train` trains it, and --script writes
    a script that trains it without peftsearch. Both work for any trial, also for one that was pruned.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as workers have it; read when torch is loaded
    from peftsearch import api
    from peftsearch.export.push import check_repository

    _check_what_to_write((out, config, script), front, configs)
    if adapter and not out:
        raise UserError("--adapter belongs to --out DIR")
    if onnx and not out:
        raise UserError("--onnx belongs to --out DIR")
    if int8 and not onnx:
        raise UserError("--int8 belongs to --onnx")
    if private and not push:
        raise UserError("--private belongs to --push REPO")
    if push and not out:
        raise UserError("--push REPO belongs to --out DIR")
    if push:
        check_repository(push)
    where: dict[str, Any] = {"storage": storage, "fork": fork, "overrides": study.overrides, "overwrite": overwrite}
    written: dict[str, Any] = {}
    if trial == RECOMMENDED:
        found = api.recommend_trial(study.name, storage=storage, fork=fork, overrides=study.overrides)
        trial = str(found.point)
        say(f"recommended is {found.point.in_words}: {found.reason}")
    if configs:
        files = api.export_front_configs(study.name, configs, **where)
        written |= {"configs": [str(file) for file in files]}
    if config:
        written |= {"config": str(api.export_config(study.name, trial, config, **where))}
    if script:
        written |= {"script": str(api.export_script(study.name, trial, script, **where))}
    if out:
        how: dict[str, Any] = {"retrain": retrain, "adapter": adapter, "onnx": onnx, "int8": int8}
        kept = api.export_trial(study.name, trial, out, **where, **how, say=say)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        written |= {
            "trial": kept.number,
            "epoch": kept.epoch,
            "method": kept.config.method,
            "out": str(out),
            "bytes": size,
        }
    if out and push:
        written |= {"pushed": api.push_export(out, push, private=private)}
    if as_json:
        print_json(written)
        return
    for line in _lines(written):
        tell(line)


def _check_what_to_write(single: tuple[Path | None, ...], front: bool, configs: Path | None) -> None:
    if front != (configs is not None):
        raise UserError("--front and --configs DIR belong together: they write the configurations of the whole front")
    if not (any(single) or configs):
        raise UserError("name what to write: --out DIR, --config FILE, --script FILE, or --front --configs DIR")


def _lines(written: Mapping[str, Any]) -> Iterator[str]:
    """What was written, and what to do with it, a line each."""
    if files := written.get("configs"):
        yield f"the front's configurations ({len(files)}) are in {Path(files[0]).parent}; to train one:"
        yield f"  {_train(files[0])}"
    if "config" in written:
        yield f"the configuration is in {written['config']}; to train it:"
        yield f"  {_train(written['config'])}"
    if "script" in written:
        yield f"the script is in {written['script']}, and its rows are beside it; to run it:"
        yield f"  python {written['script']}"
    if "out" in written:
        yield from _about_the_folder(
            Point(written["trial"], written["epoch"]), written["method"], Path(written["out"]), written["bytes"]
        )
    if "pushed" in written:
        yield f"it is on the hub too: {written['pushed']}"


def _about_the_folder(point: Point, method: str, out: Path, size: int) -> Iterator[str]:
    """Where the classifier is, how large, and the few lines of its model card that open it."""
    from peftsearch.export.card.how_to_load import code_in
    from peftsearch.export.description import CARD

    yield f"{point.in_words} ({method}) is in {out} ({size / 1e6:,.1f} MB), and {out / CARD} says what is known of it"
    yield "to label texts:"
    yield f"  peftsearch predict {out} --text '…'"
    yield "to open it in Python:"
    yield from (f"    {line}".rstrip() for line in code_in((out / CARD).read_text(encoding="utf-8"), out).splitlines())


def _train(file: str) -> str:
    return f"peftsearch train --config {file} --out DIR"

"""Train many configurations to their last epoch and record their learning curves, which `benchmarks/replay.py` replays.

    python -m benchmarks.curves --data ../shared/data/trec-qc-6.jsonl.gz --configurations 264

The methods take turns, so that the first rows of the table cover all of them: first the default configuration of each
method, then configurations drawn at random from its space. `--methods` records further rows for some methods only.
Seconds are processor time with one thread, which other programs hardly change. A second run of the command continues
the first one, and several runs with different `--part I/N` share the work. All recorded rows are packed into
`benchmarks/curves/NAME.jsonl.gz`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs" / "benchmarks"
LONG_TABLES = ("curves", "curves-glosses")
"""Those with a dozen rows of each method."""

TABLES = (*LONG_TABLES, "curves-news")
"""The recorded tables; `NAME.yaml` is the study of each."""

EPOCH_FIELDS = (
    "macro_f1", "accuracy", "train_loss", "validation_loss", "train_seconds", "evaluation_seconds",
    "trainable_parameters",
)  # fmt: skip


def main() -> None:
    options = _options()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    record(options)
    print(f"{pack(options.study.stem)} configurations in {packed(options.study.stem)}")


def record(options: argparse.Namespace) -> None:
    """Train the configurations of this part that are not recorded yet; each becomes one line of JSON."""
    import gc

    import torch

    from peftsearch.data.load import load_data
    from peftsearch.study.overrides import Overrides, from_here
    from peftsearch.study.spec import load_study

    torch.set_num_threads(1)
    spec = load_study(str(options.study), Overrides({"train": from_here(options.data)}))
    data = load_data(spec.data, spec.folder, RUNS / spec.name / "data")
    gc.freeze()
    methods = list(spec.methods)
    chosen = options.methods.split(",") if options.methods else methods
    part, parts = map(int, options.part.split("/"))
    wanted = [index for index in range(options.configurations) if methods[index % len(methods)] in chosen][part::parts]
    done = {row["index"] for row in rows(spec.name)}
    target = RUNS / spec.name / f"{options.part.replace('/', '-of-')}.jsonl"
    for index in (index for index in wanted if index not in done):
        row = train(spec, data, index, options.backbone)
        with target.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        best = max((epoch["macro_f1"] for epoch in row["curve"]), default=float("nan"))
        print(
            f"{index} {row['config']['method']}: {row['failure'] or f'macro F1 {best:.3f}'}",
            file=sys.stderr,
            flush=True,
        )


def configuration(spec: Any, index: int) -> tuple[Any, dict[str, Any]]:
    """The configuration with this index, and its Optuna parameters; both depend on the study and the index alone."""
    import optuna
    from optuna.samplers import PartialFixedSampler, RandomSampler

    from peftsearch.study.suggest import baseline_config, sampled_params, suggest

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    method = list(spec.methods)[index % len(spec.methods)]
    if index < len(spec.methods):
        default = next(b for b in spec.baselines if b.method == method)
        return baseline_config(spec, default), sampled_params(spec, default)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = PartialFixedSampler({"method": method}, RandomSampler(seed=index))
    trial = optuna.create_study(directions=spec.directions, sampler=sampler).ask()
    return suggest(spec, trial), trial.params


def train(spec: Any, data: Any, index: int, folder: Path | None = None) -> dict[str, Any]:
    """Train one configuration and return its row of the table; a failed trial has a row too.

    Args:
        folder: where the study's backbone lies, if it is not found by its name, by which the row calls it.
    """
    from peftsearch.core.errors import TrialFailure
    from peftsearch.training.trial import run_trial

    config, params = configuration(spec, index)
    curve: list[Any] = []
    failure = None
    found = replace(config, backbone=str(folder.absolute())) if folder else config
    try:
        run_trial(found, data, curve.append, cache=RUNS / spec.name / "tokens", device="cpu")
    except TrialFailure as error:
        failure = error.kind
    flat = [report.to_dict() for report in curve]
    return {
        "index": index,
        "params": params,
        "config": config.to_dict(),
        "curve": [{name: float(f"{epoch[name]:.6g}") for name in EPOCH_FIELDS} for epoch in flat],
        "failure": failure,
    }


def packed(name: str) -> Path:
    return HERE / "curves" / f"{name}.jsonl.gz"


def rows(name: str) -> list[dict[str, Any]]:
    """All recorded rows, packed or not, by index."""
    lines = [line for file in (RUNS / name).glob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    if packed(name).is_file():
        lines += gzip.decompress(packed(name).read_bytes()).decode().splitlines()
    found = {row["index"]: row for row in map(json.loads, lines)}
    return [found[index] for index in sorted(found)]


def pack(name: str) -> int:
    """Write all recorded rows into one compressed file, and return their number."""
    found = rows(name)
    packed(name).parent.mkdir(exist_ok=True)
    with packed(name).open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as target:
        target.writelines((json.dumps(row) + "\n").encode() for row in found)
    return len(found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a file of labelled texts")
    parser.add_argument(
        "--study", type=Path, default=HERE / "curves.yaml", help="the study file; its name names the table"
    )
    parser.add_argument("--configurations", type=int, default=264)
    parser.add_argument(
        "--backbone", type=Path, help="a folder with the study's backbone, if its name does not find it"
    )
    parser.add_argument("--methods", help="only these methods, separated by commas")
    parser.add_argument(
        "--part", default="0/1", metavar="I/N", help="train every N-th configuration, beginning with the I-th"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

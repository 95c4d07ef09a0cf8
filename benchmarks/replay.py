"""Replay the rules that stop trials early on recorded learning curves, in seconds instead of days.

    python -m benchmarks.replay
    python -m benchmarks.replay --load 2
    python -m benchmarks.replay --every-epoch

A replay is a study in which nothing is trained: each trial is a row of `benchmarks/curves/NAME.jsonl.gz`
(`benchmarks/curves.py`), and the rule sees its epochs one after the other. The study has eight of the table's methods,
which differ from seed to seed. It runs their default configurations first, then other rows in random order up to 40
trials, and then as many more trials as the saved epochs allow. `benchmarks/proposals.py` replays the samplers.

With `--load 2`, every trial from the 20th on takes twice the seconds to train and to evaluate, as if another program
had begun to share the machine; fronts are still those of the recorded seconds.

With `--every-epoch`, each epoch of a trial is a point, the epochs of stopped trials included. Then the rules are
compared by what they lose of the points: their hypervolume, and how many of those on the front of all epochs of the
first 40 trials were never trained.

The hypervolume is that of 1 - macro F1, and of parameters and seconds on logarithmic scales over the table's range.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.curves import rows
from benchmarks.fronts import OBJECTIVES, fronts_of
from benchmarks.rules import RULES, Rule, told_the_end, told_the_epochs

from peftsearch.core.config import TrialConfig
from peftsearch.core.front.pareto import Array, as_losses, hypervolume
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.storage.records import Record, State

HERE = Path(__file__).parent
DIRECTIONS = ("maximize", "minimize", "minimize")
TRIALS = 40
TOLD, TOLD_EPOCHS = "dominated, told the ends", "every epoch dominated, told the epochs"

ENOUGH = 5
"""A replayed study has methods of which so many rows at least were recorded."""

LOADED_FROM = 20
"""The trial from which on `--load` makes the machine slower."""


@dataclass(frozen=True)
class Run:
    """One replay.

    Attributes:
        saved: the share of the first 40 trials' epochs that the rule saved.
        lost: the share of the first 40 trials' hypervolume that the rule lost.
        wrong: how many points on the front of the first 40 trials are missing since the rule stopped their trials.
        wrong_within: the same of their front with the default tolerance.
        volume: the hypervolume once as many epochs are spent as the first 40 trials take without a rule.
        trials: the number of trials within these epochs.
    """

    saved: float
    lost: float
    wrong: int
    wrong_within: int
    volume: float
    trials: int


class Table:
    """The recorded rows as finished trials.

    Attributes:
        records: one for each row that did not fail, in the order of the table.
        losses: shape (records, 3), each column scaled to 0..1 over the table.
        scale: the least logarithm of each cost, and how far the largest is above it.
        equal: rows that differ in the learning rate only, and so compute the same.
        quiet: `losses` with equal seconds for equal work: the median of the rows that differ in the learning rate only.
            The first rows were recorded on a quieter machine, and have up to a quarter less.
    """

    def __init__(self, name: str) -> None:
        self.records = [_record(row) for row in rows(name) if not row["failure"]]
        self.prepare()

    def prepare(self) -> None:
        """Compute all else from the records."""
        self.epochs = max(len(record.curve) for record in self.records)
        scaled = [[r.values["macro_f1"], *(math.log10(r.values[o]) for o in OBJECTIVES[1:])] for r in self.records]
        losses = as_losses(scaled, DIRECTIONS)
        losses[:, 0] += 1
        self.scale: tuple[Array, Array] = losses[:, 1:].min(axis=0), np.ptp(losses[:, 1:], axis=0)
        losses[:, 1:] = (losses[:, 1:] - self.scale[0]) / self.scale[1]
        self.losses: Array = losses
        self.quiet: Array = losses.copy()
        equal: dict[str, list[int]] = {}
        for place, record in enumerate(self.records):
            equal.setdefault(_work(record.config), []).append(place)
        self.equal = list(equal.values())
        for places in self.equal:
            self.quiet[places, 2] = np.median(losses[places, 2])

    def places_of(self) -> dict[str, list[int]]:
        """The rows of each method of which enough were recorded."""

        found: dict[str, list[int]] = {}
        for place, record in enumerate(self.records):
            found.setdefault(record.config.method if record.config else "", []).append(place)
        return {method: places for method, places in found.items() if len(places) >= ENOUGH}

    def volume(self, places: Sequence[int], *, quiet: bool = False) -> float:
        losses = self.quiet if quiet else self.losses
        return hypervolume(losses[list(places)], np.ones(3)) if places else 0.0


def _work(config: TrialConfig | None) -> str:
    """Equal for configurations that compute the same."""
    data = config.to_dict() if config else {}
    return json.dumps({**data, "settings": {**data["settings"], "learning_rate": None}}, sort_keys=True)


def replay(table: Table, rule: Rule, order: Sequence[int], load: float = 1.0, *, every_epoch: bool = False) -> Run:
    """Replay the rows in `order` as trials, one after the other, with `rule` to stop them.

    Args:
        load: by how much longer the trials from `LOADED_FROM` on take.
        every_epoch: whether each epoch is a point.
    """
    budget, fronts = TRIALS * table.epochs, fronts_of(table, every_epoch)
    known: list[Record] = []
    trained: list[tuple[int, int]] = []
    spent, early = 0, 0
    for count, place in enumerate(order):
        whole = table.records[place] if count < LOADED_FROM else slowed(table.records[place], load)
        shown = show(whole, rule, known, count)
        if spent + len(shown.curve) > budget:
            break
        spent += len(shown.curve)
        known.append(shown)
        trained.append((place, len(shown.curve)))
        if count + 1 == TRIALS:
            early = spent
    whole = fronts.reached((place, len(table.records[place].curve)) for place in order[:TRIALS])
    found = fronts.reached(trained[:TRIALS])
    return Run(
        saved=1 - early / budget,
        lost=1 - fronts.volume(found) / fronts.volume(whole),
        wrong=len(fronts.front(whole) - found),
        wrong_within=len(fronts.front_within(whole) - found),
        volume=fronts.volume(fronts.reached(trained)),
        trials=len(known),
    )


def show(whole: Record, rule: Rule, known: Sequence[Record], number: int) -> Record:
    """`whole` as trial `number`, which ends at the epoch at which `rule` stops it."""
    whole = replace(whole, number=number)
    for epochs in range(1, len(whole.curve)):
        running = after(whole, epochs, "running")
        if rule(running, known, OBJECTIVES) is not None:
            return replace(running, state="pruned")
    return whole


def after(whole: Record, epochs: int, state: State) -> Record:
    """A complete trial as it was after some epochs, when it was running or stopped."""
    return replace(
        whole, state=state, values={}, curve=whole.curve[:epochs], measurement=None, so_far=whole.measurement
    )


def slowed(whole: Record, load: float) -> Record:
    """`whole` on a machine on which everything takes `load` times as long."""
    curve = tuple(
        replace(epoch, train_seconds=load * epoch.train_seconds, evaluation_seconds=load * epoch.evaluation_seconds)
        for epoch in whole.curve
    )
    return replace(whole, curve=curve, values={**whole.values, "train_seconds": load * whole.values["train_seconds"]})


def _record(row: dict[str, Any]) -> Record:
    curve = tuple(
        EpochReport(
            epoch=place + 1,
            train_loss=epoch["train_loss"],
            validation_loss=epoch["validation_loss"],
            metrics={"macro_f1": epoch["macro_f1"], "accuracy": epoch["accuracy"]},
            train_seconds=epoch["train_seconds"],
            evaluation_seconds=epoch["evaluation_seconds"],
            trainable_parameters=int(epoch["trainable_parameters"]),
        )
        for place, epoch in enumerate(row["curve"])
    )
    values = {
        "macro_f1": max(report.metrics["macro_f1"] for report in curve),
        "trainable_parameters": float(max(report.trainable_parameters for report in curve)),
        "train_seconds": sum(report.train_seconds for report in curve),
    }
    config, best = TrialConfig.from_dict(row["config"]), max(curve, key=lambda report: report.metrics["macro_f1"])
    measured = measurement(curve, best, seed=config.training.seed)
    return Record(row["index"], "complete", config, values, measured, curve)


def measurement(curve: Sequence[EpochReport], best: EpochReport, seed: int) -> Measurement:
    """What a table says of a trial; of the rest, the least that a trial can have."""
    return Measurement(
        metrics=best.metrics,
        best_epoch=best.epoch,
        epochs=len(curve),
        trainable_parameters=max(report.trainable_parameters for report in curve),
        total_parameters=0,
        train_seconds=sum(report.train_seconds for report in curve),
        evaluation_seconds=sum(report.evaluation_seconds for report in curve),
        evaluation_samples_per_second=0.0,
        peak_memory_mb=0.0,
        device="cpu",
        precision="fp32",
        seed=seed,
        data_fingerprint="",
        micro_batch_size=0,
        padding_share=0.0,
    )


def orders(table: Table, seeds: int, methods: int) -> Iterator[list[int]]:
    """For each seed, the rows of a study over this many methods: default configurations first, then random rows."""
    of_method = table.places_of()  # a method's first row is its default point
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        names = random.choice(sorted(of_method), methods, replace=False)
        chosen = [of_method[name] for name in names]
        queues = [random.permutation(places[1:]).tolist() for places in chosen]
        order = [places[0] for places in chosen]
        while queues := [queue for queue in queues if queue]:
            order.append(queues[random.integers(len(queues))].pop())
        if len(order) < TRIALS:
            raise SystemExit(f"a replay takes {TRIALS} rows, the table has {len(order)} of {', '.join(names)}")
        yield order


def compare_rules(
    table: Table, seeds: int, methods: int, names: Sequence[str], load: float = 1.0, *, every_epoch: bool = False
) -> dict[str, list[Run]]:
    rules = {**RULES, TOLD: told_the_end(table.records), TOLD_EPOCHS: told_the_epochs(table.records)}
    return {
        name: [
            replay(table, rules[name], order, load, every_epoch=every_epoch) for order in orders(table, seeds, methods)
        ]
        for name in names
    }


def shown(found: dict[str, list[Run]]) -> str:
    """A Markdown table: means and their standard errors."""
    header = (
        "rule",
        "epochs saved",
        "hypervolume lost",
        "front points wrongly stopped",
        "with the tolerance",
        "hypervolume at equal epochs",
        "trials",
    )
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for name, runs in found.items():
        cells = (
            mean([100 * run.saved for run in runs], 1) + " %",
            mean([100 * run.lost for run in runs], 2) + " %",
            mean([float(run.wrong) for run in runs], 2),
            mean([float(run.wrong_within) for run in runs], 2),
            mean([run.volume for run in runs], 4),
            mean([float(run.trials) for run in runs], 1),
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mean(values: Sequence[float], digits: int) -> str:
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="curves", help="name of the recorded table")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--methods", type=int, default=8, help="number of methods in a study")
    rules = [*RULES, TOLD, TOLD_EPOCHS]
    parser.add_argument("--rules", nargs="+", choices=rules, default=rules, metavar="RULE")
    parser.add_argument(
        "--load", type=float, default=1.0, help=f"how much slower trial {LOADED_FROM} and later ones are"
    )
    parser.add_argument("--every-epoch", action="store_true", help="count each epoch of a trial as a point")
    options = parser.parse_args()
    found = compare_rules(
        Table(options.table), options.seeds, options.methods, options.rules, options.load,
        every_epoch=options.every_epoch,
    )  # fmt: skip
    kind = ("-every-epoch" if options.every_epoch else "") + ("" if options.load == 1 else f"-load-{options.load:g}")
    (HERE / "results" / f"replay-{options.table}{kind}.json").write_text(
        json.dumps({name: [vars(run) for run in runs] for name, runs in found.items()})
    )
    print(shown(found))


if __name__ == "__main__":
    main()

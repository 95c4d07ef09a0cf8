"""Replay the rules that stop trials early on recorded learning curves, in seconds instead of days.

    python -m benchmarks.replay
    python -m benchmarks.replay --load 2

A replay is a study in which nothing is trained: each trial is a row of `benchmarks/curves/NAME.jsonl.gz`
(`benchmarks/curves.py`), and the rule sees its epochs one after the other. The study has eight of the table's methods,
which differ from seed to seed. It runs their default configurations first, then other rows in random order up to 40
trials, and then as many more trials as the saved epochs allow. `benchmarks/proposals.py` replays the samplers.

With `--load 2`, every trial from the 20th on takes twice the seconds to train and to evaluate, as if another program
had begun to share the machine; fronts are still those of the recorded seconds.

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
from benchmarks.rules import RULES, told_the_end

from peftsearch.core.config import TrialConfig
from peftsearch.core.front.pareto import Array, as_losses, front_of, hypervolume, non_dominated
from peftsearch.core.measurement import EpochReport
from peftsearch.search.pruning import Rule
from peftsearch.storage.records import Record

HERE = Path(__file__).parent
OBJECTIVES = ("macro_f1", "trainable_parameters", "train_seconds")
DIRECTIONS = ("maximize", "minimize", "minimize")
TRIALS = 40
TOLD = "dominated, told the ends"
LOADED_FROM = 20
"""The trial from which on `--load` makes the machine slower."""


@dataclass(frozen=True)
class Run:
    """One replay.

    Attributes:
        saved: the share of the first 40 trials' epochs that the rule saved.
        lost: the share of the first 40 trials' hypervolume that the rule lost.
        wrong: the number of trials among the first 40 that the rule stopped although they belong on their front.
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
        quiet: the same with equal seconds for equal work: the median of the rows that differ in the learning rate only.
            The first rows were recorded on a quieter machine, and have up to a quarter less.
    """

    def __init__(self, name: str) -> None:
        self.records = [_record(row) for row in rows(name) if not row["failure"]]
        self.epochs = max(len(record.curve) for record in self.records)
        scaled = [[r.values["macro_f1"], *(math.log10(r.values[o]) for o in OBJECTIVES[1:])] for r in self.records]
        losses = as_losses(scaled, DIRECTIONS)
        losses[:, 0] += 1
        losses[:, 1:] = (losses[:, 1:] - losses[:, 1:].min(axis=0)) / np.ptp(losses[:, 1:], axis=0)
        self.losses: Array = losses
        self.quiet: Array = losses.copy()
        equal: dict[str, list[int]] = {}
        for place, record in enumerate(self.records):
            equal.setdefault(_work(record.config), []).append(place)
        for places in equal.values():
            self.quiet[places, 2] = np.median(losses[places, 2])

    def volume(self, places: Sequence[int], *, quiet: bool = False) -> float:
        losses = self.quiet if quiet else self.losses
        return hypervolume(losses[list(places)], np.ones(3)) if places else 0.0

    def front(self, places: Sequence[int]) -> set[int]:
        return set(np.asarray(places)[non_dominated(self.losses[list(places)])])

    def front_within(self, places: Sequence[int]) -> set[int]:
        """The front on which seconds within the default tolerance count as equal."""
        values = [[self.records[place].values[name] for name in OBJECTIVES] for place in places]
        return set(np.asarray(places)[front_of(values, OBJECTIVES)])


def _work(config: TrialConfig | None) -> str:
    """Equal for configurations that compute the same."""
    data = config.to_dict() if config else {}
    return json.dumps({**data, "settings": {**data["settings"], "learning_rate": None}}, sort_keys=True)


def replay(table: Table, rule: Rule, order: Sequence[int], load: float = 1.0) -> Run:
    """Replay the rows in `order` as trials, one after the other, with `rule` to stop them.

    Args:
        load: by how much longer the trials from `LOADED_FROM` on take.
    """
    budget = TRIALS * table.epochs
    known: list[Record] = []
    complete: list[int] = []
    of_first: list[int] = []
    spent, early = 0, 0
    for count, place in enumerate(order):
        whole = table.records[place] if count < LOADED_FROM else slowed(table.records[place], load)
        shown = show(whole, rule, known, count)
        if spent + len(shown.curve) > budget:
            break
        spent += len(shown.curve)
        known.append(shown)
        if shown.state == "complete":
            complete.append(place)
        if count + 1 == TRIALS:
            early, of_first = spent, list(complete)
    first = list(order[:TRIALS])
    stopped = set(first) - set(of_first)
    return Run(
        saved=1 - early / budget,
        lost=1 - table.volume(of_first) / table.volume(first),
        wrong=len(stopped & table.front(first)),
        wrong_within=len(stopped & table.front_within(first)),
        volume=table.volume(complete),
        trials=len(known),
    )


def show(whole: Record, rule: Rule, known: Sequence[Record], number: int) -> Record:
    """`whole` as trial `number`, which ends at the epoch at which `rule` stops it."""
    for epochs in range(1, len(whole.curve)):
        running = Record(number, "running", whole.config, curve=whole.curve[:epochs])
        if rule(running, known, OBJECTIVES) is not None:
            return Record(number, "pruned", whole.config, curve=whole.curve[:epochs])
    return Record(number, "complete", whole.config, whole.values, curve=whole.curve)


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
    return Record(row["index"], "complete", TrialConfig.from_dict(row["config"]), values, curve=curve)


def orders(table: Table, seeds: int, methods: int) -> Iterator[list[int]]:
    """For each seed, the rows of a study over this many methods: default configurations first, then random rows."""
    of_method: dict[str, list[int]] = {}
    for place, record in enumerate(table.records):  # a method's first row is its default point
        of_method.setdefault(record.config.method if record.config else "", []).append(place)
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
    table: Table, seeds: int, methods: int, names: Sequence[str], load: float = 1.0
) -> dict[str, list[Run]]:
    rules = {**RULES, TOLD: told_the_end(table.records)}
    return {
        name: [replay(table, rules[name], order, load) for order in orders(table, seeds, methods)] for name in names
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
    parser.add_argument("--rules", nargs="+", choices=[*RULES, TOLD], default=[*RULES, TOLD], metavar="RULE")
    parser.add_argument(
        "--load", type=float, default=1.0, help=f"how much slower trial {LOADED_FROM} and later ones are"
    )
    options = parser.parse_args()
    found = compare_rules(Table(options.table), options.seeds, options.methods, options.rules, options.load)
    loaded = "" if options.load == 1 else f"-load-{options.load:g}"
    (HERE / "results" / f"replay-{options.table}{loaded}.json").write_text(
        json.dumps({name: [vars(run) for run in runs] for name, runs in found.items()})
    )
    print(shown(found))


if __name__ == "__main__":
    main()

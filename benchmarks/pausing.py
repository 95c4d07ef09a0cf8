"""Replay searches that pause trials in place of stopping them, on recorded learning curves.

    python -m benchmarks.pausing --table curves
    python -m benchmarks.pausing --table curves-glosses

The base are the kept searches of the default sampler (`benchmarks/portfolio.py`), whose proposals are taken in their
order; every epoch is a point, and the rule `dominated` stops a trial. The other ways have the same seconds:

- `resumed once not dominated`: what the rule stops is paused, and goes on for as long as the rule lets it, which is
  asked again after each trial;
- `resumed where it promises more`: a paused trial also goes on if its forecast adds more hypervolume a second than the
  last eight trials did;
- `freely`: each trial begins with an epoch, and after that what goes on to 2, 4 and 8 epochs, or begins, is what
  promises most hypervolume a second (freeze-thaw; Swersky, Snoek and Adams 2014), with proposals of its own.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from benchmarks.proposals import Nearest, eight, study_of
from benchmarks.reached import points_of
from benchmarks.replay import HERE, OBJECTIVES, TRIALS, Table, mean

from peftsearch.core.front.pareto import Array, non_dominated
from peftsearch.search.ehvi.improvement import expected_improvement, open_boxes
from peftsearch.search.extrapolation import by_ratio
from peftsearch.search.pruning import dominated
from peftsearch.storage.records import Record

MARKS = (20, TRIALS)
MEDIAN, LAST = 0.5, 8
STEPS = {0: 1, 1: 2, 2: 4, 4: 8}
DRAWN = 20
"""So many rows of a method are drawn for each proposal."""


@dataclass
class Replay:
    """A replayed search: what each trial has trained, and the hypervolume as the seconds pass.

    Attributes:
        rows: of each trial, in the order in which they began.
        epochs: of each trial.
        trace: (seconds, hypervolume) after each step, where every epoch is a point.
        resumed: how often a paused trial went on.
    """

    world: World
    rows: list[int] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    trace: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])
    front: Array = field(default_factory=lambda: np.zeros((0, 3)))
    marks: list[float] = field(default_factory=list)
    resumed: int = 0

    def begin(self, row: int) -> int:
        self.rows.append(row)
        self.epochs.append(0)
        return len(self.rows) - 1

    def train(self, trial: int, to: int) -> None:
        row, now = self.rows[trial], self.epochs[trial]
        self.epochs[trial] = to
        seconds = self.trace[-1][0] + float(self.world.seconds[row][now:to].sum())
        self.front = added(self.front, self.world.points[row][now:to])
        self.trace.append((seconds, volume_of(self.front)))

    def volume_at(self, seconds: float) -> float:
        return max(volume for at, volume in self.trace if at <= seconds + 1e-9)

    def record(self, trial: int, state: str) -> Record:
        return self.world.record(self.rows[trial], self.epochs[trial], trial, state)

    def known(self) -> list[Record]:
        """What has ended, paused trials among it."""
        return [
            self.record(t, "complete" if n == self.world.length(row) else "pruned")
            for t, (row, n) in enumerate(zip(self.rows, self.epochs, strict=True))
        ]


class World:
    """A table of curves as replays need it."""

    def __init__(self, name: str) -> None:
        self.table = Table(name)
        self.spec = study_of(name, self.table)
        self.nearest = Nearest(self.table, self.spec)
        self.points = points_of(self.table, quiet=True, epochs=True)
        self.seconds = [np.array([e.train_seconds for e in r.curve]) for r in self.table.records]
        self.best = [np.maximum.accumulate([e.metrics["macro_f1"] for e in r.curve]) for r in self.table.records]
        self._epochs = [self._points(record) for record in self.table.records]
        self.rows: dict[str, list[int]] = {}
        for row, record in enumerate(self.table.records):
            self.rows.setdefault(record.config.method if record.config else "", []).append(row)
        seconds = np.log10([record.values["train_seconds"] for record in self.table.records])
        self._least, self.table_span = float(seconds.min()), float(np.ptp(seconds))

    def scaled(self, seconds: Array) -> Array:
        """Seconds on the scale of the table's losses."""
        return (np.log10(seconds) - self._least) / self.table_span

    def length(self, row: int) -> int:
        return len(self.seconds[row])

    def _points(self, record: Record) -> list[Record]:
        found = []
        for n in range(1, len(record.curve) + 1):
            curve = record.curve[:n]
            values = {
                "macro_f1": curve[-1].metrics["macro_f1"],
                "trainable_parameters": float(max(e.trainable_parameters for e in curve)),
                "train_seconds": sum(e.train_seconds for e in curve),
            }
            found.append(replace(record, state="complete", epoch=n, values=values, curve=curve))
        return found

    def record(self, row: int, epochs: int, number: int, state: str) -> Record:
        """A row as a trial with some of its epochs, each of which is a point."""
        whole = self.table.records[row]
        values = whole.values if state == "complete" else {}
        found = replace(whole, number=number, state=state, curve=whole.curve[:epochs], values=values)
        found.by_epoch[OBJECTIVES] = tuple(self._epochs[row][:epochs])
        return found


def volume_of(points: Array) -> float:
    """The hypervolume of three losses below 1, as a sweep over the first one: many times faster than for any number."""
    volume, stairs = 0.0, [(-math.inf, 1.0), (1.0, -math.inf)]  # what is reached so far, the second loss rising
    ordered = sorted(tuple(point) for point in points.tolist() if max(point) < 1)
    for place, (first, second, third) in enumerate(ordered):
        if not any(a <= second and b <= third for a, b in stairs[1:-1]):
            left = [(a, b) for a, b in stairs if not (a >= second and b >= third) or b == -math.inf]
            stairs = sorted([*left, (second, third)])
        area = sum((c - a) * (1 - b) for (a, b), (c, _) in pairwise(stairs[1:]))
        volume += area * ((ordered[place + 1][0] if place + 1 < len(ordered) else 1.0) - first)
    return volume


def added(front: Array, points: Array) -> Array:
    together = np.concatenate([front, points])
    return together[non_dominated(together)]


def stopped(replay: Replay, trial: int, known: Sequence[Record]) -> bool:
    return dominated(replay.record(trial, "running"), known, OBJECTIVES, every_epoch=True) is not None


def run_while_let(replay: Replay, trial: int) -> bool:
    """Train a trial until it ends or the rule stops it; returns whether it is complete."""
    known = [record for record in replay.known() if record.number != trial]
    length = replay.world.length(replay.rows[trial])
    while replay.epochs[trial] < length:
        if replay.epochs[trial] and stopped(replay, trial, known):
            return False
        replay.train(trial, replay.epochs[trial] + 1)
    return True


def promise(replay: Replay, trial: int, whole: Sequence[Sequence[float]]) -> float:
    """The hypervolume a second of the epochs still to come, if they go as the median of the whole curves."""
    world, row, now = replay.world, replay.rows[trial], replay.epochs[trial]
    last = world.length(row)
    seen, spent = world.best[row][:now], world.seconds[row][:now]
    points = np.repeat(world.points[row][[now - 1]], last - now, axis=0)
    each = float(spent.mean())
    for place, n in enumerate(range(now + 1, last + 1)):
        end = by_ratio(list(seen), whole, n, MEDIAN)
        points[place, 0] = 1 - max(seen[-1], end or 0.0)
        points[place, 2] += math.log10((spent.sum() + each * (n - now)) / spent.sum()) / world.table_span
    return (volume_of(added(replay.front, points)) - replay.trace[-1][1]) / (each * (last - now))


def in_order(world: World, rows: Sequence[int], *, resume: str = "") -> Replay:
    """Replay the proposals `rows`; `resume` is `rule`, `promise` or nothing."""
    replay = Replay(world)
    paused: list[int] = []
    for row in rows:
        trial = replay.begin(row)
        if not run_while_let(replay, trial):
            paused.append(trial)
        if resume and (resume == "promise" or replay.epochs[-1] == world.length(row)):  # else no forecast has changed
            paused = [t for t in paused if not _gone_on(replay, t, resume)]
        replay.marks.append(replay.trace[-1][0])
    return replay


def _gone_on(replay: Replay, trial: int, how: str) -> bool:
    """Let a paused trial go on if it may; returns whether it is complete."""
    known = [record for record in replay.known() if record.number != trial]
    if not stopped(replay, trial, known):
        replay.resumed += 1
        return run_while_let(replay, trial)
    if how != "promise":
        return False
    trials = replay.marks[-LAST:]
    if len(trials) < LAST:
        return False
    before = trials[0]
    rate = (replay.trace[-1][1] - replay.volume_at(before)) / max(1e-9, replay.trace[-1][0] - before)
    length = replay.world.length(replay.rows[trial])
    whole = [
        list(replay.world.best[row])
        for row, n in zip(replay.rows, replay.epochs, strict=True)
        if n == replay.world.length(row)
    ]
    while replay.epochs[trial] < length and promise(replay, trial, whole) > rate:
        replay.resumed += 1
        replay.train(trial, replay.epochs[trial] + 1)
    return replay.epochs[trial] == length


class Process:
    """A Gaussian process over method and settings, with noise of each value of its own; lengths by likelihood."""

    def __init__(self, values: Array, methods: Array, points: Array, noise: Array) -> None:
        self.mean, self.scale = float(np.median(values)), max(float(values.std()), 1e-6)
        self.methods, self.points = methods, points
        scaled, best = (values - self.mean) / self.scale, None
        for length in (0.15, 0.3, 0.6):
            for shared, own in ((0.3, 0.7), (0.6, 0.4), (0.1, 0.9)):
                how = (length, shared, own)
                covariance = self._covariance(methods, points, how) + np.diag(0.03 + (noise / self.scale) ** 2)
                factor = np.linalg.cholesky(covariance)
                weights = np.linalg.solve(factor.T, np.linalg.solve(factor, scaled))
                likely = -0.5 * scaled @ weights - np.log(np.diag(factor)).sum()
                if best is None or likely > best[0]:
                    best = (likely, how, factor, weights)
        assert best is not None
        _, self.how, self.factor, self.weights = best

    def _covariance(self, methods: Array, points: Array, how: tuple[float, float, float]) -> Array:
        length, shared, own = how
        away = ((points[:, None, :] - self.points[None, :, :]) ** 2).sum(-1)
        same = methods[:, None] == self.methods[None, :]
        return 0.2 + same * (shared + own * np.exp(-away / (2 * length**2)))

    def forecast(self, methods: Array, points: Array) -> tuple[Array, Array]:
        cross = self._covariance(methods, points, self.how)
        explained = (np.linalg.solve(self.factor, cross.T) ** 2).sum(0)
        variance = np.maximum(1e-9, 0.2 + self.how[1] + self.how[2] - explained)
        return self.mean + self.scale * (cross @ self.weights), self.scale * np.sqrt(variance)


def freely(world: World, methods: Sequence[str], first: Sequence[int], until: float, seed: int) -> Replay:
    """Freeze and thaw until these seconds have passed, after an epoch of each row of `first`."""
    replay, random = Replay(world), np.random.default_rng(5000 + seed)
    ids = {name: place for place, name in enumerate(methods)}
    config = [record.config for record in world.table.records]
    width = max(len(world.nearest._point(config[row])) for row in first)
    cost = world.table.losses[:, 1]

    def place(row: int) -> Array:
        point = world.nearest._point(config[row])
        return np.concatenate([point, np.zeros(width - len(point))])

    for row in first:
        replay.train(replay.begin(row), 1)
    while replay.trace[-1][0] < until:
        at = dict(zip(replay.rows, replay.epochs, strict=True))
        whole = [list(world.best[row]) for row, n in at.items() if n == world.length(row)]
        ends, noise = [], []
        for row, n in at.items():
            seen = world.best[row][:n]
            end = by_ratio(list(seen), whole, world.length(row), MEDIAN) if n < world.length(row) else seen[-1]
            ends.append(seen[-1] if end is None else max(seen[-1], end))
            noise.append(0.1 * (1 - n / world.length(row)))
        known = np.array([ids[config[row].method] for row in at]), np.stack([place(row) for row in at])
        quality = Process(1 - np.array(ends), *known, np.array(noise))
        each = np.log10([world.seconds[row][:n].mean() for row, n in at.items()])
        time = Process(each, *known, np.full(len(at), 0.02))
        drawn = [int(row) for name in methods for row in random.choice(world.rows[name], DRAWN)]
        rows = [row for row, n in at.items() if n < world.length(row)] + sorted({r for r in drawn if r not in at})
        if not rows:
            break
        asked = np.array([ids[config[row].method] for row in rows]), np.stack([place(row) for row in rows])
        mean_, deviation = quality.forecast(*asked)
        seconds = 10 ** time.forecast(*asked)[0]
        losses = np.stack([mean_, cost[rows], world.scaled(seconds * [world.length(r) for r in rows])], axis=1)
        spread = np.stack([deviation, np.zeros(len(rows)), np.zeros(len(rows))], axis=1)
        gain = expected_improvement(open_boxes(replay.front, np.ones(3)), losses, spread)
        left = seconds * np.array([world.length(row) - at.get(row, 0) for row in rows])
        row = rows[int((gain / left).argmax())]
        trial = replay.rows.index(row) if row in at else replay.begin(row)
        replay.resumed += row in at
        replay.train(trial, min(world.length(row), STEPS[replay.epochs[trial]]))
    return replay


Found = dict[str, dict[str, list[float]]]
"""Way → number of the search → its hypervolumes at the marks, and how often a trial was resumed."""


def compare(world: World, searches: Mapping[int, Sequence[tuple[int, int]]]) -> Found:
    """Replay each search in every way."""
    found: Found = {}
    for seed, search in searches.items():
        rows, methods = [row for row, _ in search], eight(world.spec, seed)
        base = in_order(world, rows)
        seconds = [base.marks[mark - 1] for mark in MARKS]
        first = list(dict.fromkeys(rows))[: len(methods)]
        ways = {
            "stopped": base,
            "resumed once not dominated": in_order(world, rows, resume="rule"),
            "resumed where it promises more": in_order(world, rows, resume="promise"),
            "freely": freely(world, methods, first, seconds[-1], seed),
        }
        for way, replay in ways.items():
            found.setdefault(way, {})[str(seed)] = [*(replay.volume_at(s) for s in seconds), float(replay.resumed)]
        print(seed, {way: np.round(runs[str(seed)], 4).tolist() for way, runs in found.items()}, flush=True)
    return found


def shown(found: Found) -> str:
    """A Markdown table: means, and differences from the first way, search by search, in 1e-4."""
    base = next(iter(found.values()))
    heads = [f"at the seconds of {mark} trials | difference, × 10⁻⁴" for mark in MARKS]
    lines = [f"| way | {' | '.join(heads)} | resumed |", "|" + "---|" * 6]
    for way, runs in found.items():
        cells = [way]
        for place in range(len(MARKS)):
            cells.append(mean([run[place] for run in runs.values()], 4))
            cells.append(mean([1e4 * (run[place] - base[seed][place]) for seed, run in runs.items()], 0))
        lines.append(f"| {' | '.join(cells)} | {mean([run[-1] for run in runs.values()], 1)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="curves", help="name of the recorded table")
    parser.add_argument("--seeds", type=int, default=32, help="number of searches")
    parser.add_argument("--again", action="store_true", help="show the kept replays of an earlier run once more")
    options = parser.parse_args()
    file = HERE / "results" / f"pausing-{options.table}.json"
    if not options.again:
        kept = json.loads((HERE / "results" / f"portfolio-{options.table}.json").read_text())["ehvi"]
        file.write_text(json.dumps(compare(World(options.table), dict(enumerate(kept[: options.seeds])))))
    print(shown(json.loads(file.read_text())))


if __name__ == "__main__":
    main()

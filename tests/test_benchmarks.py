"""The arithmetic of the benchmarks that decide between rules and samplers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from benchmarks import (
    curves,
    equal_work,
    flat,
    front_noise,
    like,
    per_trial,
    portfolio,
    replay,
    search,
    time_left,
    timing_noise,
)
from benchmarks.fronts import fronts_of
from benchmarks.proposals import Nearest, Visit
from benchmarks.search_replayed import share

from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.results.outlook.pace import seconds_of_trials
from peftsearch.search.forecast import config_of, same_method
from peftsearch.search.pruning import Decision, never
from peftsearch.storage.records import Record
from peftsearch.study.spec import StudySpec, load_study

METHODS = ("probe", "lora", "full")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> StudySpec:
    path = tmp_path_factory.mktemp("study") / "few.yaml"
    path.write_text(
        "name: few\ngoal: g\ndata: {source: wordnet-nouns}\nbackbones: [some/model]\n"
        "training: {epochs: 3, batch_size: 8}\nobjectives: [macro_f1, trainable_parameters, train_seconds]\n"
        "methods: {probe: {}, lora: {}, full: {}}\nsearch: {portfolio: false}\n"
    )
    return load_study(str(path))


@pytest.fixture
def table(spec: StudySpec, monkeypatch: pytest.MonkeyPatch) -> replay.Table:
    """Real configurations with made curves: what costs more is better, so that each method has rows on the front."""
    found = []
    for index in range(60):
        config, params = curves.configuration(spec, index)
        place = METHODS.index(config.method)
        end = 0.5 + 0.1 * place + 0.003 * (index % 17)
        epoch = {"train_loss": 1.0, "validation_loss": 1.0, "evaluation_seconds": 0.1, "accuracy": 0.5}
        epoch |= {"train_seconds": 1.0 + place, "trainable_parameters": 10.0 ** (3 + place)}
        curve = [{**epoch, "macro_f1": end - gap} for gap in (0.2, 0.1, 0.0)]
        found.append({"index": index, "params": params, "config": config.to_dict(), "curve": curve, "failure": None})
    monkeypatch.setattr(replay, "rows", lambda name: json.loads(json.dumps(found)))
    return replay.Table("made")


def stop_at_once(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision:
    return Decision("because")


def test_a_rule_that_never_stops_saves_and_loses_nothing(table: replay.Table) -> None:
    for order in replay.orders(table, seeds=3, methods=3):
        run = replay.replay(table, never, order)
        assert (run.saved, run.lost, run.wrong, run.wrong_within, run.trials) == (0.0, 0.0, 0, 0, 40)
        assert run.volume == pytest.approx(table.volume(order[:40]))


def test_a_rule_that_stops_at_once_stops_the_whole_front(table: replay.Table) -> None:
    order = next(replay.orders(table, seeds=1, methods=3))
    run = replay.replay(table, stop_at_once, order)
    assert run.saved == pytest.approx(2 / 3)
    assert run.lost == 1.0
    fronts = fronts_of(table, every_epoch=False)
    assert run.wrong == len(fronts.front(fronts.reached((place, 3) for place in order[:40]))) >= 3
    assert run.trials == 60, "all rows fit into the epochs of 40 trials"


def test_where_each_epoch_is_a_point_a_stopped_trial_has_reached_its_first(table: replay.Table) -> None:
    order = next(replay.orders(table, seeds=1, methods=3))
    run = replay.replay(table, stop_at_once, order, every_epoch=True)
    fronts = fronts_of(table, every_epoch=True)
    front = fronts.front(fronts.reached((place, 3) for place in order[:40]))
    assert run.wrong == sum(epoch > 1 for _, epoch in front) < len(front)
    assert 0 < run.lost < 1
    assert fronts.front_within(front) <= front
    never_stopped = replay.replay(table, never, order, every_epoch=True)
    assert never_stopped.volume > replay.replay(table, never, order).volume


def test_a_load_makes_the_later_trials_slower(table: replay.Table) -> None:
    seen: dict[int, tuple[float, float]] = {}

    def watch(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> None:
        seen[trial.number] = (trial.curve[0].train_seconds, trial.curve[0].evaluation_seconds)

    order = next(replay.orders(table, seeds=1, methods=3))
    replay.replay(table, watch, order, load=2.0)
    for number, place in enumerate(order[:40]):
        first, times = table.records[place].curve[0], 1 if number < 20 else 2
        assert seen[number] == (times * first.train_seconds, times * first.evaluation_seconds)
    whole = table.records[order[0]]
    assert replay.slowed(whole, 2.0).values["train_seconds"] == 2 * whole.values["train_seconds"]


def test_default_points_come_first_and_every_row_once(table: replay.Table) -> None:
    for order in replay.orders(table, seeds=3, methods=3):
        assert set(order[:3]) == {0, 1, 2}
        assert sorted(order) == list(range(60))


def test_a_table_that_is_too_short_is_refused(table: replay.Table) -> None:
    with pytest.raises(SystemExit, match="a replay takes 40 rows, the table has 20 of"):
        next(replay.orders(table, seeds=1, methods=1))


def test_a_recorded_configuration_is_nearest_to_itself(table: replay.Table, spec: StudySpec) -> None:
    nearest = Nearest(table, spec)
    assert [nearest(record.config) for record in table.records if record.config] == list(range(60))


def test_shares_are_of_runs_with_the_same_seed_and_missing_ways_are_left_open() -> None:
    def run(way: str, seed: int, seconds: float) -> dict[str, Any]:
        told = {"epochs": 3, "macro_f1": 0.7, "processor_seconds": 20.0, "peak_memory_mb": 900.0}
        return {"way": way, "method": "lora", "seed": seed, "train_seconds": seconds, **told}

    runs = [run("peftsearch", 0, 10), run("peftsearch", 1, 30), run("plain", 0, 20), run("plain", 1, 40)]
    row = per_trial.table([*runs, run("plain-bf16", 0, 12.5)]).splitlines()[2]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2:9] == [
        "20.0 (10.0–30.0)",
        "30.0 (20.0–40.0)",
        "0.62 (0.60)",
        "12.5 (12.5–12.5)",
        "0.80",
        "–",
        "– (0.25)",
    ]
    assert cells[9] == "20.0, 20.0, 20.0, –"


def test_a_search_is_compared_with_each_plain_one() -> None:
    def run(way: str, seconds: float, *ended: tuple[float, float]) -> dict[str, Any]:
        trials = [
            {"after": a, "state": "complete", "macro_f1": f, "trainable_parameters": 1e3, "method": "probe"}
            for a, f in ended
        ]
        return {"way": way, "seed": 0, "seconds": seconds, "trials": trials}

    runs = [
        run("plain", 100, (40, 0.4), (90, 0.5)),
        run("plain-bf16", 60, (50, 0.4)),
        run("peftsearch", 30, (6, 0.4), (20, 0.6)),
    ]
    rows = [line.strip("| ").split(" | ") for line in search.table(runs).splitlines()[2:]]
    assert [row[1] for row in rows] == ["plain", "plain-bf16", "peftsearch"]
    assert rows[1][-4:] == ["never", "–", "50 s", "0.83"]
    assert rows[2][-4:] == ["20 s", "0.20", "6 s", "0.10"]


def test_when_a_search_reaches_anothers_hypervolume() -> None:
    def trial(after: float, macro_f1: float, parameters: float) -> dict[str, Any]:
        return {"after": after, "state": "complete", "macro_f1": macro_f1, "trainable_parameters": parameters}

    run = {"trials": [trial(10, 0.5, 1e8), trial(20, 0.5, 1e3), {"after": 25, "state": "pruned"}, trial(30, 1.0, 1e3)]}
    assert [search.volume(run, after) for after in (5, 10, 20, 25)] == [0.0, 0.0, 0.5, 0.5]
    assert search.volume(run) == 1.0
    assert search.reached(run, 0.5) == 20
    assert search.reached(run, 1.1) == np.inf
    plain = [(50.0, 0.2), (100.0, 0.5)]
    assert share([(10.0, 0.4), (25.0, 0.5), (70.0, 0.6)], plain) == 0.25
    assert share([(10.0, 0.4)], plain) == np.inf


@pytest.mark.parametrize(("name", "least"), [("curves", 0.75), ("curves-glosses", 0.75), ("curves-news", 0.55)])
def test_methods_tell_about_how_much_they_compute(name: str, least: float) -> None:
    """What was recorded of a method's trials, in passes, is 0.75 to 1.9 times what it tells.

    In an encoder with three layers the frozen ones save more than their share: 0.60.
    """
    told: dict[str, list[float]] = {}
    took: dict[str, list[float]] = {}
    for record in replay.Table(name).records:
        assert record.config is not None
        method, epochs = record.config.method, record.config.training.epochs
        told.setdefault(method, []).append(ENCODER_METHODS[method].passes(record.config.settings, epochs))
        took.setdefault(method, []).append(record.values["train_seconds"])
    one = float(np.median(took["probe"]))
    ratios = {method: float(np.median(took[method]) / one / np.median(told[method])) for method in told}
    assert ratios["probe"] == 1
    assert len(ratios) == 22
    assert {method: ratio for method, ratio in ratios.items() if not least < ratio < 1.9} == {}


def test_the_time_left_is_read_from_ended_trials_and_starting_points(table: replay.Table) -> None:
    whole = [replay.show(table.records[number], never, [], number) for number in range(9)]
    visits = [Visit(record.number, record) for record in whole]
    found = time_left.so_far(visits, 2, starting=4)
    assert [record.state for record in found] == ["complete"] * 2 + ["waiting"] * 2
    assert len(time_left.so_far(visits, 6, starting=4)) == 6
    assert all(record.starting_point for record in found)
    assert seconds_of_trials(found) == pytest.approx([time_left.seconds(record) for record in whole[:2]])
    assert time_left.mean_of_all(found) == pytest.approx(38 * sum(seconds_of_trials(found)) / 2)


def test_a_tolerance_leaves_off_a_front_what_is_on_it_by_noise(table: replay.Table) -> None:
    random = np.random.default_rng(0)
    for place, record in enumerate(table.records):
        seconds = record.values["train_seconds"] * random.uniform(1, 1.04)
        table.records[place] = replace(record, values={**record.values, "train_seconds": seconds})
    everything = list(range(len(table.records)))
    sizes = {w: len(front_noise.places_on(table, everything, t)) for w, t in front_noise.TOLERANCES.items()}
    assert sizes["none"] > len(METHODS)
    assert set(sizes.values()) - {sizes["none"]} == {len(METHODS)}, "one of each method, which are far apart"


def test_what_is_left_without_drift_is_the_noise_of_trials_that_follow_each_other(table: replay.Table) -> None:
    """Rows that were recorded later took up to twice the seconds. None of them differs otherwise."""
    for place, record in enumerate(table.records):
        seconds = record.values["train_seconds"] * (1 + place / len(table.records))
        table.records[place] = replace(record, values={**record.values, "train_seconds": seconds})
    table.prepare()

    def widest() -> float:
        seconds = [table.records[place].values["train_seconds"] for place in max(table.equal, key=len)]
        return max(seconds) / min(seconds)

    assert widest() > 1.8
    front_noise.without_drift(table)
    assert widest() < 1.2


def test_times_of_equal_work_that_differ_are_noise(table: replay.Table) -> None:
    """Two trials differ in the learning rate. The worse one is on the front since it took half of the seconds."""
    works: dict[str, list[Record]] = {}
    for record in table.records:
        works.setdefault(equal_work.work_of(config_of(record)), []).append(record)
    two = next(group for group in works.values() if len(group) > 1)[:2]
    worse, better = sorted(two, key=lambda record: record.values["macro_f1"])
    values = {**worse.values, "train_seconds": worse.values["train_seconds"] / 2}
    curve = tuple(replace(report, train_seconds=report.train_seconds / 2) for report in worse.curve)
    lucky = replace(worse, values=values, curve=curve)
    objectives = replay.OBJECTIVES
    found = equal_work.noise_in([lucky, better], objectives, every_epoch=False)
    assert (found.trials, found.in_company, found.front, found.front_in_company, found.noise) == (2, 2, 2, 2, 1)
    assert found.apart == pytest.approx([2.0])
    found = equal_work.noise_in([worse, better], objectives, every_epoch=False)
    assert (found.front, found.noise) == (1, 0)
    other = next(record for record in table.records if not same_method(worse, record))
    assert equal_work.noise_in([lucky, other], objectives, every_epoch=False).in_company == 0


def test_a_search_like_another_begins_with_its_front_and_the_best_of_each_method(
    table: replay.Table, spec: StudySpec
) -> None:
    """In the made table a row is the better within its method, the later it comes modulo 17, and costs the same."""
    visits = [Visit(place, replay.show(table.records[place], never, [], place)) for place in range(12)]
    found = like.best_of(visits)
    assert [(config.method, config.settings) for config in found] == [
        (record.config.method, record.config.settings)
        for record in (table.records[11], table.records[10], table.records[9])
        if record.config
    ]
    begun = like.begun_with(spec, found)
    assert [point.method for point in begun.baselines] == ["probe", "full", "lora", "probe", "lora", "full"]
    assert begun.baselines[1].settings == found[0].settings


def test_ratios_of_times_are_of_the_longer_to_the_shorter() -> None:
    assert timing_noise.ratios([(2.0, 1.0), (1.0, 1.5)]) == [2.0, 1.5]
    seconds = {0: [1.0, 1.1], 1: [2.0, 2.0], 3: [2.0, 4.0]}  # by how many other processes there are
    found = {
        others: {method: dict.fromkeys(timing_noise.TIMED, times) for method in timing_noise.METHODS}
        for others, times in seconds.items()
    }
    lines = timing_noise.table(found).splitlines()
    assert "| alone | train_seconds | all | 1.100 | 1.100 | 1.100 | 1.100 | 1.100 | 100% |" in lines
    assert "| beside 1 | train_seconds | lora | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 | 100% |" in lines
    assert "| beside 3 | train_seconds | full | 2.000 | 2.000 | 2.000 | 2.000 | 2.000 | 0% |" in lines
    assert (
        "| one alone, one beside 1 | evaluation_seconds | probe | 1.909 | 2.000 | 2.000 | 2.000 | 2.000 | 0% |" in lines
    )


def test_a_portfolio_begins_with_what_adds_most_and_never_repeats_a_configuration(
    table: replay.Table, spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portfolio, "eight", lambda spec, seed: list(METHODS))
    teacher = portfolio.Teacher(table, spec)
    configs = [record.config for record in table.records if record.config]
    gains = [teacher.gain(config) for config in configs]
    found = portfolio.learnt([teacher], 5)
    assert found[0] in [
        portfolio.entry(config, spec) for config, gain in zip(configs, gains, strict=True) if gain == max(gains)
    ]
    assert len({str(entry) for entry in found}) == 5


def test_equal_work_has_equal_seconds_where_they_are_quiet(
    table: replay.Table, spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [place for place, r in enumerate(table.records) if r.config and r.config.method == "full"]
    curves_of = replay.rows("made")
    for row, factor in zip((curves_of[place] for place in full), (1.0, 1.3) * 10, strict=True):
        for epoch in row["curve"]:
            epoch["train_seconds"] *= factor
    monkeypatch.setattr(replay, "rows", lambda name: curves_of)
    noisy = replay.Table("made")
    assert len(set(noisy.losses[full, 2])) == 2
    assert set(noisy.quiet[full, 2]) == {float(np.median(noisy.losses[full, 2]))}


def test_a_flat_search_ends_where_its_last_trials_added_nothing(
    table: replay.Table,
) -> None:
    order = sorted(range(len(table.records)), key=lambda place: -table.records[place].values["macro_f1"])
    visited = [(order[-1], "complete")] * 8 + [(order[1], "pruned")] * 30 + [(order[0], "complete")] * 2
    run = flat.as_records(table, visited)
    assert [record.starting_point for record in run] == [True] * 8 + [False] * 32
    assert flat.end_of(run) == 8 + flat.WINDOW
    assert flat.end_of(run[:20]) == 20
    assert 0 < flat.forgone(run, 24) == flat.forgone(run, 38)
    assert flat.forgone(run, 39) == 0
    assert flat.best_of(run) - flat.best_of(run[:38]) == pytest.approx(
        table.records[order[0]].values["macro_f1"] - table.records[order[-1]].values["macro_f1"]
    )

"""Machines that bring and remove checkpoints at the same moment, in many orders, some of them killed on the way."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from peftsearch.core.points import Point
from peftsearch.storage.artifacts import place as places
from peftsearch.storage.artifacts.listed import artifacts_of, read_place
from peftsearch.storage.artifacts.shelf import names_of
from peftsearch.storage.kept.front_checkpoints import kept_points
from peftsearch.storage.kept.known_front import known_front
from peftsearch.storage.optuna_access import open_trials, storage_of, trial_id
from peftsearch.storage.records import Record
from tests.helpers.interleaving import Interleaved, Stepping
from tests.helpers.stores import OBJECTIVES, Broken, Machine, machine

DRAWS = 12


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines with the same checkpoints, which the place has got in part: it was away for the others."""
    root = tmp_path_factory.mktemp("begun")
    a = machine(root, f"sqlite:///{root}/trials.db", root / "place", "a")
    assert a.shelf is not None
    a.train(0.5, 0.8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "PATIENCE_SECONDS", 0.0)
        away = Broken(a.shelf.store)
        away.away = True
        a.train(0.9, seconds=2.0)
        a.train(0.3, seconds=0.5)
    storage_of(a.study).remove_session()
    shutil.copytree(root / "a", root / "b")
    return root


def opened(root: Path, name: str) -> Machine:
    """A machine as a process that has just begun sees it."""
    return machine(root, f"sqlite:///{root}/trials.db", root / "place", name)


class Watched:
    """The place as somebody sees it who waits for nothing."""

    def __init__(self, root: Path) -> None:
        self.here = opened(root, "watching")
        place = read_place(self.here.study)
        assert place is not None
        self._folder, self._marker = root / "place", place.marker

    def files(self) -> set[str]:
        return {path.name for path in self._folder.iterdir()} - {self._marker}

    def front(self) -> list[Record]:
        known = known_front(self.here.study, OBJECTIVES)
        stays = kept_points(known, OBJECTIVES)
        return [record for record in known if record.point in stays]

    def reachable(self, without: str = "") -> set[Point]:
        """The points of the front whose weights are there; `without` one of the files."""
        files = self.files() - {without}
        there = {one.point for one in artifacts_of(self.here.study) if one.whole and one.id in files}
        return {record.point for record in self.front() if there.intersection(names_of(record))}


def sweeping(one: Machine) -> Callable[[], None]:
    def process() -> None:
        assert one.shelf is not None
        one.shelf.sweep()

    return process


def training(one: Machine, *scores: float, seconds: float) -> Callable[[], None]:
    return lambda: one.train(*scores, seconds=seconds) and None


@pytest.mark.parametrize("seed", range(DRAWS))
def test_nothing_is_lost_and_nothing_stays_for_ever_in_whatever_order_machines_take_their_steps(
    begun: Path, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    root = Path(shutil.copytree(begun, tmp_path / "work"))
    watched = Watched(root)
    kills = {name: rng.randrange(150) for name in ("a", "b") if rng.random() < 0.3}
    steps = Interleaved(rng, kills)

    def still_reachable(call: str, *args: object) -> None:
        if call == "remove":
            assert watched.reachable() == watched.reachable(without=str(args[0])), "a point needs what is removed"

    processes = {}
    for name in ("a", "b"):
        one = opened(root, name)
        assert one.shelf is not None
        storage = storage_of(one.study)
        storage.wrapped = Stepping(storage.wrapped, steps.step)  # type: ignore[attr-defined]
        one.shelf.store._inner = Stepping(one.shelf.store._inner, steps.step, still_reachable)  # type: ignore[assignment]
        trained = training(one, rng.random(), 0.8 + 0.2 * rng.random(), seconds=rng.choice((0.4, 1.0, 3.0)))
        processes[name] = rng.choice((sweeping(one), sweeping(one), trained))
    steps.run(processes)

    study = watched.here.study
    for trial in open_trials(study):  # as whoever sees that its process was killed
        storage_of(study).set_trial_state_values(trial_id(study, trial.number), TrialState.FAIL)
    for name in ("a", "b", "a"):
        sweeping(opened(root, name))()
    kept = artifacts_of(study)
    assert watched.files() == {one.id for one in kept}
    assert all(one.whole for one in kept)
    assert {one.point for one in kept} <= {name for record in watched.front() for name in names_of(record)}
    assert watched.reachable() == {record.point for record in watched.front()}

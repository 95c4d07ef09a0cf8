"""The arithmetic of the replays that pause trials."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmarks import pausing

from peftsearch.core.front.pareto import hypervolume


@pytest.mark.parametrize("points", [0, 1, 2, 7, 40])
def test_the_sweep_gives_the_hypervolume(points: int) -> None:
    losses = np.random.default_rng(points).random((points, 3)) * 1.1
    losses[::3, 1] = 0.5  # equal values among them
    expected = hypervolume(losses, np.ones(3)) if points else 0.0
    assert pausing.volume_of(losses) == pytest.approx(expected, abs=1e-12)


def test_a_trial_that_goes_on_costs_its_further_epochs_only() -> None:
    world: Any = SimpleNamespace(
        seconds=[np.array([1.0, 2.0, 4.0])],
        points=[np.array([[0.9, 0.5, 0.1], [0.8, 0.5, 0.2], [0.4, 0.5, 0.3]])],
    )
    replay = pausing.Replay(world)
    trial = replay.begin(0)
    replay.train(trial, 1)
    replay.train(trial, 3)
    assert [seconds for seconds, _ in replay.trace] == [0.0, 1.0, 7.0]
    assert replay.volume_at(6.9) == pytest.approx(0.1 * 0.5 * 0.9)
    assert replay.volume_at(7.0) == pytest.approx(hypervolume(world.points[0], np.ones(3)))

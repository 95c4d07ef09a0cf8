"""The arithmetic of what replayed searches reach."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmarks import reached


def made() -> Any:
    """Two rows of two epochs each; the second one has a better end, and a tenth of the parameters."""

    def row(scores: tuple[float, float], parameters: int) -> Any:
        curve = [
            SimpleNamespace(metrics={"macro_f1": score}, trainable_parameters=parameters, train_seconds=5.0)
            for score in scores
        ]
        return SimpleNamespace(curve=curve)

    losses = np.array([[0.5, 1.0, 0.5], [0.1, 0.5, 0.5]])
    records = [row((0.5, 0.4), 100), row((0.7, 0.9), 10)]
    scale = np.zeros(2), np.full(2, 2.0)
    return SimpleNamespace(records=records, losses=losses, quiet=losses - 0.1, scale=scale, equal=[[0, 1]])


def test_trials_that_were_stopped_add_nothing_unless_every_epoch_is_a_point() -> None:
    table = made()
    whole = reached.points_of(table, quiet=False)
    search = json.loads(json.dumps([(1, 1), (1, 2)]))
    assert reached.volumes(whole, search) == pytest.approx([0, 0.9 * 0.5 * 0.5])
    assert reached.volumes(reached.points_of(table, quiet=True), search) == pytest.approx([0, 1.0 * 0.6 * 0.6])


def test_an_epoch_has_the_cost_of_training_until_then() -> None:
    points = reached.points_of(made(), quiet=False, epochs=True)
    one = math.log10(5) / 2
    assert points[1] == pytest.approx(np.array([[0.3, 0.5, one], [0.1, 0.5, 0.5]]))
    assert points[0][:, 0] == pytest.approx([0.5, 0.6])
    after_one, after_two = reached.volumes(points, [(1, 1), (1, 2)])
    assert after_one == pytest.approx(0.7 * 0.5 * (1 - one))
    assert after_two == pytest.approx(after_one + 0.2 * 0.5 * 0.5)


def test_epochs_of_equal_work_have_equal_seconds_where_they_are_quiet() -> None:
    table = made()
    for epoch in table.records[0].curve:
        epoch.train_seconds = 50.0
    noisy, quiet = (reached.points_of(table, quiet=quiet, epochs=True) for quiet in (False, True))
    assert noisy[0][:, 2] - noisy[1][:, 2] == pytest.approx([0.5, 0.5])
    assert quiet[0][:, 2] == pytest.approx(quiet[1][:, 2])
    assert quiet[0][:, 2] == pytest.approx((noisy[0][:, 2] + noisy[1][:, 2]) / 2)


def test_a_search_has_a_volume_from_the_first_trial_that_reaches_it() -> None:
    assert reached.trials_to([0.1, 0.3, 0.3], 0.3) == 2
    assert reached.trials_to([0.1, 0.3, 0.3], 0.4) == math.inf


def test_ways_are_compared_search_by_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached, "MARKS", (1, 2))
    monkeypatch.setattr(reached, "TRIALS", 2)
    found = {"plain": [[0.1, 0.2], [0.3, 0.4]], "better": [[0.25, 0.25], [0.35, 0.39]]}
    assert reached.shown(found, [0.3, 0.5]).splitlines()[2:] == [
        "| plain | 0.2000 ± 0.1000 | 0 ± 0 | 0.3000 ± 0.1000 | 0 ± 0 | 0 % | 2 (2–2) | 0 % | 2 |",
        "| better | 0.3000 ± 0.0500 | 1000 ± 500 | 0.3200 ± 0.0700 | 200 ± 300 | 20 % | 1 (1–over 2) | 50 % | 1 |",
    ]
    assert reached.pairs(found, [("better", "plain")]).splitlines()[2:] == [
        "| better | plain | 1000 ± 500 | 200 ± 300 |"
    ]

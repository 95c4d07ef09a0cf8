"""The steps that are counted are those that the Trainer runs, and their seconds are interpolated."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftsearch.training.batches import PadToLongest, length_grouped_order
from peftsearch.training.retiming.steps import Step, seconds_of, spread, steps_of
from peftsearch.training.rows import TokenRows
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.training.test_trial import config

LENGTHS = np.arange(5, 25)


def test_steps_are_the_batches_that_the_trainer_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By shape, over two epochs with a short last batch, and with micro-batches."""
    collated: list[Any] = []
    collate = PadToLongest.__call__

    def counted(self: PadToLongest, rows: Any) -> Any:
        batch = collate(self, rows)
        collated.append((self, tuple(batch["input_ids"].shape), len(rows)))
        return batch

    monkeypatch.setattr(PadToLongest, "__call__", counted)
    seen: list[TokenRows] = []
    getitem = TokenRows.__getitem__

    def read(self: TokenRows, index: int) -> Any:
        seen.append(self)
        return getitem(self, index)

    monkeypatch.setattr(TokenRows, "__getitem__", read)
    backbone = str(tiny_model(tmp_path / "bert"))
    trial = config(backbone, training={"epochs": 2, "batch_size": 16})
    run_trial(trial, toy_data(train=90), lambda _: None, cache=tmp_path, device="cpu")
    train = next(rows for rows in seen if len(rows) == 90)
    expected: Counter[tuple[int, int]] = Counter()
    for epoch in range(2):
        order = length_grouped_order(train.lengths, 16, trial.training.seed + epoch)
        expected.update(shape for step in steps_of(order, train.lengths, 16, 16) for shape in step.shapes)
    evaluated = {(48, width) for width in range(30)}
    ran = Counter(shape for _, shape, rows in collated if rows <= 16 and shape not in evaluated)
    assert sum(expected.values()) == 12
    # One batch more: on it the gradients are checked before the first step.
    assert ran - expected == Counter({collated[0][1]: 1})
    assert expected - ran == Counter()


def test_a_step_has_the_shapes_of_its_micro_batches() -> None:
    steps = steps_of(np.arange(20), LENGTHS, 8, 4, lambda longest: -(-longest // 8) * 8)
    assert [step.shapes for step in steps] == [((4, 8), (4, 16)), ((4, 16), (4, 24)), ((4, 24),)]
    assert [step.tokens for step in steps] == [96, 160, 96]
    assert steps[1].rows.tolist() == list(range(8, 16))


def test_the_shapes_to_time_span_all_and_lie_where_the_steps_are() -> None:
    steps = [Step(np.arange(2), ((2, width),)) for width in (5, 5, 5, 5, 6, 7, 40)]
    assert [step.tokens for step in spread(steps, 4)] == [10, 12, 80]
    assert [step.tokens for step in spread(steps[:1], 4)] == [10]


def test_seconds_between_the_timed_shapes_are_interpolated() -> None:
    steps = [Step(np.arange(1), ((1, width),)) for width in (10, 15, 20, 40)]
    assert seconds_of(steps, {10: 1.0, 20: 2.0}) == pytest.approx(1.0 + 1.5 + 2.0 + 2.0)

"""When a trial stops early, and what the loss adds up to."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from peftsearch.core.config import EarlyStopping
from peftsearch.core.errors import TrialFailure
from peftsearch.training.loop.callbacks import stops_early
from peftsearch.training.loop.loss import TrainingLoss


@pytest.mark.parametrize(
    ("scores", "stops"),
    [
        ([0.5], False),
        ([0.5, 0.5, 0.5], True),
        ([0.5, 0.6, 0.6, 0.59], True),
        ([0.5, 0.6, 0.6, 0.61], False),
        ([0.9, 0.5, 0.6], True),
    ],
)
def test_patience_of_two(scores: list[float], stops: bool) -> None:
    assert stops_early(scores, EarlyStopping(patience=2)) is stops


def test_gains_below_the_threshold_do_not_count() -> None:
    creeping = [0.5, 0.504, 0.508]
    assert stops_early(creeping, EarlyStopping(patience=2, threshold=0.01))
    assert not stops_early(creeping, EarlyStopping(patience=2, threshold=0.003))


def test_without_early_stopping_nothing_stops() -> None:
    assert not stops_early([0.5] * 20, None)


def outputs(logits: torch.Tensor) -> SimpleNamespace:
    return SimpleNamespace(logits=logits)


def test_micro_batches_add_up_to_the_mean_of_the_batch() -> None:
    logits, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    loss = TrainingLoss()
    parts = [loss(outputs(logits[:4]), labels[:4], 6), loss(outputs(logits[4:]), labels[4:], 6)]
    expected = functional.cross_entropy(logits, labels)
    assert sum(parts) == pytest.approx(expected)
    assert loss.mean() == pytest.approx(float(expected))


def test_evaluation_leaves_the_mean_alone() -> None:
    loss = TrainingLoss()
    with torch.no_grad():
        loss(outputs(torch.randn(2, 3)), torch.tensor([0, 1]))
    assert math.isnan(loss.mean())


def test_one_infinite_loss_is_found_later() -> None:
    loss = TrainingLoss()
    loss(outputs(torch.tensor([[math.inf, 0.0]])), torch.tensor([1]))
    loss(outputs(torch.zeros(1, 2)), torch.tensor([1]))
    with pytest.raises(TrialFailure, match="training loss is"):
        loss.check()

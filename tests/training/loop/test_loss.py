"""The loss is torch's, scikit-learn's weights and the paper's focus; micro-batches add up to the whole batch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from peftsearch.core.config import TrainingConfig
from peftsearch.training.loop.loss import TrainingLoss, balanced_weights, training_loss

TORCH = torch.Generator().manual_seed(0)
LOGITS = torch.randn(12, 3, generator=TORCH)
LABELS = torch.tensor([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2])
WEIGHTS = torch.tensor([0.5, 4 / 3, 4.0])
CPU = torch.device("cpu")


def value(loss: TrainingLoss, logits: torch.Tensor = LOGITS, labels: torch.Tensor = LABELS, **options: Any) -> Any:
    return loss(SimpleNamespace(logits=logits), labels, **options)


def test_weights_are_scikit_learns_and_one_on_average() -> None:
    labels = LABELS.numpy()
    weights = balanced_weights(labels)
    assert weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=labels))
    assert weights[labels].mean() == pytest.approx(1.0)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs_summed_over_the_number_of_rows(weights: torch.Tensor | None, smoothing: float) -> None:
    expected = functional.cross_entropy(LOGITS, LABELS, weights, label_smoothing=smoothing, reduction="sum") / 12
    torch.testing.assert_close(value(TrainingLoss(smoothing, weights)), expected)


def test_over_all_rows_balanced_weights_give_torchs_weighted_mean() -> None:
    loss = training_loss(TrainingConfig(class_weights="balanced"), LABELS.numpy(), CPU)
    torch.testing.assert_close(value(loss), functional.cross_entropy(LOGITS, LABELS, WEIGHTS))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_focal_loss_is_the_papers(gamma: float) -> None:
    p = torch.softmax(LOGITS, -1)[torch.arange(12), LABELS]
    torch.testing.assert_close(value(TrainingLoss(focal_gamma=gamma)), (-((1 - p) ** gamma) * p.log()).mean())
    weighted = (-WEIGHTS[LABELS] * (1 - p) ** gamma * p.log()).mean()
    torch.testing.assert_close(value(TrainingLoss(weights=WEIGHTS, focal_gamma=gamma)), weighted)


def test_without_focus_it_becomes_the_smoothed_and_weighted_cross_entropy() -> None:
    near = value(TrainingLoss(0.1, WEIGHTS, focal_gamma=1e-9))
    torch.testing.assert_close(near, value(TrainingLoss(0.1, WEIGHTS)))


@pytest.mark.parametrize("gamma", [0.1, 0.5, 2.0])
def test_a_row_that_is_surely_right_has_a_finite_gradient(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    value(TrainingLoss(focal_gamma=gamma), logits, torch.tensor([0])).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", [TrainingLoss(), TrainingLoss(0.1, WEIGHTS), TrainingLoss(0.1, WEIGHTS, 2.0)])
def test_micro_batches_add_up_to_the_batch(loss: TrainingLoss) -> None:
    def gradient(sizes: list[int]) -> torch.Tensor:
        logits = LOGITS.clone().requires_grad_()
        for part, labels in zip(logits.split(sizes), LABELS.split(sizes), strict=True):
            value(loss, part, labels, num_items_in_batch=12).backward()
        assert logits.grad is not None
        return logits.grad

    whole = gradient([12])
    for sizes in ([6, 6], [8, 3, 1], [1] * 12):  # the second: each part one class, whose weight must not cancel out
        torch.testing.assert_close(gradient(sizes), whole)


def test_the_running_mean_is_over_rows() -> None:
    loss = TrainingLoss(weights=WEIGHTS)
    logits = LOGITS.clone().requires_grad_()
    for part, labels in zip(logits.split([8, 4]), LABELS.split([8, 4]), strict=True):
        value(loss, part, labels, num_items_in_batch=12)
    assert loss.mean() == pytest.approx(value(TrainingLoss(weights=WEIGHTS)).item())


def test_the_study_decides() -> None:
    labels = LABELS.numpy()
    plain = training_loss(TrainingConfig(), labels, CPU)
    assert (plain.weights, plain.focal_gamma, plain.label_smoothing) == (None, 0.0, 0.0)
    asked = training_loss(TrainingConfig(class_weights="balanced", focal_gamma=2, label_smoothing=0.1), labels, CPU)
    torch.testing.assert_close(asked.weights, WEIGHTS)
    assert (asked.focal_gamma, asked.label_smoothing) == (2, 0.1)

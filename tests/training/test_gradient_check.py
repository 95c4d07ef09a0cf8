"""A model that does not train what it should is caught before it trains."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from peftsearch.training.gradient_check import GradientError, check_gradients
from peftsearch.training.loop.loss import TrainingLoss

BATCH = {"x": torch.randn(4, 5), "labels": torch.tensor([0, 1, 0, 1])}


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(5, 2)
        self.unused = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.used(x))


class LowRank(nn.Module):
    """Like LoRA: B is zero, so A has no gradient in the first step."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 2, bias=False), nn.Linear(2, 2, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.b(self.a(x)))


def test_an_unused_trainable_tensor_is_named() -> None:
    with pytest.raises(GradientError, match=r"^no gradient reaches unused.bias, unused.weight$"):
        check_gradients(Toy(), BATCH, TrainingLoss())


def test_frozen_unused_tensors_are_fine_and_no_gradient_is_left() -> None:
    model = Toy()
    model.unused.requires_grad_(False)
    check_gradients(model, BATCH, TrainingLoss())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_zero_initialised_tensor_hides_none_and_stays_zero() -> None:
    model = LowRank()
    check_gradients(model, BATCH, TrainingLoss())
    assert not model.b.weight.any()


def test_a_tensor_cut_off_for_good_is_found_behind_zeros() -> None:
    model = LowRank()
    forward = model.forward
    model.a.weight.requires_grad_(True)
    model.forward = lambda x: SimpleNamespace(logits=forward(x).logits * 1 + model.b(torch.ones(4, 2)))  # type: ignore[method-assign]
    check_gradients(model, BATCH, TrainingLoss())
    model.forward = lambda x: SimpleNamespace(logits=model.b(model.a(x).detach()))  # type: ignore[method-assign]
    with pytest.raises(GradientError, match=r"^no gradient reaches a.weight$"):
        check_gradients(model, BATCH, TrainingLoss())

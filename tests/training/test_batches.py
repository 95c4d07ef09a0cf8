"""The order of rows, and the padding of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from peftsearch.training.batches import (
    LengthGroupedSampler,
    PadToLongest,
    Row,
    length_grouped_order,
    padding_share,
)

LENGTHS = np.random.default_rng(0).integers(3, 60, size=1037)


def test_every_row_once() -> None:
    order = length_grouped_order(LENGTHS, 16, seed=1)
    assert sorted(order.tolist()) == list(range(len(LENGTHS)))


def test_same_seed_same_order_and_another_each_epoch() -> None:
    sampler = LengthGroupedSampler(LENGTHS, 16, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert second != first


def test_grouping_saves_most_of_the_padding() -> None:
    grouped = padding_share(LENGTHS, length_grouped_order(LENGTHS, 16, seed=1), 16)
    shuffled = padding_share(LENGTHS, np.random.default_rng(1).permutation(len(LENGTHS)), 16)
    assert grouped < shuffled / 4


def test_batches_are_not_in_order_of_length() -> None:
    order = length_grouped_order(LENGTHS, 16, seed=1)
    means = LENGTHS[order[: 64 * 16]].reshape(-1, 16).mean(axis=1)
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


def test_rows_of_the_short_batch_are_drawn_from_all_lengths() -> None:
    lasts = np.concatenate([LENGTHS[length_grouped_order(LENGTHS, 16, seed=seed)[-13:]] for seed in range(20)])
    assert lasts.mean() == pytest.approx(LENGTHS.mean(), rel=0.15)


THREE: Row = ({"input_ids": np.array([5, 6, 7])}, 1)
ONE: Row = ({"input_ids": np.array([8])}, 0)


def test_padding_to_the_longest() -> None:
    batch = PadToLongest(99)([THREE, ONE])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 99, 99]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].dtype == torch.int64
    assert batch["labels"].tolist() == [1, 0]


def test_width_is_rounded_up_for_tensor_cores() -> None:
    assert PadToLongest(0, multiple=8)([THREE])["input_ids"].shape == (1, 8)


@pytest.mark.parametrize(("most", "width"), [(6, 6), (8, 8), (100, 8), (2, 3)])
def test_rounding_never_exceeds_the_most_tokens_of_a_text(most: int, width: int) -> None:
    """The encoder may have no position for more."""
    assert PadToLongest(0, multiple=8, most=most)([THREE])["input_ids"].shape == (1, width)

"""Every pooling reads the real tokens only, whichever side is padded."""

import pytest
import torch

from peftsearch.backbones.poolings import POOLINGS, masked_max

STATES = torch.tensor([[[1.0, 9.0], [5.0, 2.0], [3.0, 4.0], [100.0, -100.0]]])
MASKS = {"right": torch.tensor([[1, 1, 1, 0]]), "left": torch.tensor([[0, 1, 1, 1]])}


@pytest.mark.parametrize(
    ("pooling", "side", "expected"),
    [
        ("cls", "right", [1.0, 9.0]),
        ("cls", "left", [5.0, 2.0]),
        ("mean", "right", [3.0, 5.0]),
        ("mean", "left", [36.0, -94 / 3]),
        ("max", "right", [5.0, 9.0]),
        ("max", "left", [100.0, 4.0]),
        ("last", "right", [3.0, 4.0]),
        ("last", "left", [100.0, -100.0]),
    ],
)
def test_poolings_read_real_tokens_only(pooling, side, expected):
    assert torch.allclose(POOLINGS[pooling](STATES, MASKS[side]), torch.tensor([expected]))


def test_poolings_treat_each_row_by_its_own_mask():
    states, mask = STATES.repeat(2, 1, 1), torch.cat([MASKS["right"], MASKS["left"]])
    for pool in POOLINGS.values():
        apart = torch.cat([pool(STATES, MASKS["right"]), pool(STATES, MASKS["left"])])
        assert torch.equal(pool(states, mask), apart)


def test_max_pooling_stays_finite_in_half_precision():
    assert torch.isfinite(masked_max(STATES.half(), MASKS["right"])).all()

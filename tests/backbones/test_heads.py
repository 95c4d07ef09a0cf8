"""Every head of the table, and what single ones compute."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from peftsearch.backbones.head_modules import LstmHead
from peftsearch.backbones.heads import HEADS, HeadInputs, heads_for_any_encoder
from peftsearch.backbones.loading import load_native, resolve
from peftsearch.backbones.poolings import POOLINGS
from tests.helpers.tiny import WIDTH, tiny_model

MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_native(resolve(str(tiny_model(tmp_path_factory.mktemp("bert")))), 3)


def _logits(head, pooling, model):
    torch.manual_seed(0)
    module = HEADS[head].build(HeadInputs(WIDTH, 3, 0.5, pooling, model)).eval()
    assert {m.p for m in module.modules() if isinstance(m, nn.Dropout)} == {0.5}
    states = torch.arange(2 * 4 * WIDTH).reshape(2, 4, WIDTH).sin()
    return module(BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=states[:, 0]), MASK)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_gives_a_logit_for_each_label_and_reads_the_pooling_if_it_says_so(head, model):
    given = model if HEADS[head].native else None
    found = [_logits(head, pooling, given) for pooling in POOLINGS]
    assert {tuple(logits.shape) for logits in found} == {(2, 3)}
    assert any(not torch.equal(found[0], logits) for logits in found) == HEADS[head].pools


def test_a_message_lists_the_heads_that_any_encoder_can_have():
    assert heads_for_any_encoder() == "linear, mlp or lstm"


@pytest.mark.parametrize(("head", "expected"), [("linear", 768 * 6 + 6), ("mlp", 299_910)])
def test_head_sizes(head, expected):
    module = HEADS[head].build(HeadInputs(768, 6, 0.2, "mean"))
    assert sum(p.numel() for p in module.parameters()) == expected


def test_an_lstm_reads_only_the_real_tokens_wherever_the_padding_is():
    torch.manual_seed(0)
    head = LstmHead(8, 3, 0.5).eval()
    states = torch.randn(1, 4, 8)
    noise = torch.randn(1, 3, 8)
    alone = head(SimpleNamespace(last_hidden_state=states), torch.ones(1, 4))
    right = torch.cat([states, noise], dim=1), torch.tensor([[1, 1, 1, 1, 0, 0, 0]])
    left = torch.cat([noise, states], dim=1), torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    for padded, mask in (right, left):
        assert torch.allclose(head(SimpleNamespace(last_hidden_state=padded), mask), alone, atol=1e-6)
    shuffled = head(SimpleNamespace(last_hidden_state=states.flip(1)), torch.ones(1, 4))
    assert not torch.allclose(shuffled, alone)

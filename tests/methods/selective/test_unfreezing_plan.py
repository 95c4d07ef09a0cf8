"""Plans of unfreezing as a study writes them: what they say, and what is refused."""

from __future__ import annotations

import pytest

from peftsearch.backbones.anatomy import anatomy_of_config
from peftsearch.methods.selective.unfreezing_plan import complaint_about_plan, read_plan

BERT = anatomy_of_config({"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 12})
MAMBA = anatomy_of_config({"model_type": "mamba", "hidden_size": 32, "num_hidden_layers": 2})


def test_layers_and_parts_stand_in_any_mixture():
    assert read_plan("10-11;8-9, rest ;embeddings 3,query; head") == [
        ["10", "11"],
        ["8", "9", "rest"],
        ["embeddings", "3", "query"],
        ["head"],
    ]


@pytest.mark.parametrize("plan", ["0-11; all", "11", "head; rest, embeddings; query key value", "5 7"])
def test_what_can_be_followed(plan):
    assert complaint_about_plan(plan, BERT) is None


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("", 'order: planned needs a plan, like plan: "10-11; 8-11; all"'),
        ("  ", 'order: planned needs a plan, like plan: "10-11; 8-11; all"'),
        ("11; ; all", "a stage of the plan '11; ; all' is empty; write head to train the head alone"),
        ("11; all;", "a stage of the plan '11; all;' is empty; write head to train the head alone"),
        ("10-12; all", "the plan names layer 12, but its layers are 0 to 11"),
        ("11-10", "the plan's layers 11-10 are upside down; write 10-11"),
        ("querry; all", "the plan's 'querry' is neither a layer's number nor a part; did you mean 'query'?"),
        ("8 - 11", "the plan's '-' is neither a layer's number nor a part; "
                   "valid: all, embeddings, head, key, query, rest, value"),
    ],
)  # fmt: skip
def test_what_cannot(plan, message):
    assert complaint_about_plan(plan, BERT) == message


def test_queries_need_attention():
    assert complaint_about_plan("1; query", MAMBA) == "the plan names query, but mamba has no attention"

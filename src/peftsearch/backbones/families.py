"""All that is particular about an architecture of transformers. A new one is one entry in `FAMILIES`.

PEFT's and AdapterHub's own name tables miss some architectures (ModernBERT, DistilBERT, MPNet and ALBERT in PEFT
0.21.2), and `all-linear` breaks on others, so every method takes the modules that it tunes from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Family:
    """The architecture's module names, what its configuration means, and what works on it.

    `layers`, `embeddings` and `tail` are module names from the encoder's root, where `{i}` stands for a layer's number;
    the other names start at the layer. `Wqkv[1/3]` is the second of three blocks of rows in a fused projection.
    """

    layers: str
    feed_forward: tuple[str, ...]
    norms: tuple[str, ...]
    query: str | None = None
    key: str | None = None
    value: str | None = None
    attention_output: str | None = None
    embeddings: tuple[str, ...] = ("embeddings",)
    """The modules before the layers, or shared by all of them; some models may lack one."""
    tail: tuple[str, ...] = ("pooler",)
    """The modules after the layers; some models may lack one."""

    layer_count_keys: tuple[str, ...] = ("num_hidden_layers", "n_layers")
    """The keys of config.json for the number of layers with weights of their own; the first that is present counts."""
    bias_keys: tuple[str, ...] = ("",)
    """The keys of config.json that give modules biases; an absent one counts as true."""
    positions_after_padding: bool = False
    """Whether positions are counted from the padding id + 1, so that as many fewer tokens fit."""
    token_types: bool = False
    """Whether the embeddings tell segments apart by `token_type_ids`."""
    config_changes: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of the configuration to set before the model is built."""

    native_head: bool = True
    """Whether transformers has a sequence classifier of the architecture."""
    pooler_takes_first_state: bool = False
    """Whether the encoder hands its pooler the first state alone, which may be a virtual token's."""
    layers_take_states_alone: bool = False
    """Whether a layer is given nothing but the states before it and what follows from the attention mask.

    The encoder can then resume from stored states of a frozen prefix. DeBERTa's first layer feeds a convolution from
    outside, and ALBERT runs the same layers again and again."""

    peft_prefix_tuning: bool = False
    """Whether PEFT 0.21.2's prefix tuning works on it with transformers 4.57.6.

    DistilBERT, ModernBERT, MPNet, DeBERTa and ALBERT take no cache; RoBERTa, XLM-R and ELECTRA do as bare encoders, but
    not as the sequence classifiers into which adapters are loaded."""
    adapterhub: bool = True
    """Whether AdapterHub 1.3.0 can tune it at all."""
    adapterhub_prefix_tuning: bool = True
    """Whether AdapterHub 1.3.0 has prefix tuning for it."""
    adapterhub_adds_biases: bool = False
    """Whether AdapterHub 1.3.0 adds random biases, which are taken out again where this package adds an adapter."""
    adapterhub_interface: Mapping[str, Any] | None = None
    """The arguments of `adapters.AdapterModelInterface` that describe it to AdapterHub; None if AdapterHub knows it."""


_BERT = Family(
    layers="encoder.layer.{i}",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention_output="attention.output.dense",
    feed_forward=("intermediate.dense", "output.dense"),
    norms=("attention.output.LayerNorm", "output.LayerNorm"),
    embeddings=("embeddings", "embeddings_project"),
    token_types=True,
    layers_take_states_alone=True,
)

_ROBERTA = replace(_BERT, positions_after_padding=True)

FAMILIES: dict[str, Family] = {
    "bert": replace(_BERT, peft_prefix_tuning=True),
    "electra": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "distilbert": Family(
        layers="transformer.layer.{i}",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_output="attention.out_lin",
        feed_forward=("ffn.lin1", "ffn.lin2"),
        norms=("sa_layer_norm", "output_layer_norm"),
        layers_take_states_alone=True,
    ),
    "modernbert": Family(
        layers="layers.{i}",
        query="attn.Wqkv[0/3]",
        key="attn.Wqkv[1/3]",
        value="attn.Wqkv[2/3]",
        attention_output="attn.Wo",
        feed_forward=("mlp.Wi", "mlp.Wo"),
        norms=("attn_norm", "mlp_norm"),
        tail=("final_norm",),
        bias_keys=("attention_bias", "mlp_bias", "norm_bias"),
        # Else it compiles itself for minutes, and again for each length.
        config_changes={"reference_compile": False},
        layers_take_states_alone=True,
        adapterhub_prefix_tuning=False,
        adapterhub_adds_biases=True,
    ),
    "deberta-v2": Family(
        layers="encoder.layer.{i}",
        query="attention.self.query_proj",
        key="attention.self.key_proj",
        value="attention.self.value_proj",
        attention_output="attention.output.dense",
        feed_forward=("intermediate.dense", "output.dense"),
        norms=("attention.output.LayerNorm", "output.LayerNorm"),
        embeddings=("embeddings", "encoder.rel_embeddings", "encoder.LayerNorm", "encoder.conv"),
        token_types=True,
    ),
    "albert": Family(
        layers="encoder.albert_layer_groups.{i}.albert_layers.0",
        query="attention.query",
        key="attention.key",
        value="attention.value",
        attention_output="attention.dense",
        feed_forward=("ffn", "ffn_output"),
        norms=("attention.LayerNorm", "full_layer_layer_norm"),
        embeddings=("embeddings", "encoder.embedding_hidden_mapping_in"),
        token_types=True,
        layer_count_keys=("num_hidden_groups",),
        pooler_takes_first_state=True,
    ),
    "mamba": Family(
        layers="layers.{i}",
        # Its output projection is no target: PEFT refuses it, and the fast kernels read its weights past any module.
        feed_forward=("mixer.in_proj", "mixer.x_proj"),
        norms=("norm",),
        tail=("norm_f",),
        native_head=False,
        adapterhub=False,
    ),
    "mpnet": Family(
        layers="encoder.layer.{i}",
        query="attention.attn.q",
        key="attention.attn.k",
        value="attention.attn.v",
        attention_output="attention.attn.o",
        feed_forward=("intermediate.dense", "output.dense"),
        norms=("attention.LayerNorm", "output.LayerNorm"),
        embeddings=("embeddings", "encoder.relative_attention_bias"),
        positions_after_padding=True,
        layers_take_states_alone=True,
        adapterhub_prefix_tuning=False,
        adapterhub_interface={
            "adapter_methods": ["bottleneck", "reft"],
            "model_embeddings": "embeddings",
            "model_layers": "encoder.layer",
            "layer_self_attn": "attention",
            "layer_cross_attn": None,
            "attn_q_proj": "attn.q",
            "attn_k_proj": "attn.k",
            "attn_v_proj": "attn.v",
            "layer_intermediate_proj": "intermediate.dense",
            # An adapter reads the output of the module named here. In BERT that is what dropout leaves of a projection.
            "attn_o_proj": "dropout",
            "layer_output_proj": "output.dropout",
            "layer_pre_self_attn": "attention",
            "layer_pre_ffn": "intermediate",
            "layer_ln_1": "attention.LayerNorm",
            "layer_ln_2": "output.LayerNorm",
        },
    ),
}
"""A `model_type` of transformers → what is particular about it."""

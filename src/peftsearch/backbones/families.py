"""The names that each architecture of transformers gives its parts. A new one is one entry in `FAMILIES`.

PEFT's and AdapterHub's own name tables miss some architectures (ModernBERT, DistilBERT, MPNet and ALBERT in PEFT
0.21.2), and `all-linear` breaks on others, so every method takes its targets from here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Names from the root (`layers`, `embeddings`, `tail`) or from a layer (the rest).

    `{i}` is a layer's number; `Wqkv[1/3]` the second of three blocks of rows in a fused projection. Names of
    `embeddings` and `tail` may be absent in some models.
    """

    layers: str
    feed_forward: tuple[str, ...]
    norms: tuple[str, ...]
    query: str | None = None
    key: str | None = None
    value: str | None = None
    attention_output: str | None = None
    embeddings: tuple[str, ...] = ("embeddings",)
    tail: tuple[str, ...] = ("pooler",)
    token_types: bool = False
    count: tuple[str, ...] = ("num_hidden_layers", "n_layers")
    """The key of config.json that says how many layers have weights of their own; the first one present."""
    native_head: bool = True
    """Whether transformers has a sequence classifier of the architecture."""
    biases: tuple[str, ...] = ("",)
    """The keys of config.json that give modules biases; one that is absent counts as true."""


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
)

FAMILIES: dict[str, Family] = {
    "bert": _BERT,
    "electra": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "distilbert": Family(
        layers="transformer.layer.{i}",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_output="attention.out_lin",
        feed_forward=("ffn.lin1", "ffn.lin2"),
        norms=("sa_layer_norm", "output_layer_norm"),
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
        biases=("attention_bias", "mlp_bias", "norm_bias"),
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
        count=("num_hidden_groups",),
    ),
    "mamba": Family(
        layers="layers.{i}",
        # Its output projection is no target: PEFT refuses it, and the fast kernels read its weights past any module.
        feed_forward=("mixer.in_proj", "mixer.x_proj"),
        norms=("norm",),
        tail=("norm_f",),
        native_head=False,
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
    ),
}
"""A transformers `model_type` → where its parts are."""

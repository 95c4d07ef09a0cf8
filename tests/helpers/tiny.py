"""Tiny random encoders with a tokenizer, saved as a hub checkpoint would be: no download, loaded in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDTH = 32
ARCHITECTURES = ("bert", "roberta", "distilbert", "modernbert")
"""The four that every method is tested on; `tiny_model` knows a few more."""

WORDS = (
    *("a", "an", "the", "good", "bad", "cat", "dog", "red", "blue", "green", "is", "was", "not", "very"),
    *(f"word{i}" for i in range(40)),
)

VANISHING = "☃"
"""A text of which the `bare` tokenizer of `change_tokenizer` keeps nothing."""

_BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_ROBERTA_LIKE = ("roberta", "xlm-roberta", "mpnet")
_WITH_TOKEN_TYPES = ("bert", "electra", "albert", "deberta-v2")


def tiny_model(
    folder: Path,
    architecture: str = "bert",
    layers: int = 2,
    vocabulary: Sequence[str] | None = None,
    seed: int = 0,
    positions: int = 130,
    **changes: Any,
) -> Path:
    """Save a random encoder of `WIDTH` and a word-level tokenizer over `vocabulary` in `folder`; returns `folder`.

    Args:
        changes: to the model's configuration.
    """
    import torch
    from transformers import AutoModel

    tokenizer = tiny_tokenizer(architecture, vocabulary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(tiny_config(architecture, layers, tokenizer, positions, **changes))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_config(architecture: str, layers: int, tokenizer: Any, positions: int = 130, **changes: Any) -> Any:
    """The configuration of a small model of `architecture`, with the tokenizer's special ids."""
    from transformers import AutoConfig

    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": 2 * WIDTH,
        "max_position_embeddings": positions,
        "initializer_range": 0.1,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    extras: dict[str, dict[str, Any]] = {
        "distilbert": {"dim": WIDTH, "hidden_dim": 2 * WIDTH, "n_layers": layers, "n_heads": 4},
        "modernbert": {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id,
                       "global_attn_every_n_layers": 2, "local_attention": 16, "reference_compile": False},
        "mamba": {"state_size": 4, "time_step_rank": 4},
        "electra": {"embedding_size": 16},
        "albert": {"embedding_size": 16, "num_hidden_groups": 1},
        "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16,
                       "share_att_key": True, "type_vocab_size": 2},
    }  # fmt: skip
    if architecture == "distilbert":
        sizes = {k: sizes[k] for k in ("vocab_size", "max_position_embeddings", "initializer_range", "pad_token_id")}
    return AutoConfig.for_model(architecture, **{**sizes, **extras.get(architecture, {}), **changes})


def tiny_tokenizer(architecture: str = "bert", vocabulary: Sequence[str] | None = None) -> Any:
    """A lower-casing word-level tokenizer with the family's special tokens and pair template."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    roberta = architecture in _ROBERTA_LIKE
    specials = _ROBERTA_SPECIALS if roberta else _BERT_SPECIALS
    cls, pad, sep, unk, mask = specials if roberta else (specials[i] for i in (2, 0, 3, 1, 4))
    words = dict.fromkeys([*specials, *(WORDS if vocabulary is None else vocabulary)])
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=unk))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = _template(cls, sep, words, doubled=roberta)
    names = ["input_ids", "attention_mask"] + ["token_type_ids"] * (architecture in _WITH_TOKEN_TYPES)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=128, model_input_names=names,
        cls_token=cls, pad_token=pad, sep_token=sep, unk_token=unk, mask_token=mask, bos_token=cls, eos_token=sep,
    )  # fmt: skip


def _template(cls: str, sep: str, words: dict[str, None], *, doubled: bool) -> Any:
    from tokenizers.processors import TemplateProcessing

    ids = {word: i for i, word in enumerate(words)}
    pair = f"{cls} $A {sep} {sep} $B {sep}" if doubled else f"{cls} $A {sep} $B:1 {sep}:1"
    return TemplateProcessing(single=f"{cls} $A {sep}", pair=pair, special_tokens=[(cls, ids[cls]), (sep, ids[sep])])


def change_tokenizer(folder: Path, kind: str) -> None:
    """Change the tokenizer in `folder`.

    Args:
        kind: `left` for padding and truncation on the left; `no pad` for no padding token; `bare` for a tokenizer
            without any special token but the one for unknown words.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    known = AutoTokenizer.from_pretrained(folder)
    if kind == "bare":
        words = Tokenizer(models.WordLevel(known.get_vocab(), unk_token=known.unk_token))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        words.normalizer = normalizers.Replace(VANISHING, "")
        known = PreTrainedTokenizerFast(tokenizer_object=words, unk_token=known.unk_token)
    elif kind == "no pad":
        known.pad_token = None
    else:
        known.padding_side = "left"
    known.save_pretrained(folder)
    if kind == "left":
        file = folder / "tokenizer_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "padding_side": "left", "truncation_side": "left"}))

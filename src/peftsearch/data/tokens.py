"""Tokenise a split once and keep it as Arrow, shared by all workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from peftsearch.data.base import TextData
from peftsearch.data.cache import build_once, digest

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

_hashes: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, str]] = WeakKeyDictionary()


def tokenize(data: TextData, split: str, tokenizer: PreTrainedTokenizerBase, max_length: int, cache: Path) -> Dataset:
    """Token ids of one split, truncated to `max_length` (of a pair, its longer text first) and not padded.

    Columns `input_ids`, `token_type_ids` if the tokenizer makes them, `label`, and `length` in tokens. Every token is
    to be attended to, so there is no mask.

    Args:
        cache: made if it is not there; safe for several processes at once.
    """
    from datasets import Dataset

    key = digest(data.fingerprint, split, _content_hash(tokenizer), max_length)
    folder = build_once(
        cache / f"{split}-{key}", lambda target: _write(data.splits[split], tokenizer, max_length, target)
    )
    return Dataset.from_file(str(folder / "tokens.arrow"))


def _write(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, target: Path) -> None:
    from datasets import disable_progress_bars

    def encode(batch: dict[str, Any]) -> dict[str, Any]:
        encoded = tokenizer(
            batch["text"], batch.get("pair"),
            truncation=True, max_length=max_length, padding=False, return_attention_mask=False,
        )  # fmt: skip
        return {**encoded, "length": [len(ids) for ids in encoded["input_ids"]]}

    disable_progress_bars()
    text = [column for column in rows.column_names if column != "label"]
    file = str(target / "tokens.arrow")
    # A fingerprint of its own keeps `map` from pickling the tokenizer to hash it, whose state every call changes.
    rows.map(encode, batched=True, remove_columns=text, cache_file_name=file, new_fingerprint=target.name.strip("."))


def _content_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Equal for tokenizers that make the same ids; once per tokenizer, as a large vocabulary takes half a second."""
    size, known = _hashes.get(tokenizer, (-1, ""))
    if size != len(tokenizer):
        known = digest(_content(tokenizer), tokenizer.model_input_names, tokenizer.truncation_side)
        _hashes[tokenizer] = (len(tokenizer), known)
    return known


def _content(tokenizer: PreTrainedTokenizerBase) -> object:
    if not tokenizer.is_fast:
        return [type(tokenizer).__name__, sorted(tokenizer.get_vocab().items()), str(tokenizer)]
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    # Every call leaves its own padding and truncation in here (tokenizers 0.22).
    return {part: value for part, value in content.items() if part not in ("padding", "truncation")}

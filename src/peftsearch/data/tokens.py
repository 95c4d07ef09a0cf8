"""Tokenises a split once and stores it as an Arrow file, which all workers read."""

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
    """The token ids of one split, truncated to `max_length` (in a pair the longer text first) and not padded.

    Args:
        split: a key of `data.splits`.
        max_length: tokens per text or pair, special tokens included.
        cache: a folder, created if it is not there; several processes may use it at once.

    Returns:
        A row for each text, with the columns `input_ids`, `token_type_ids` if the tokenizer makes them, `label`, and
        `length` in tokens. There is no attention mask, because without padding every token is attended to.
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
    # Without a given fingerprint `map` hashes the pickled tokenizer, whose state changes with every call.
    rows.map(encode, batched=True, remove_columns=text, cache_file_name=file, new_fingerprint=target.name.strip("."))


def _content_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash, equal for tokenizers that make the same ids. It is kept, as a large vocabulary takes half a second."""
    size, known = _hashes.get(tokenizer, (-1, ""))
    if size != len(tokenizer):
        known = digest(_content(tokenizer), tokenizer.model_input_names, tokenizer.truncation_side)
        _hashes[tokenizer] = (len(tokenizer), known)
    return known


def _content(tokenizer: PreTrainedTokenizerBase) -> object:
    if not tokenizer.is_fast:
        return [type(tokenizer).__name__, sorted(tokenizer.get_vocab().items()), str(tokenizer)]
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    # tokenizers 0.22 keeps the padding and truncation of the last call in here.
    return {part: value for part, value in content.items() if part not in ("padding", "truncation")}

"""Makes token ids from texts, for training and prediction alike; a split's are stored once, for all workers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from peftsearch.data.base import TextData
from peftsearch.data.cache import digest, kept_once

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

INPUTS = ("input_ids", "token_type_ids")
"""The columns that a model reads; others that a tokenizer may return are left out."""

ENCODING = 2
"""Part of the cache's key. It is increased when a change of the code gives other tokens for the same text."""

_hashes: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, str]] = WeakKeyDictionary()


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
) -> dict[str, list[list[int]]]:
    """The token ids of texts or pairs, truncated to `max_length` (in a pair the longer text first) and not padded.

    Every row of every split and every text to label is read here. A text of which the tokenizer keeps nothing becomes
    one token: the one for unknown words if there is one, else that for padding.

    Args:
        pairs: the second text of each pair; None for single texts.
        max_length: tokens per text or pair, special tokens included.

    Returns:
        `input_ids`, and `token_type_ids` if the tokenizer makes them, each with one list for each text. There is no
        attention mask, because without padding every token is attended to.
    """
    encoded = tokenizer(
        list(texts), None if pairs is None else list(pairs),
        truncation=True, max_length=max_length, padding=False, return_attention_mask=False,
    )  # fmt: skip
    columns = {name: [list(row) or [0] for row in encoded[name]] for name in INPUTS if name in encoded}
    known = (tokenizer.unk_token_id, tokenizer.pad_token_id)
    nothing = next((number for number in known if number is not None), 0)
    columns["input_ids"] = [list(row) or [nothing] for row in encoded["input_ids"]]
    return columns


def tokenize(data: TextData, split: str, tokenizer: PreTrainedTokenizerBase, max_length: int, cache: Path) -> Dataset:
    """The token ids of one split, as `encode` makes them.

    Args:
        split: a key of `data.splits`.
        max_length: tokens per text or pair, special tokens included.
        cache: a folder, created if it is not there; several processes may use it at once.

    Returns:
        A row for each text, with the columns of `encode`, `label`, and `length` in tokens.
    """
    from datasets import Dataset

    key = digest(ENCODING, data.fingerprint, split, _content_hash(tokenizer), max_length, version("tokenizers"))
    folder = kept_once(
        cache / f"{split}-{key}", lambda target: _write(data.splits[split], tokenizer, max_length, target)
    )
    return Dataset.from_file(str(folder / "tokens.arrow"))


def _write(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, target: Path) -> None:
    from datasets import disable_progress_bars

    def tokens(batch: dict[str, Any]) -> dict[str, Any]:
        columns = encode(tokenizer, batch["text"], batch.get("pair"), max_length)
        return {**columns, "length": [len(ids) for ids in columns["input_ids"]]}

    disable_progress_bars()
    text = [column for column in rows.column_names if column != "label"]
    file = str(target / "tokens.arrow")
    # Without a given fingerprint `map` hashes the pickled tokenizer, whose state changes with every call.
    rows.map(tokens, batched=True, remove_columns=text, cache_file_name=file, new_fingerprint="tokens")


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

"""Checks that a tokenizer named by a study fits a backbone. Loads no torch."""

from __future__ import annotations

import json
from pathlib import Path

from peftsearch.backbones.names import ResolvedModel
from peftsearch.core.errors import UserError, one_line


def vocabulary_size(folder: str) -> int | None:
    """The number of embeddings that the tokenizer in `folder` needs; None if only loading it would tell."""
    path = Path(folder)
    if (path / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        try:
            vocabulary = Tokenizer.from_file(str(path / "tokenizer.json")).get_vocab(with_added_tokens=True)
        except Exception as error:  # tokenizers 0.22 raises nothing narrower
            raise UserError(f"cannot read {path / 'tokenizer.json'}: {one_line(error)}") from error
        return int(max(vocabulary.values())) + 1
    if (path / "vocab.txt").is_file():
        with (path / "vocab.txt").open(encoding="utf-8") as lines:
            return sum(1 for _ in lines)
    if (path / "vocab.json").is_file():
        return int(max(json.loads((path / "vocab.json").read_text(encoding="utf-8")).values())) + 1
    return None


def check_vocabulary(backbone: ResolvedModel, tokenizer: str, size: int | None) -> None:
    """Check that `backbone` has an embedding for each of a tokenizer's `size` ids.

    Raises:
        UserError: it has more ids than the backbone has embeddings.
    """
    embeddings = backbone.config().get("vocab_size")
    if size is not None and embeddings is not None and size > int(embeddings):
        raise UserError(
            f"tokenizer {tokenizer!r} has {size:,} entries, but {backbone.name!r} has embeddings for {embeddings:,}; "
            "choose the tokenizer that it was trained with"
        )

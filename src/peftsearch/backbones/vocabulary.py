"""Checks that a tokenizer fits a backbone. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peftsearch.backbones.names import ResolvedModel
from peftsearch.backbones.safe_config import read_json
from peftsearch.core.errors import UserError, one_line

ADDED, SPECIAL = "added_tokens.json", "special_tokens_map.json"
CONFIG = "tokenizer_config.json"


def vocabulary_size(tokenizer: ResolvedModel) -> int | None:
    """The number of embeddings that a tokenizer needs, as its files tell; None if only loading it would.

    Raises:
        UserError: a file is damaged, or written for a newer version of the tokenizers library.
    """
    name, folder = tokenizer.name, Path(tokenizer.path)
    try:
        vocabulary = _vocabulary(name, folder)
        return max(_with_added(name, folder, vocabulary).values()) + 1 if vocabulary else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"model {name!r}: a tokenizer file in {folder} is damaged; get the files again") from error


def check_vocabulary(backbone: ResolvedModel, tokenizer: str | None, size: int | None) -> None:
    """Check that `backbone` has an embedding for each of a tokenizer's `size` ids.

    Args:
        tokenizer: its name, if it is not the backbone's own.

    Raises:
        UserError: it has more ids than the backbone has embeddings.
    """
    embeddings = backbone.config().get("vocab_size")
    if size is None or not isinstance(embeddings, int) or size <= embeddings:
        return
    if tokenizer is None:
        raise UserError(
            f"model {backbone.name!r}: its tokenizer has {size:,} entries, but it has embeddings for {embeddings:,}; "
            "resize them (resize_token_embeddings) and save the model again, or save the tokenizer it was trained with"
        )
    raise UserError(
        f"tokenizer {tokenizer!r} has {size:,} entries, but {backbone.name!r} has embeddings for {embeddings:,}; "
        "choose the tokenizer that it was trained with"
    )


def _vocabulary(name: str, folder: Path) -> dict[str, int]:
    """The id of each token, with those added to a `tokenizer.json`; empty if none of the files tells."""
    if (folder / "tokenizer.json").is_file():
        return _read_tokenizer(name, folder / "tokenizer.json")
    if (folder / "vocab.txt").is_file():
        with (folder / "vocab.txt").open(encoding="utf-8") as lines:
            return {line.rstrip("\n"): number for number, line in enumerate(lines)}
    if (folder / "vocab.json").is_file():
        return {token: int(number) for token, number in read_json(name, folder / "vocab.json").items()}
    return {}


def _read_tokenizer(name: str, file: Path) -> dict[str, int]:
    from tokenizers import Tokenizer

    written = read_json(name, file)
    try:
        return dict(Tokenizer.from_file(str(file)).get_vocab(with_added_tokens=True))
    except Exception as error:  # tokenizers 0.22 raises nothing narrower
        reason = one_line(error)
        if not isinstance(written.get("model"), dict):
            raise UserError(f"model {name!r}: cannot read {file}: {reason}; get the file again") from error
        raise UserError(
            f"model {name!r}: {file} is damaged or written for a newer version of tokenizers than {_installed()} "
            f"({reason}); update the library, or save the tokenizer again with this version"
        ) from error


def _installed() -> str:
    return version("tokenizers")


def _with_added(name: str, folder: Path, vocabulary: Mapping[str, int]) -> dict[str, int]:
    """The vocabulary with the tokens that transformers adds when it loads the tokenizer."""
    files = {part: read_json(name, folder / part) for part in (ADDED, CONFIG, SPECIAL) if (folder / part).is_file()}
    known = {**vocabulary, **{token: int(number) for token, number in files.get(ADDED, {}).items()}}
    decoder = files.get(CONFIG, {}).get("added_tokens_decoder") or {}
    known |= {str(token["content"]): int(number) for number, token in decoder.items()}
    for part in (CONFIG, SPECIAL):
        for token in _special_tokens(files.get(part, {})):
            known.setdefault(token, max(known.values()) + 1)
    return known


def _special_tokens(written: Mapping[str, Any]) -> Iterator[str]:
    for key, value in written.items():
        if key.endswith("_token") or key == "additional_special_tokens":
            for token in value if isinstance(value, list) else [value]:
                content = token.get("content") if isinstance(token, dict) else token
                if isinstance(content, str):
                    yield content

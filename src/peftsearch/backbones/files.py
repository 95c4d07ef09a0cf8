"""Checks that a model's files are whole, before anything is trained. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from peftsearch.backbones.safe_config import read_json
from peftsearch.core.errors import UserError, one_line

WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"

VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "spm.model")
"""Files that hold a tokenizer's vocabulary; one of them is enough."""

BESIDE = ("merges.txt", "bpe.codes", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""Further files that a tokenizer is read from, where they are."""

POINTER = b"version https://git-lfs"
"""The beginning of a file that git-lfs has left in place of the one that it stands for."""


def weight_files(name: str, folder: Path) -> list[Path]:
    """The safetensors files of the model `name`; those of a model in shards stand beside their index.

    Raises:
        UserError: the index is damaged.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    shards = read_json(name, folder / SHARDS).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(shard, str) for shard in shards.values()):
        raise UserError(f"model {name!r}: {folder / SHARDS} names no files of weights; get the file again")
    return [folder / shard for shard in sorted({Path(shard).name for shard in shards.values()})]


def check_weights(name: str, folder: Path) -> None:
    """Check that each file of weights is there and as long as its header says; no tensor is read.

    Raises:
        UserError: a file is missing, cut short, damaged, or a pointer of git-lfs.
    """
    from safetensors import SafetensorError, safe_open

    for file in weight_files(name, folder):
        check_not_pointer(name, file)
        try:
            with safe_open(file, framework="numpy") as tensors:
                found = any(True for _ in tensors.keys())  # noqa: SIM118 - it is not a mapping
        except (OSError, SafetensorError) as error:
            reason = one_line(error).removeprefix("Error while deserializing header: ")
            raise UserError(f"model {name!r}: {file} is damaged or cut short ({reason}); get the file again") from error
        if not found:
            raise UserError(f"model {name!r}: {file} holds no weights; get the file again")


def check_tokenizer_files(name: str, folder: Path) -> None:
    """Check the files that a tokenizer is read from, as far as their form tells whether they are whole.

    Raises:
        UserError: a file is empty, damaged, or a pointer of git-lfs.
    """
    for file in (folder / part for part in (*VOCABULARIES, *BESIDE) if (folder / part).is_file()):
        check_not_pointer(name, file)
        if file.suffix == ".json":
            read_json(name, file)


def check_not_pointer(name: str, file: Path) -> None:
    """Refuse a vocabulary that is empty, and any file that stands for another one.

    Raises:
        UserError: it is one of these, or cannot be read.
    """
    try:
        with file.open("rb") as opened:
            start = opened.read(len(POINTER))
    except OSError as error:
        raise UserError(f"model {name!r}: cannot read {file}: {one_line(error)}; get the file again") from error
    if start == POINTER:
        raise UserError(f"model {name!r}: {file} is a git-lfs pointer, not the file itself; run git lfs pull")
    if not start and file.name in VOCABULARIES:
        raise UserError(f"model {name!r}: {file} is empty; get the file again")

"""A tokenizer that a study names: which one a trial reads with, and that it fits the backbone."""

from __future__ import annotations

import json

import pytest

from peftsearch.backbones.loading import load_tokenizer, resolve, tokenizer_of
from peftsearch.backbones.vocabulary import vocabulary_size
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from tests.helpers.tiny import WORDS, tiny_model, tiny_tokenizer


@pytest.fixture
def words(tmp_path):
    """A folder with a tokenizer of another order of words, and nothing else."""
    tiny_tokenizer("bert", vocabulary=WORDS[::-1]).save_pretrained(tmp_path / "words")
    return tmp_path / "words"


@pytest.mark.parametrize(
    ("files", "size"),
    [
        ({"vocab.txt": "[PAD]\n[UNK]\nx\u2028y\n"}, 3),
        ({"vocab.json": json.dumps({"a": 0, "b": 7})}, 8),
        ({"spiece.model": "?"}, None),
    ],
)
def test_sizes_by_the_files_that_are_there(tmp_path, files, size):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert vocabulary_size(str(tmp_path)) == size


def test_the_size_counts_added_tokens_and_is_that_of_the_loaded_tokenizer(words):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["[NEW]"])
    tokenizer.save_pretrained(words)
    assert vocabulary_size(str(words)) == len(tokenizer)


def test_a_broken_tokenizer_is_said_in_one_line(words):
    (words / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=f"^cannot read {words / 'tokenizer.json'}: [^\n]+$"):
        vocabulary_size(str(words))


def test_a_trial_reads_with_the_named_tokenizer_or_else_its_backbone_s(tmp_path, words):
    backbone = resolve(str(tiny_model(tmp_path / "model")))
    named = tokenizer_of(TrialConfig(backbone.name, "full", tokenizer=str(words)), backbone)
    own = tokenizer_of(TrialConfig(backbone.name, "full"), backbone)
    assert own.get_vocab() == load_tokenizer(backbone).get_vocab()
    assert named.get_vocab() != own.get_vocab()
    assert sorted(named.get_vocab()) == sorted(own.get_vocab())


def test_a_vocabulary_larger_than_the_embeddings_is_refused(tmp_path, words):
    backbone = resolve(str(tiny_model(tmp_path / "model", vocabulary=["good", "bad"])))
    with pytest.raises(UserError) as error:
        tokenizer_of(TrialConfig(backbone.name, "full", tokenizer=str(words)), backbone)
    assert str(error.value) == (
        f"tokenizer {str(words)!r} has 59 entries, but {backbone.name!r} has embeddings for 7; "
        "choose the tokenizer that it was trained with"
    )

"""A tokenizer that a study names: which one a trial reads with, and that it fits the backbone."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from peftsearch.backbones.loading import ResolvedModel, load_tokenizer, resolve, tokenizer_of
from peftsearch.backbones.vocabulary import vocabulary_size
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from tests.helpers.tiny import WORDS, tiny_model, tiny_tokenizer


def found(folder):
    return ResolvedModel("words", str(folder), "folder")


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
    assert vocabulary_size(found(tmp_path)) == size


def test_the_size_counts_added_tokens_and_is_that_of_the_loaded_tokenizer(words):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["[NEW]"])
    tokenizer.save_pretrained(words)
    assert vocabulary_size(found(words)) == len(tokenizer)


def test_a_broken_tokenizer_is_said_in_one_line(words):
    (words / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError) as error:
        vocabulary_size(found(words))
    reason = "Model missing. at line 1 column 2"
    assert str(error.value) == f"model 'words': cannot read {words / 'tokenizer.json'}: {reason}; get the file again"


def _added(file, **keys):
    def change(folder):
        known = json.loads((folder / file).read_text()) if (folder / file).is_file() else {}
        (folder / file).write_text(json.dumps({**known, **keys}))

    return change


@pytest.mark.parametrize(
    "change",
    [
        _added("tokenizer.json", version="2.0"),
        _added("tokenizer.json", model={"type": "Novel"}),
        _added("tokenizer.json", pre_tokenizer={"type": "Novel"}),
    ],
)
def test_a_newer_tokenizer_is_called_so(words, change):
    change(words)
    with pytest.raises(UserError) as error:
        vocabulary_size(found(words))
    start = f"model 'words': {words / 'tokenizer.json'} is damaged or written for a newer version of tokenizers than "
    assert str(error.value).startswith(start + version("tokenizers"))
    assert str(error.value).endswith("; update the library, or save the tokenizer again with this version")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: None,
        _added("added_tokens.json", new=70),
        _added("tokenizer_config.json", pad_token="[NEW]"),
        _added("tokenizer_config.json", pad_token=None, eos_token={"content": "<new>", "__type": "AddedToken"}),
        _added("special_tokens_map.json", additional_special_tokens=["<a>", "<b>", "[CLS]"]),
        _added("tokenizer_config.json", additional_special_tokens=["<a>", "<b>", "[CLS]"]),
        _added("tokenizer_config.json", added_tokens_decoder={"59": {"content": "new", "special": False}}),
    ],
)
def test_no_size_is_less_than_that_of_the_loaded_tokenizer(words, change):
    change(words)
    loaded = load_tokenizer(found(words))
    assert vocabulary_size(found(words)) >= max(loaded.get_vocab().values()) + 1


@pytest.mark.parametrize(
    "change",
    [
        _added("added_tokens.json", new="x"),
        _added("tokenizer_config.json", added_tokens_decoder={"x": {"content": "new"}}),
        _added("tokenizer_config.json", added_tokens_decoder=[3]),
        lambda folder: (folder / "special_tokens_map.json").write_text("[]"),
    ],
)
def test_odd_files_are_said_in_one_line(words, change):
    change(words)
    with pytest.raises(UserError, match=r"^model 'words': [^\n]+ again$"):
        vocabulary_size(found(words))


def test_a_trial_reads_with_the_named_tokenizer_or_else_its_backbone_s(tmp_path, words):
    backbone = resolve(str(tiny_model(tmp_path / "model")))
    named = tokenizer_of(TrialConfig(backbone.name, "full", tokenizer=str(words)), backbone)
    own = tokenizer_of(TrialConfig(backbone.name, "full"), backbone)
    assert own.get_vocab() == load_tokenizer(backbone).get_vocab()
    assert named.get_vocab() != own.get_vocab()
    assert sorted(named.get_vocab()) == sorted(own.get_vocab())


def test_an_own_vocabulary_larger_than_the_embeddings_is_refused(tmp_path):
    backbone = resolve(str(tiny_model(tmp_path)))
    tokenizer = load_tokenizer(backbone)
    tokenizer.add_tokens(["superword"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError) as error:
        tokenizer_of(TrialConfig(backbone.name, "full"), backbone)
    assert str(error.value) == (
        f"model {str(tmp_path)!r}: its tokenizer has 60 entries, but it has embeddings for 59; "
        "resize them (resize_token_embeddings) and save the model again, or save the tokenizer it was trained with"
    )


def test_a_vocabulary_larger_than_the_embeddings_is_refused(tmp_path, words):
    backbone = resolve(str(tiny_model(tmp_path / "model", vocabulary=["good", "bad"])))
    with pytest.raises(UserError) as error:
        tokenizer_of(TrialConfig(backbone.name, "full", tokenizer=str(words)), backbone)
    assert str(error.value) == (
        f"tokenizer {str(words)!r} has 59 entries, but {backbone.name!r} has embeddings for 7; "
        "choose the tokenizer that it was trained with"
    )

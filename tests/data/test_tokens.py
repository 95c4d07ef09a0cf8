from pathlib import Path

import pytest

from peftsearch.backbones.loading import load_tokenizer, resolve
from peftsearch.data.tokens import encode, tokenize
from tests.helpers.files import json_lines, prepare, rows
from tests.helpers.tiny import VANISHING, change_tokenizer, tiny_model, tiny_tokenizer

VOCABULARY = ("cat", "dog", "sun", "number", *map(str, range(100)))


@pytest.fixture
def data(tmp_path: Path):  # type: ignore[no-untyped-def]
    json_lines(tmp_path / "a.jsonl", rows(60))
    return prepare(tmp_path, "a.jsonl")


def test_ids_are_truncated_and_not_padded(data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tokenizer = tiny_tokenizer("bert", VOCABULARY)
    tokens = tokenize(data, "train", tokenizer, 16, tmp_path / "tokens")
    assert set(tokens.column_names) == {"input_ids", "token_type_ids", "label", "length"}
    assert tokens["label"][:] == data.splits["train"]["label"][:]
    assert tokenizer.decode(tokens[0]["input_ids"], skip_special_tokens=True) == data.splits["train"][0]["text"]
    assert set(tokens["length"]) == {5}
    short = tokenize(data, "train", tokenizer, 4, tmp_path / "tokens")
    assert set(short["length"]) == {4} == {len(row) for row in short["input_ids"]}


def test_a_tokenizer_without_token_types_makes_none(data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tokens = tokenize(data, "train", tiny_tokenizer("roberta", VOCABULARY), 16, tmp_path)
    assert set(tokens.column_names) == {"input_ids", "label", "length"}


def test_pairs_are_told_apart_by_their_types(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", [{"one": "cat", "two": f"dog {i}", "label": i % 2} for i in range(40)])
    data = prepare(tmp_path, "a.jsonl", text=["one", "two"])
    tokens = tokenize(data, "train", tiny_tokenizer("bert", VOCABULARY), 16, tmp_path / "tokens")
    assert tokens[0]["token_type_ids"] == [0, 0, 0, 1, 1, 1]


def test_tokenised_once_for_all_tokenizers_of_the_same_content(
    data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    cache = tmp_path / "tokens"
    first = tokenize(data, "train", tiny_tokenizer("bert", VOCABULARY), 16, cache)
    used = tiny_tokenizer("bert", VOCABULARY)
    used("cat dog", truncation=True, max_length=3, padding="max_length")  # leaves its mark in the fast tokenizer
    monkeypatch.setattr("peftsearch.data.tokens._write", lambda *_: pytest.fail("tokenised twice"))
    assert tokenize(data, "train", used, 16, cache)["input_ids"][:] == first["input_ids"][:]


def test_another_vocabulary_length_or_split_is_kept_apart(data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tokenizer, other = tiny_tokenizer("bert", VOCABULARY), tiny_tokenizer("bert", VOCABULARY[::-1])
    made = [
        tokenize(data, split, words, length, tmp_path)["input_ids"][:]
        for split, words, length in [
            ("train", tokenizer, 16),
            ("test", tokenizer, 16),
            ("train", other, 16),
            ("train", tokenizer, 4),
        ]
    ]
    assert all(a != b for i, a in enumerate(made) for b in made[:i])


@pytest.mark.parametrize("pair", [False, True])
def test_a_text_of_which_nothing_is_kept_is_one_unknown_token(tmp_path: Path, pair: bool) -> None:
    tiny_model(tmp_path)
    change_tokenizer(tmp_path, "bare")
    tokenizer = load_tokenizer(resolve(str(tmp_path)))
    texts, pairs = [VANISHING, "cat dog"], [VANISHING, "the"] if pair else None
    columns = encode(tokenizer, texts, pairs, 16)
    words = tokenizer.get_vocab()
    assert columns["input_ids"][0] == [tokenizer.unk_token_id]
    assert columns["input_ids"][1] == [words["cat"], words["dog"], *([words["the"]] if pair else [])]
    assert [len(row) for row in columns["token_type_ids"]] == [len(row) for row in columns["input_ids"]]


def test_a_tokenizer_that_grows_is_another(data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tokenizer = tiny_tokenizer("bert", VOCABULARY[:3])
    before = tokenize(data, "train", tokenizer, 16, tmp_path)["input_ids"][:]
    tokenizer.add_tokens(["number"])
    assert tokenize(data, "train", tokenizer, 16, tmp_path)["input_ids"][:] != before


def test_the_test_split_is_tokenised_only_when_asked(data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tokenize(data, "train", tiny_tokenizer("bert", VOCABULARY), 16, tmp_path / "tokens")
    assert [path.name.split("-")[0] for path in (tmp_path / "tokens").iterdir() if path.is_dir()] == ["train"]


def test_a_call_still_changes_what_a_fast_tokenizer_says_of_itself() -> None:
    """Once this fails, `tokens._content` may hash the whole of it (tokenizers 0.22)."""
    tokenizer = tiny_tokenizer("bert", VOCABULARY)
    before = tokenizer.backend_tokenizer.to_str()
    tokenizer("cat", truncation=True, max_length=3)
    assert tokenizer.backend_tokenizer.to_str() != before

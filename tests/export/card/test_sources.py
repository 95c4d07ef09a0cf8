"""What a model card calls its data."""

from __future__ import annotations

from typing import Any

import pytest

from peftsearch.export.card.sources import hub_data_set, source_in_words


@pytest.mark.parametrize(
    ("source", "words", "hub"),
    [
        ("/home/ann/secret project/rows.csv", "rows.csv", None),
        ("../data/rows.csv.gz", "rows.csv.gz", None),
        ("~/texts/", "texts", None),
        (r"C:\Users\ann\rows.csv", "rows.csv", None),
        ("file:/home/ann/rows.csv", "rows.csv", None),
        ("file:///home/ann/rows.csv", "rows.csv", None),
        ("zip://a/rows.csv::/home/ann/rows.zip", "zip://a/rows.csv::rows.zip", None),
        ("hub:/home/ann/emotion", "emotion", None),
        ("hub:./emotion", "emotion", None),
        ("hub:ag_news", "hub:ag_news", "ag_news"),
        ("hub:dair-ai/emotion", "hub:dair-ai/emotion", "dair-ai/emotion"),
        ("hf://datasets/blinoff/kinopoisk/k.jsonl", "hf://datasets/blinoff/kinopoisk/k.jsonl", "blinoff/kinopoisk"),
        ("package:peftsearch/resources/wordnet-nouns", "package:peftsearch/resources/wordnet-nouns", None),
        ("https://ann:pass@host/rows.csv?sig=abc", "https://ann:***@host/rows.csv?sig=***", None),
        ({"train": "/home/ann/a.csv", "test": "hub:x/y"}, "train: a.csv, test: hub:x/y", None),
        ({"train": "hub:x/y"}, "hub:x/y", "x/y"),
        ("/", "files", None),
        (None, "not recorded", None),
    ],
)  # fmt: skip
def test_names_without_places_and_secrets(source: Any, words: str, hub: str | None) -> None:
    assert source_in_words(source) == words
    assert hub_data_set(source) == hub

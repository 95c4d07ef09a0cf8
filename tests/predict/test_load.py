"""Labelling from Python: one text or many, in the order given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from peftsearch.core.errors import UserError
from peftsearch.predict.load import WINDOW_BATCHES
from tests.helpers.labelling import lengths_classifier


@pytest.mark.parametrize("text", ["a text", {"text": "a text"}, ["a text"]])
def test_one_text_is_one_text_and_not_its_letters(text: Any) -> None:
    (answer,) = lengths_classifier().predict(text)
    assert answer == {"label": "short", "probability": 0.94, "probabilities": {"long": 0.06, "short": 0.94}}


def test_a_string_is_no_pair() -> None:
    with pytest.raises(UserError, match="this classifier labels pairs of texts; got 'ab'"):
        lengths_classifier("one", "two").predict("ab")


@pytest.mark.parametrize("blank", ["", " \n\t", {"text": None}])
def test_a_blank_text_is_an_error_that_names_its_place(blank: Any) -> None:
    for label in (lengths_classifier().predict, lambda rows: list(lengths_classifier().predict_iter(rows))):
        with pytest.raises(UserError) as caught:
            label(["a", blank, "b"])
        assert str(caught.value) == "text 2 is blank; leave it out"


def test_a_stream_is_read_a_window_at_a_time() -> None:
    lengths = [place * 7 % 50 + 1 for place in range(2 * WINDOW_BATCHES * 3 + 1)]
    taken: list[int] = []

    def texts() -> Iterator[str]:
        for length in lengths:
            taken.append(length)
            yield "x" * length

    found = lengths_classifier()
    answers = found.predict_iter(texts(), batch_size=3)
    first = next(answers)
    assert len(taken) == WINDOW_BATCHES * 3, "the whole stream was read before the first answer"
    assert [answer["probabilities"]["long"] for answer in (first, *answers)] == [length / 100 for length in lengths]
    assert sum(max(b) - min(b) for b in found.batches) < 2 * len(found.batches), "batches mix short and long texts"


def test_a_stream_tells_the_place_of_a_blank_text_from_its_start() -> None:
    place = 2 * WINDOW_BATCHES + 5
    with pytest.raises(UserError, match=f"^text {place} is blank"):
        list(lengths_classifier().predict_iter(["x"] * (place - 1) + [""], batch_size=2))

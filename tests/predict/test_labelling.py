"""Labelling from Python: one text or many, in the order given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.predict.input import InputTexts
from peftsearch.predict.load import WINDOW_BATCHES, LoadedClassifier


@dataclass(frozen=True)
class Lengths(LoadedClassifier):
    """Answers `long` with a probability that is the length of the text in hundredths."""

    batches: list[list[int]] = field(default_factory=list)

    def _probabilities(self, texts: Sequence[tuple[str, ...]]) -> Iterator[list[float]]:
        lengths = [sum(map(len, text)) for text in texts]
        self.batches.append(lengths)
        return iter([[length / 100, 1 - length / 100] for length in lengths])


def classifier(*columns: str) -> Lengths:
    return Lengths(("long", "short"), TrialConfig("full", "b", {}), InputTexts(columns or ("text",)))


@pytest.mark.parametrize("text", ["a text", {"text": "a text"}, ["a text"]])
def test_one_text_is_one_text_and_not_its_letters(text: Any) -> None:
    (answer,) = classifier().predict(text)
    assert answer == {"label": "short", "probability": 0.94, "probabilities": {"long": 0.06, "short": 0.94}}


def test_a_string_is_no_pair() -> None:
    with pytest.raises(UserError, match="this classifier labels pairs of texts; got 'ab'"):
        classifier("one", "two").predict("ab")


@pytest.mark.parametrize("blank", ["", " \n\t", {"text": None}])
def test_a_blank_text_is_an_error_that_names_its_place(blank: Any) -> None:
    for label in (classifier().predict, lambda rows: list(classifier().predict_iter(rows))):
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

    found = classifier()
    answers = found.predict_iter(texts(), batch_size=3)
    first = next(answers)
    assert len(taken) == WINDOW_BATCHES * 3, "the whole stream was read before the first answer"
    assert [answer["probabilities"]["long"] for answer in (first, *answers)] == [length / 100 for length in lengths]
    assert sum(max(b) - min(b) for b in found.batches) < 2 * len(found.batches), "batches mix short and long texts"


def test_a_stream_tells_the_place_of_a_blank_text_from_its_start() -> None:
    place = 2 * WINDOW_BATCHES + 5
    with pytest.raises(UserError, match=f"^text {place} is blank"):
        list(classifier().predict_iter(["x"] * (place - 1) + [""], batch_size=2))

"""The piece of work by which devices are compared is the same each time, and is timed as trials are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch

from peftsearch.backbones.classifier import Classifier
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import Interrupted, TrialFailure
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.training import calibration
from peftsearch.training.calibration import encoder_seconds_are, text_seconds_are, time_encoder, time_texts
from peftsearch.training.meter import Seconds
from peftsearch.training.retiming import stopwatch
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.training.test_text_trial import SETTINGS
from tests.training.test_trial import config

DATA = toy_data(train=90)
BATCH = 16


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("bert")))


class Work:
    """A clock that shows the tokens passed forward so far, three times as many where gradients follow; the wall clock
    shows twice as many.

    Attributes:
        batches: the rows of each forward pass.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most_rows: int = BATCH) -> None:
        self.done, self.batches = 0.0, list[int]()
        for module in (stopwatch, calibration):
            monkeypatch.setattr(module, "clock", lambda device: Seconds(self.done, 2 * self.done))
        forward = Classifier.forward

        @wraps(forward)
        def counted(classifier: Classifier, **inputs: Any) -> Any:
            ids = inputs["input_ids"]
            if len(ids) > most_rows:
                raise MemoryError
            self.batches.append(len(ids))
            self.done += ids.numel() * (3 if torch.is_grad_enabled() else 1)
            return forward(classifier, **inputs)

        monkeypatch.setattr(Classifier, "forward", counted)


def test_a_step_and_a_pass_are_of_the_same_rows_each_time(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    step, forward, whole = found = time_encoder(config(backbone), DATA, cache=tmp_path, device="cpu")
    assert step == 3 * forward
    assert whole == 2 * forward * len(DATA.splits["train"]) / BATCH, "its rows are in the middle by their tokens"
    assert set(work.batches) == {BATCH}, "a batch of the epoch's last rows is smaller"
    assert BATCH * 5 <= forward <= BATCH * 14, "texts have 3 to 12 words, and two tokens around them"
    assert found == time_encoder(config(backbone), DATA, cache=tmp_path, device="cpu")


def test_where_memory_is_short_the_batch_is_divided(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as short:
        work = Work(short, most_rows=4)
        assert min(time_encoder(config(backbone), DATA, cache=tmp_path, device="cpu")) > 0
        assert max(work.batches) == 4
    Work(monkeypatch, most_rows=0)
    with pytest.raises(TrialFailure, match="one row does not fit"):
        time_encoder(config(backbone), DATA, cache=tmp_path, device="cpu")


def test_of_long_texts_fewer_rows_are_timed(backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch)
    monkeypatch.setattr(calibration, "MOST_TOKENS", 60)
    _, forward, whole = time_encoder(config(backbone), DATA, cache=tmp_path, device="cpu")
    assert forward <= 60
    assert whole == 2 * forward * len(DATA.splits["train"]) / work.batches[0]
    assert 60 / 14 - 1 < work.batches[0] < BATCH


def asked(times: int) -> Iterator[bool]:
    yield from [False] * times
    while True:
        yield True


@pytest.mark.parametrize("times", [2, 8])
def test_it_can_be_interrupted_in_its_steps_and_in_its_passes(backbone: str, tmp_path: Path, times: int) -> None:
    answers = asked(times)
    with pytest.raises(Interrupted, match="timed" if times > 6 else "measured again"):
        time_encoder(config(backbone), DATA, cache=tmp_path, device="cpu", should_stop=lambda: next(answers))
    with pytest.raises(Interrupted):
        time_texts(TEXT_METHODS["tfidf"], SETTINGS, DATA, should_stop=lambda: True)


def test_texts_are_timed_where_there_is_no_encoder() -> None:
    fit, label, whole = time_texts(TEXT_METHODS["tfidf"], SETTINGS, DATA)
    assert fit > 0
    assert label > 0
    assert whole == 0


@pytest.mark.parametrize("exact", [False, True])
def test_the_kind_is_the_one_that_trials_have(backbone: str, tmp_path: Path, exact: bool) -> None:
    ways = ((config(backbone, "probe"), encoder_seconds_are("cpu", exact=exact)),)
    text = TrialConfig("none", "tfidf", SETTINGS)
    for trial, kind in (*ways, (text, text_seconds_are(exact=exact))):
        measured = run_trial(trial, DATA, lambda _: None, cache=tmp_path, device="cpu", exact=exact).measurement
        assert measured.timed_in == kind


def test_a_gpu_is_a_kind_by_its_name_and_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA A10G")
    assert encoder_seconds_are("cuda", exact=False) == "seconds by the wall clock on NVIDIA A10G"

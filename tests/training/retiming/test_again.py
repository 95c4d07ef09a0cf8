"""What is measured again is what the whole trial took, on a clock that shows what was computed."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState

from peftsearch.backbones.classifier import Classifier
from peftsearch.core.errors import Interrupted
from peftsearch.core.measurement import Measurement
from peftsearch.training.loop import callbacks, trainer
from peftsearch.training.meter import Seconds
from peftsearch.training.prefix_cache import states
from peftsearch.training.retiming import stopwatch
from peftsearch.training.retiming.again import epoch_seconds
from peftsearch.training.retiming.stopwatch import StepClock
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.training.test_trial import config

DATA = toy_data(train=240)
TIMED = ("full", "probe", "frozen", "unfreezing", "lora", "adalora")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("bert")))


class Work:
    """A clock that shows the tokens passed forward so far, each as often as there are trainable tensors in training."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done = 0.0
        for module in (callbacks, trainer, states, stopwatch):
            monkeypatch.setattr(module, "clock", lambda device: Seconds(self.done, self.done))
        for name in ("forward", "prefix_states"):
            monkeypatch.setattr(Classifier, name, self._counted(getattr(Classifier, name)))

    def _counted(self, method: Any) -> Any:
        @wraps(method)
        def counted(classifier: Classifier, *args: Any, **inputs: Any) -> Any:
            trained = sum(p.requires_grad for p in classifier.parameters()) if torch.is_grad_enabled() else 0
            self.done += inputs["input_ids"].numel() * (1 + trained)
            return method(classifier, *args, **inputs)

        return counted


def trained(work: Any, tmp_path: Path, data: Any = DATA) -> Measurement:
    return run_trial(work, data, lambda _: None, cache=tmp_path, device="cpu").measurement


@pytest.mark.parametrize("method", TIMED)
def test_all_steps_and_the_pass_through_the_frozen_layers_are_counted(
    method: str, backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    trial = config(backbone, method)
    measured = trained(trial, tmp_path)
    before = work.done
    found = epoch_seconds(trial, DATA, measured, measured.epochs, cache=tmp_path, device="cpu")
    assert len(found) == measured.epochs == 3
    assert sum(found) == pytest.approx(measured.train_seconds, rel=1e-6)
    assert (found[0] > found[1]) == bool(measured.prefix_seconds)
    assert before > 0


def test_short_batches_and_micro_batches_are_counted(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Work(monkeypatch)
    data, trial = toy_data(train=90), config(backbone)
    measured = trained(trial, tmp_path, data)
    for micro in (16, 4):
        again = Measurement(**{**vars(measured), "micro_batch_size": micro})
        found = epoch_seconds(trial, data, again, measured.epochs, cache=tmp_path, device="cpu")
        assert sum(found) == pytest.approx(measured.train_seconds, rel=0.1)


def test_fewer_rows_than_a_batch_are_one_step(backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Work(monkeypatch)
    data, trial = toy_data(train=12), config(backbone)
    measured = trained(trial, tmp_path, data)
    found = epoch_seconds(trial, data, measured, measured.epochs, cache=tmp_path, device="cpu")
    assert sum(found) == pytest.approx(measured.train_seconds)


def test_it_stops_when_asked(backbone: str, tmp_path: Path) -> None:
    trial = config(backbone)
    measured = trained(trial, tmp_path)
    with pytest.raises(Interrupted):
        epoch_seconds(trial, DATA, measured, 3, cache=tmp_path, device="cpu", should_stop=lambda: True)


def test_processor_seconds_are_near_those_of_the_whole_trial(backbone: str, tmp_path: Path) -> None:
    """Within half and twice: steps of a tiny model take milliseconds, and `benchmarks.retiming` measures real ones."""
    trial = config(backbone, training={"epochs": 6})
    measured = trained(trial, tmp_path)
    found = epoch_seconds(trial, DATA, measured, measured.epochs, cache=tmp_path, device="cpu")
    assert measured.train_seconds / 2 < sum(found) < 2 * measured.train_seconds


def test_a_gpu_has_finished_each_step_before_the_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    gpu: Any = SimpleNamespace(device=torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: events.append("finished"))
    steps, state, control = StepClock([0, 2], lambda: False), TrainerState(), TrainerControl()
    for epoch, ends in enumerate((False, True, False)):
        steps.on_epoch_begin(gpu, state, control)
        control.should_epoch_stop = False
        for _ in range(1 if ends else 3):
            events.append("step")
            steps.on_step_end(gpu, state, control)
        assert control.should_epoch_stop == ends
        control.should_evaluate = True  # as transformers' own callback has it at the end of each epoch
        steps.on_epoch_end(gpu, state, control)
        assert (control.should_evaluate, control.should_training_stop) == (False, epoch == 2)
    assert {epoch: len(seconds) for epoch, seconds in steps.seconds.items()} == {0: 3, 2: 3}
    places = [place for place, event in enumerate(events) if event == "step"]
    assert all(events[place - 1] == events[place + 1] == "finished" for place in places)

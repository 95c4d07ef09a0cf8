"""The most exact number format that no other clearly beats is taken; what was measured is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from peftsearch.backbones.loading import resolve
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.training.precision import benchmark as step
from peftsearch.training.precision import choice as precision
from peftsearch.training.precision import number_formats as formats
from peftsearch.training.precision.benchmark import TrainingStep, step_seconds
from peftsearch.training.precision.choice import choose_precision
from peftsearch.training.precision.number_formats import in_number_format
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import ARCHITECTURES, tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of, tf32_set_to

CPU, GPU = torch.device("cpu"), torch.device("cuda")

Seconds = dict[str, float]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("backbone")))


@pytest.fixture
def training_step(backbone: str) -> TrainingStep:
    return TrainingStep(resolve(backbone), False, rows=32, tokens=16.0)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Seconds]:
    """A GPU, and a processor that has bf16; what measuring gives, each time taken away."""
    left: list[Seconds] = []
    monkeypatch.setenv("PEFTSEARCH_CACHE", str(tmp_path / "peftsearch"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(formats, "cpu_has_bf16", lambda: True)
    monkeypatch.setattr(precision, "step_seconds", lambda *of: left.pop())
    monkeypatch.setattr(precision, "_KNOWN", {})
    return left


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process, which has only what is kept on disk."""
    monkeypatch.setattr(precision, "_KNOWN", {})


@pytest.mark.parametrize(
    ("device", "seconds", "chosen"),
    [
        (CPU, {"fp32": 2.0, "bf16": 1.0}, "bf16"),
        (CPU, {"fp32": 1.05, "bf16": 1.0}, "fp32"),
        (CPU, {"fp32": 1.0, "bf16": 2.0}, "fp32"),
        # As an H100 had MiniLM's steps of 512 tokens and of 8,192.
        (GPU, {"fp32": 11.3, "tf32": 11.2, "bf16": 14.0}, "fp32"),
        (GPU, {"fp32": 21.0, "tf32": 13.0, "bf16": 16.5}, "tf32"),
        (GPU, {"fp32": 6.0, "tf32": 2.0, "bf16": 1.0}, "bf16"),
    ],
)
def test_a_less_exact_format_must_be_faster_by_a_tenth(
    measured: list[Seconds], training_step: TrainingStep, device: torch.device, seconds: Seconds, chosen: str
) -> None:
    measured[:] = [seconds]
    assert choose_precision("auto", device, training_step) == chosen
    assert not measured


@pytest.mark.parametrize("asked", ["fp32", "tf32", "bf16", "fp16"])
def test_a_precision_that_is_named_is_not_measured(
    measured: list[Seconds], training_step: TrainingStep, asked: str
) -> None:
    assert choose_precision(asked, GPU, training_step) == asked


def test_tf32_is_fp32_where_the_device_has_none(
    measured: list[Seconds], training_step: TrainingStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_precision("tf32", CPU, training_step) == "fp32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert choose_precision("tf32", GPU, training_step) == "fp32"


def test_an_older_gpu_has_fp16_to_choose(
    measured: list[Seconds], training_step: TrainingStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    measured[:] = [{"fp32": 2.0, "fp16": 1.0}]
    assert choose_precision("auto", GPU, training_step) == "fp16"


@pytest.mark.parametrize("device", [CPU, GPU])
def test_one_measurement_serves_the_machine(
    measured: list[Seconds],
    training_step: TrainingStep,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    measured[:] = [{"fp32": 2.0, "tf32": 2.0, "bf16": 1.0} if device is GPU else {"fp32": 2.0, "bf16": 1.0}]
    for _ in range(3):
        assert choose_precision("auto", device, training_step) == "bf16"
        forget(monkeypatch)
    assert not measured
    assert len(json.loads((tmp_path / "peftsearch" / "precision.json").read_text())) == 1


def test_a_gpu_is_measured_for_each_encoder_and_size_of_a_batch(backbone: str, tmp_path: Path) -> None:
    wide = resolve(str(tiny_model(tmp_path / "wide", hidden_size=64)))
    plain = resolve(backbone)
    sizes = [
        TrainingStep(model, False, rows, tokens) for model in (plain, wide) for rows in (8, 32) for tokens in (9, 30)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
        assert len({size.name_on(GPU) for size in sizes}) == 8
        assert sizes[0].name_on(GPU) == TrainingStep(plain, False, 8, 15.9).name_on(GPU)
        assert "bert of 2 layers of 32, 8 rows of 16 tokens" in sizes[0].name_on(GPU)
    assert len({size.name_on(CPU) for size in sizes}) == 1


@pytest.mark.parametrize(
    ("rows", "tokens", "batch"),
    [(32, 3.0, (32, 8)), (32, 16.5, (32, 32)), (512, 64.0, (256, 64)), (8, 129.0, (8, 130))],
)
def test_the_measured_batch_is_about_the_trials(
    backbone: str, rows: int, tokens: float, batch: tuple[int, int]
) -> None:
    assert TrainingStep(resolve(backbone), False, rows, tokens).batch == batch


@pytest.mark.parametrize("kept", ["", "[]", '{"another machine": {"fp32": 0.1}}', '{"a": "b"}', '{"a": {"fp32": "b"}}'])
def test_what_is_kept_of_another_machine_or_damaged_is_measured_anew(
    measured: list[Seconds], training_step: TrainingStep, tmp_path: Path, kept: str
) -> None:
    (tmp_path / "peftsearch").mkdir()
    (tmp_path / "peftsearch" / "precision.json").write_text(kept)
    measured[:] = [{"fp32": 2.0, "bf16": 1.0}]
    assert choose_precision("auto", CPU, training_step) == "bf16"
    assert not measured


def test_a_home_that_cannot_be_written_costs_a_process_one_measurement(
    measured: list[Seconds], training_step: TrainingStep, tmp_path: Path
) -> None:
    (tmp_path / "peftsearch").write_text("a file where the folder would be")
    measured[:] = [{"fp32": 2.0, "bf16": 1.0}]
    assert [choose_precision("auto", CPU, training_step) for _ in range(2)] == ["bf16", "bf16"]


def test_a_processor_without_bf16_is_not_measured(
    measured: list[Seconds], training_step: TrainingStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "cpu_has_bf16", lambda: False)
    assert choose_precision("auto", CPU, training_step) == "fp32"


def test_measuring_leaves_the_threads_as_they_were(training_step: TrainingStep) -> None:
    before = torch.get_num_threads()
    seconds = step_seconds(CPU, ("fp32", "bf16"), training_step, 0.0)
    assert set(seconds) == {"fp32", "bf16"}
    assert min(seconds.values()) > 0
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_encoders_step_goes_all_the_way_back(architecture: str, tmp_path: Path) -> None:
    made = TrainingStep(resolve(str(tiny_model(tmp_path, architecture))), False, rows=4, tokens=12)
    gradients = []
    hook = torch.autograd.graph.register_multi_grad_hook
    encoder_of = step.load_encoder
    with pytest.MonkeyPatch.context() as patch:

        def load(*given: Any, **named: Any) -> Any:
            encoder = encoder_of(*given, **named)
            first = encoder.get_input_embeddings().weight
            hook([first], lambda found: gradients.append(found), mode="any")
            return encoder

        patch.setattr(step, "load_encoder", load)
        run = step.encoder_step(made, *made.batch, CPU)
    for name in ("fp32", "bf16"):
        with in_number_format(CPU, name):
            run()
    assert len(gradients) == 2


def test_a_step_too_large_for_the_gpu_is_measured_with_fewer_rows(
    training_step: TrainingStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def take_turns(made: int, *rest: Any) -> Seconds:
        tried.append(made)
        if made > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"fp32": 1.0}

    monkeypatch.setattr(step, "encoder_step", lambda workload, rows, tokens, device: rows)
    monkeypatch.setattr(step, "_take_turns", take_turns)
    assert step_seconds(GPU, ("fp32",), training_step, 2.0) == {"fp32": 1.0}
    assert tried == [32, 16, 8]


@pytest.mark.parametrize(("name", "tf32"), [("fp32", False), ("tf32", True), ("bf16", True), ("fp16", False)])
def test_outside_the_trainer_products_are_rounded_as_inside(name: str, tf32: bool) -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    for before in (True, False):
        with tf32_set_to(before):
            with in_number_format(CPU, name):
                assert matmul.allow_tf32 == cudnn.allow_tf32 == tf32
                assert torch.is_autocast_enabled("cpu") == (name in ("bf16", "fp16"))
            assert matmul.allow_tf32 == cudnn.allow_tf32 == before


def precision_of_a_trial(backbone: str, cache: Path, exact: bool = False) -> str:
    training = TrainingConfig(epochs=1, batch_size=16)
    config = TrialConfig(backbone, "probe", settings_of("probe"), training, max_length=24)
    data = toy_data(train=32)
    trained = run_trial(config, data, lambda report: None, cache=cache, device="cpu", exact=exact)
    return trained.measurement.precision


def test_a_trial_says_what_it_computed_in(measured: list[Seconds], backbone: str, tmp_path: Path) -> None:
    found = []
    for seconds in ({"fp32": 2.0, "bf16": 1.0}, {"fp32": 1.0, "bf16": 1.0}):
        precision._KNOWN.clear()
        (tmp_path / "peftsearch" / "precision.json").unlink(missing_ok=True)
        measured[:] = [seconds]
        found.append(precision_of_a_trial(backbone, tmp_path / "runs"))
    assert found == ["bf16", "fp32"]


def test_exact_is_fp32_without_a_measurement(measured: list[Seconds], backbone: str, tmp_path: Path) -> None:
    assert precision_of_a_trial(backbone, tmp_path / "runs", exact=True) == "fp32"

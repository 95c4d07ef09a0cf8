"""Trials on tiny models: they learn, they measure what they say, they fail as they should, and they repeat."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import f1_score

from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig
from peftsearch.core.constraints import BreaksConstraint, Constraint
from peftsearch.core.errors import Interrupted, OutOfTime, TrialFailure
from peftsearch.core.measurement import EpochReport
from peftsearch.core.progress import ShouldStop, StepReport, ending_after
from peftsearch.data.tokens import tokenize
from peftsearch.export.write import write_files
from peftsearch.methods.table import METHODS
from peftsearch.predict.load import load_classifier
from peftsearch.study.starting_points.baselines import default_settings
from peftsearch.training import attempt as attempt_module
from peftsearch.training import rows as rows_module
from peftsearch.training.batches import PadToLongest
from peftsearch.training.checkpoint import read_checkpoint
from peftsearch.training.compute import Compute
from peftsearch.training.loop.callbacks import CHECK_EVERY
from peftsearch.training.rows import TokenRows
from peftsearch.training.trial import micro_batch_sizes, run_trial
from tests.helpers.tiny import WORDS, tiny_model, tiny_tokenizer
from tests.helpers.toy import toy_data

DATA = toy_data(train=240)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("bert")))


def own_settings(name: str) -> dict[str, Any]:
    method = METHODS[name]
    return default_settings(method, {key: h.default for key, h in method.hyperparameters.items()})


def config(backbone: str, method: str = "full", training: dict[str, Any] | None = None, **settings: Any) -> TrialConfig:
    return TrialConfig(
        backbone=backbone,
        method=method,
        settings={**own_settings(method), "learning_rate": 3e-3, **settings},
        training=TrainingConfig(**{"epochs": 3, "batch_size": 16, "precision": "fp32", **(training or {})}),
        max_length=24,
    )


def predictions(result: Any, data: Any, cache: Path) -> np.ndarray:
    rows = TokenRows(tokenize(data, "validation", result.tokenizer, 24, cache))
    batch = PadToLongest(result.tokenizer.pad_token_id)([rows[i] for i in range(len(rows))])
    batch.pop("labels")
    with torch.no_grad():
        return np.asarray(result.classifier(**batch).logits.argmax(-1))


def test_full_fine_tuning_learns_the_toy_task(backbone: str, tmp_path: Path) -> None:
    reports: list[EpochReport] = []
    result = run_trial(config(backbone, training={"epochs": 8}), DATA, reports.append, cache=tmp_path, device="cpu")
    assert result.measurement.metrics["macro_f1"] > 0.95
    assert reports[-1].train_loss < reports[0].train_loss / 4
    assert [report.epoch for report in reports] == list(range(1, 9))


def test_the_metric_is_scikit_learns_on_the_weights_kept(backbone: str, tmp_path: Path) -> None:
    result = run_trial(config(backbone), DATA, lambda _: None, cache=tmp_path, device="cpu")
    expected = f1_score(DATA.splits["validation"]["label"], predictions(result, DATA, tmp_path), average="macro")
    assert result.measurement.metrics["macro_f1"] == pytest.approx(expected)


def test_the_best_epoch_is_kept_not_the_last(backbone: str, tmp_path: Path) -> None:
    reports: list[EpochReport] = []
    wild = config(backbone, training={"epochs": 8, "warmup": 0.0, "schedule": "constant"}, learning_rate=2e-2)
    result = run_trial(wild, DATA, reports.append, cache=tmp_path, device="cpu")
    scores = [report.metrics["macro_f1"] for report in reports]
    assert scores[-1] < max(scores), "the toy task no longer diverges: raise the learning rate"
    assert result.measurement.best_epoch == scores.index(max(scores)) + 1
    expected = f1_score(DATA.splits["validation"]["label"], predictions(result, DATA, tmp_path), average="macro")
    assert expected == pytest.approx(max(scores))


def test_the_same_config_gives_the_same_numbers(backbone: str, tmp_path: Path) -> None:
    curves: list[list[tuple[float, float]]] = [[], []]
    for curve in curves:
        run_trial(
            config(backbone, "lora"),
            DATA,
            lambda report, curve=curve: curve.append((report.train_loss, report.validation_loss)),
            cache=tmp_path,
            device="cpu",
        )
    assert curves[0] == curves[1]


def test_another_seed_gives_others(backbone: str, tmp_path: Path) -> None:
    base = config(backbone)
    other = replace(base, training=replace(base.training, seed=7))
    losses = [
        run_trial(c, DATA, lambda _: None, cache=tmp_path, device="cpu").measurement.metrics["validation_loss"]
        for c in (base, other)
    ]
    assert losses[0] != losses[1]


def test_what_is_measured(backbone: str, tmp_path: Path) -> None:
    reports: list[EpochReport] = []
    result = run_trial(config(backbone, "probe"), DATA, reports.append, cache=tmp_path, device="cpu")
    measurement = result.measurement
    assert measurement.trainable_parameters == 32 * 3 + 3
    assert measurement.total_parameters > 20_000
    assert measurement.train_seconds == pytest.approx(sum(report.train_seconds for report in reports))
    assert measurement.epochs == 3
    assert 0 < measurement.padding_share < 0.4
    assert measurement.data_fingerprint == DATA.fingerprint
    assert measurement.versions["torch"] == version("torch")
    assert measurement.precision == "fp32"


def test_saved_tensors_are_the_trained_ones_only(backbone: str, tmp_path: Path) -> None:
    result = run_trial(config(backbone, "lora"), DATA, lambda _: None, cache=tmp_path, device="cpu")
    result.save(tmp_path / "kept")
    tensors = load_file(tmp_path / "kept" / "trainable.safetensors")
    assert sum(tensor.numel() for tensor in tensors.values()) == result.measurement.trainable_parameters
    assert all("lora" in name or name.startswith("head.") for name in tensors)


def test_early_stopping(backbone: str, tmp_path: Path) -> None:
    still = config(backbone, training={"epochs": 9, "early_stopping": EarlyStopping(patience=2)}, learning_rate=1e-8)
    assert run_trial(still, DATA, lambda _: None, cache=tmp_path, device="cpu").measurement.epochs == 3


def test_label_smoothing_is_left_out_of_the_validation_loss(backbone: str, tmp_path: Path) -> None:
    smooth = config(backbone, training={"epochs": 8, "label_smoothing": 0.4})
    reports: list[EpochReport] = []
    run_trial(smooth, DATA, reports.append, cache=tmp_path, device="cpu")
    floor = -(0.4 * 2 / 3 * math.log(0.4 / 3) + (1 - 0.4 * 2 / 3) * math.log(1 - 0.4 * 2 / 3))
    assert reports[-1].train_loss > floor - 0.01
    assert reports[-1].validation_loss < floor


def test_an_exploding_trial_fails_as_not_finite(backbone: str, tmp_path: Path) -> None:
    wild = config(backbone, training={"warmup": 0.0, "max_grad_norm": 0.0}, learning_rate=1e30)
    with pytest.raises(TrialFailure, match="loss is") as failure:
        run_trial(wild, DATA, lambda _: None, cache=tmp_path, device="cpu")
    assert failure.value.kind == "not_finite"


def test_stopping_ends_at_the_next_step(backbone: str, tmp_path: Path) -> None:
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(Interrupted, match="stopped at step 3"):
        run_trial(config(backbone), DATA, lambda _: None, cache=tmp_path, device="cpu", should_stop=should_stop)


def out_of_time_after(asked: int) -> Callable[[], bool]:
    """A question that is asked so often before the time limit passes."""
    questions = iter(range(asked))

    def should_stop() -> bool:
        if next(questions, None) is None:
            raise OutOfTime("the time limit of the search has passed")
        return False

    return should_stop


def test_a_trial_that_is_out_of_time_keeps_its_best_epoch(backbone: str, tmp_path: Path) -> None:
    """As if it had been trained to that epoch, under the same schedule, although the third epoch had begun."""
    stages = config(backbone, "unfreezing", training={"epochs": 5}, order="from_end", stages=3)
    cut: list[EpochReport] = []
    whole: list[EpochReport] = []
    asked: list[int] = []

    def after_the_second() -> bool:
        asked.append(len(cut))
        if asked.count(2) > 1:
            raise OutOfTime("the time limit of the search has passed")
        return False

    kept = run_trial(stages, DATA, cut.append, cache=tmp_path, device="cpu", should_stop=after_the_second)
    best = kept.measurement.best_epoch
    again = run_trial(stages, DATA, whole.append, cache=tmp_path, device="cpu", last_epoch=best)
    assert (len(cut), kept.measurement.epochs, kept.measurement.out_of_time) == (2, 2, True)
    assert not again.measurement.out_of_time
    assert best == max(cut, key=lambda report: report.metrics["macro_f1"]).epoch
    for name, tensor in again.classifier.state_dict().items():
        assert torch.equal(tensor, kept.classifier.state_dict()[name]), name
    names = []
    for place, result in enumerate((kept, again)):
        result.save(tmp_path / str(place))
        names.append(load_file(tmp_path / str(place) / "trainable.safetensors").keys())
    assert names[0] == names[1]


def test_a_trial_that_is_out_of_time_can_be_repeated_to_the_same_end(backbone: str, tmp_path: Path) -> None:
    stages = config(backbone, "unfreezing", training={"epochs": 5}, order="from_end", stages=3)
    cut: list[EpochReport] = []

    def after_the_second() -> bool:
        return len(cut) == 2 and out_of_time_after(0)()

    kept = run_trial(stages, DATA, cut.append, cache=tmp_path, device="cpu", should_stop=after_the_second)
    assert kept.measurement.cut_after == 2
    again = run_trial(stages, DATA, ending_after(kept.measurement.cut_after, cut.append), cache=tmp_path, device="cpu")
    assert [report.epoch for report in cut] == [1, 2, 1, 2]
    assert (again.measurement.cut_after, again.measurement.metrics) == (2, kept.measurement.metrics)
    for name, tensor in again.classifier.state_dict().items():
        assert torch.equal(tensor, kept.classifier.state_dict()[name]), name


def test_a_trial_that_is_out_of_time_before_its_first_epoch_has_nothing_to_keep(backbone: str, tmp_path: Path) -> None:
    with pytest.raises(OutOfTime):
        run_trial(
            config(backbone), DATA, lambda _: None, cache=tmp_path, device="cpu", should_stop=out_of_time_after(2)
        )


def test_who_may_stop_a_trial_is_told_where_it_is(backbone: str, tmp_path: Path) -> None:
    steps: list[StepReport] = []
    two = config(backbone, training={"epochs": 2, "batch_size": 4})
    watching = ShouldStop(lambda: False, steps.append)
    run_trial(two, DATA, lambda _: None, cache=tmp_path, device="cpu", should_stop=watching)
    total = len(steps)
    assert [at.step for at in steps] == list(range(1, total + 1))
    assert {at.steps for at in steps} == {total}
    assert total == 2 * math.ceil(len(DATA.splits["train"]) / 4) > CHECK_EVERY
    assert [at.loss for at in steps[: CHECK_EVERY - 1]] == [None] * (CHECK_EVERY - 1)
    assert all(at.loss is not None and 0 < at.loss < 10 for at in steps[CHECK_EVERY - 1 :])


def test_stopping_ends_an_evaluation_too(backbone: str, tmp_path: Path) -> None:
    """Without a step; each evaluated batch is also a sign that the trial does not hang."""
    with pytest.raises(Interrupted, match="stopped at step 0"):
        run_trial(
            config(backbone, "none"), DATA, lambda _: None, cache=tmp_path, device="cpu", should_stop=lambda: True
        )


def test_what_report_raises_passes_through(backbone: str, tmp_path: Path) -> None:
    class Pruned(Exception):
        pass

    def report(_: EpochReport) -> None:
        raise Pruned

    with pytest.raises(Pruned):
        run_trial(config(backbone), DATA, report, cache=tmp_path, device="cpu")


def test_short_of_memory_the_micro_batch_is_halved(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = attempt_module.train

    def fits_four_rows(model: Any, rows: Any, config: Any, compute: Compute, *others: Any) -> Any:
        if compute.micro_batch > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train(model, rows, config, compute, *others)

    whole = run_trial(config(backbone), DATA, lambda _: None, cache=tmp_path, device="cpu").measurement
    monkeypatch.setattr(attempt_module, "train", fits_four_rows)
    halved = run_trial(config(backbone), DATA, lambda _: None, cache=tmp_path, device="cpu").measurement
    assert halved.micro_batch_size == 4
    assert halved.metrics["validation_loss"] == pytest.approx(whole.metrics["validation_loss"], rel=0.25)


def test_out_of_memory_at_one_row_fails(backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never_fits(*_: Any, **__: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(attempt_module, "train", never_fits)
    with pytest.raises(TrialFailure, match="one row of 24 tokens does not fit on ") as failure:
        run_trial(config(backbone), DATA, lambda _: None, cache=tmp_path, device="cpu")
    assert failure.value.kind == "out_of_memory"


def test_halvings_divide_the_batch() -> None:
    assert list(micro_batch_sizes(32)) == [32, 16, 8, 4, 2, 1]
    assert list(micro_batch_sizes(15)) == [15, 5, 1]


def test_a_tokenizer_of_the_study_reads_the_texts_and_goes_with_the_export(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "_splits", {})  # what an earlier test has read would not be tokenised again
    words = str(tmp_path / "words")
    tiny_tokenizer(vocabulary=WORDS[::-1]).save_pretrained(words)
    named = replace(config(backbone, "probe", {"epochs": 1}), tokenizer=words)
    cache = tmp_path / "cache"
    results = [
        run_trial(c, DATA, lambda _: None, cache=cache, device="cpu") for c in (replace(named, tokenizer=None), named)
    ]
    own, other = (result.tokenizer.get_vocab() for result in results)
    assert own != other
    assert len(list(cache.rglob("train-*"))) == 2
    assert results[0].measurement.metrics["validation_loss"] != results[1].measurement.metrics["validation_loss"]

    results[1].save(tmp_path / "weights" / "0")
    (tmp_path / "out").mkdir()
    write_files(read_checkpoint(tmp_path / "weights", 0), tmp_path / "out", {"study": "toy"})
    loaded = load_classifier(tmp_path / "out")
    assert loaded.config.tokenizer == "words"
    assert loaded.tokenizer.get_vocab() == other


@pytest.mark.parametrize("method", ["full", "tfidf", "none"])
def test_a_trial_never_opens_the_test_split(
    backbone: str, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "_splits", {})
    opened: list[str] = []

    class Watched(dict[str, Any]):
        def __getitem__(self, split: str) -> Any:
            opened.append(split)
            return super().__getitem__(split)

    watched = replace(DATA, splits=Watched(DATA.splits))
    settings = own_settings(method)
    trial = TrialConfig(backbone, method, settings, TrainingConfig(epochs=1, precision="fp32"), max_length=24)
    run_trial(trial, watched, lambda _: None, cache=tmp_path, device="cpu")
    assert set(opened) == {"train", "validation"}


@pytest.mark.parametrize("method", ["lora", "unfreezing"])
def test_what_would_break_a_constraint_is_not_trained(backbone: str, tmp_path: Path, method: str) -> None:
    seen: list[EpochReport] = []

    def run(*constraints: Constraint) -> Any:
        asked = config(backbone, method, {"epochs": 1})
        return run_trial(asked, DATA, seen.append, cache=tmp_path, device="cpu", constraints=constraints)

    measured = run(Constraint("latency_ms", 1e-9), Constraint("macro_f1", 1.0)).measurement
    count = measured.trainable_parameters
    assert run(Constraint("trainable_parameters", count), Constraint("model_size_mb", measured.model_size_mb))
    del seen[:]
    with pytest.raises(BreaksConstraint) as caught:
        run(Constraint("trainable_parameters", count - 1))
    assert str(caught.value) == f"breaks the constraint trainable_parameters <= {count - 1:,}: has {count:,}"
    with pytest.raises(BreaksConstraint):
        run(Constraint("model_size_mb", count * 4 / 1024**2 * 0.99))
    assert seen == []

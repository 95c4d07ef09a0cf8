"""Gradual unfreezing in real trials: what the curve says, when parameters enter the optimizer, what is kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from peftsearch.backbones.loading import resolve
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.export.write import write_files
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import METHODS
from peftsearch.predict.load import load_classifier
from peftsearch.training.checkpoint import Checkpoint
from peftsearch.training.loop.optimizer import parameter_groups, warm_up_late_groups
from peftsearch.training.loop.stages import Stages
from peftsearch.training.loop.trainer import LengthGroupedTrainer
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

ORDERS = ("from_end", "from_start", "query_key_value", "refreeze")


@pytest.fixture(scope="module")
def modernbert(tmp_path_factory):
    return str(tiny_model(tmp_path_factory.mktemp("modernbert"), "modernbert"))


def _config(backbone, epochs=3, **changes):
    settings = settings_of("unfreezing", learning_rate=0.01, **changes)
    training = TrainingConfig(epochs=epochs, batch_size=16, precision="fp32", warmup=0.1)
    return TrialConfig(backbone, "unfreezing", settings, training)


@pytest.mark.parametrize("order", ORDERS)
def test_the_curve_says_what_was_trainable_and_the_best_epoch_is_kept_whole(modernbert, tmp_path, order):
    config, data, reports = _config(modernbert, order=order), toy_data(96, 24), []
    result = run_trial(config, data, reports.append, cache=tmp_path / "cache", device="cpu")
    counts = [report.trainable_parameters for report in reports]
    assert len(set(counts)) == 3
    assert counts == sorted(counts, reverse=order == "refreeze")
    assert result.measurement.trainable_parameters == max(counts)

    result.save(tmp_path / "7")
    kept = Checkpoint(7, tmp_path / "7", config, result.measurement, data.labels).classifier()
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        assert torch.equal(kept(input_ids=ids).logits, result.classifier(input_ids=ids).logits)


@pytest.mark.parametrize(
    ("architecture", "plan"),
    [
        ("modernbert", "1; query, rest; all"),
        ("bert", "key; 0-1; head"),
        ("distilbert", "all; 1; head"),
        ("mamba", "head; embeddings; 1, rest"),
    ],
)
def test_a_plan_s_counts_are_in_the_curve_and_the_trained_model_is_kept_and_exported(tmp_path, architecture, plan):
    backbone = str(tiny_model(tmp_path / "model", architecture))
    config, data, reports = _config(backbone, order="planned", plan=plan), toy_data(96, 24), []
    result = run_trial(config, data, reports.append, cache=tmp_path / "cache", device="cpu")
    counts = [report.trainable_parameters for report in reports]
    assert counts == _counted(backbone, config)
    assert len(set(counts)) == 3

    result.save(tmp_path / "7")
    trial = Checkpoint(7, tmp_path / "7", config, result.measurement, data.labels)
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        expected = result.classifier(input_ids=ids).logits
        assert torch.equal(trial.classifier()(input_ids=ids).logits, expected)
        (tmp_path / "out").mkdir()
        write_files(trial, tmp_path / "out", {"study": "toy"})
        loaded = load_classifier(tmp_path / "out").classifier
        assert torch.allclose(loaded(input_ids=ids).logits, expected, atol=1e-6)


def _counted(backbone, config):
    """Parameters of the head and of what each stage names, by the method's own table of names."""
    model = build_classifier(resolve(backbone), METHODS["unfreezing"], config.settings, 3)
    head = sum(p.numel() for p in model.head.parameters())
    sizes = {name: p.numel() for name, p in model.encoder.named_parameters()}
    stages = METHODS["unfreezing"].stages(model.encoder, config.settings, config.training.epochs)
    return [head + sum(sizes[name] for name in names) for names in stages]


def test_what_a_plan_thaws_later_rises_over_a_warmup_of_its_own(modernbert):
    config = _config(modernbert, order="planned", plan="1; query; all")
    model = build_classifier(resolve(modernbert), METHODS["unfreezing"], config.settings, 3)
    groups = parameter_groups(model, config)
    thawed = {id(p): group["first_epoch"] for group in groups for p in group["params"]}
    first = {name: thawed[id(p)] for name, p in model.encoder.named_parameters()}
    assert first["layers.1.attn.Wqkv.parametrizations.weight.original1"] == 0
    assert first["layers.0.attn.Wqkv.parametrizations.weight.original0"] == 1
    assert first["layers.0.attn.Wqkv.parametrizations.weight.original1"] == 2
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    warm_up_late_groups(schedule, steps=30, warmup=4, epochs=3)
    at_12 = {g["first_epoch"]: factor(12) for g, factor in zip(groups, schedule.lr_lambdas, strict=True)}
    assert at_12 == {0: 1.0, 1: 0.5, 2: 0.0}


def test_after_a_trial_the_weights_are_those_of_the_best_epoch(modernbert, tmp_path, monkeypatch):
    """What thaws later must not stay as later epochs made it."""
    monkeypatch.setattr("peftsearch.training.loop.callbacks.EpochRecorder._remember", _first_is_best)
    config = _config(modernbert, order="from_end")
    result = run_trial(config, toy_data(96, 24), lambda _: None, cache=tmp_path / "cache", device="cpu")
    pretrained = build_classifier(resolve(modernbert), METHODS["probe"], settings_of("probe"), 3)
    name = "embeddings.tok_embeddings.weight"
    assert torch.equal(result.classifier.encoder.get_parameter(name), pretrained.encoder.get_parameter(name))
    trained, before = (c.encoder.get_parameter("layers.1.mlp.Wo.weight") for c in (result.classifier, pretrained))
    assert not torch.equal(trained, before)


def _first_is_best(epochs, report):
    epochs.reports.append(report)
    if len(epochs.reports) == 1:
        epochs.best = report
        epochs.best_weights = {name: p.detach().clone() for name, p in epochs.trained.items()}


def test_each_stage_is_entered_once_and_left(modernbert):
    config = _config(modernbert, epochs=5, order="from_end")
    model = build_classifier(resolve(modernbert), METHODS["unfreezing"], config.settings, 3)
    everything = _trainable(model)
    stages = Stages(model, config)
    seen = {epoch: len(_trainable(model)) for epoch in stages.each()}
    assert list(seen) == [0, 1, 2]
    assert list(seen.values()) == sorted(seen.values())
    assert _trainable(model) == everything


def test_a_method_without_stages_has_one():
    model = torch.nn.ModuleDict({"encoder": torch.nn.Linear(1, 1), "head": torch.nn.Linear(1, 1)})
    config = TrialConfig("b", "full", settings_of("full"))
    stages = Stages(SimpleNamespace(encoder=model["encoder"], named_parameters=model.named_parameters), config)
    assert list(stages.each()) == [0]
    assert stages.first_epoch("encoder.weight") == 0


def test_what_thaws_later_rises_over_a_warmup_of_its_own(modernbert):
    config = _config(modernbert, order="from_end")
    model = build_classifier(resolve(modernbert), METHODS["unfreezing"], config.settings, 3)
    optimizer = torch.optim.AdamW(parameter_groups(model, config))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    schedule = warm_up_late_groups(schedule, steps=30, warmup=4, epochs=3)
    rates = {group["first_epoch"]: [] for group in optimizer.param_groups}
    for _ in range(30):
        optimizer.step()
        for group, rate in zip(optimizer.param_groups, schedule.get_last_lr(), strict=True):
            if group["weight_decay"]:
                rates[group["first_epoch"]].append(rate)
        schedule.step()
    assert set(rates) == {0, 1, 2}
    assert set(rates[0]) == {0.01}
    assert rates[1][10:16] == pytest.approx([0, 0.0025, 0.005, 0.0075, 0.01, 0.01])
    assert rates[2][20:26] == pytest.approx([0, 0.0025, 0.005, 0.0075, 0.01, 0.01])


def test_the_trainer_schedules_late_groups(modernbert, tmp_path, monkeypatch):
    made = []
    own = LengthGroupedTrainer.create_scheduler
    monkeypatch.setattr(LengthGroupedTrainer, "create_scheduler", lambda *a, **k: made.append(own(*a, **k)) or made[-1])
    run_trial(_config(modernbert), toy_data(96, 24), lambda _: None, cache=tmp_path / "cache", device="cpu")
    late = [i for i, group in enumerate(made[0].optimizer.param_groups) if group["first_epoch"] == 1]
    at = [made[0].lr_lambdas[late[0]](step) for step in (6, 7, 9)]  # six steps an epoch, two of warm-up
    assert at[0] == 0
    assert 0 < at[1] < at[2]


def test_what_has_not_thawed_has_no_optimizer_state(modernbert):
    config = _config(modernbert, order="from_end")
    model = build_classifier(resolve(modernbert), METHODS["unfreezing"], config.settings, 3)
    optimizer = torch.optim.AdamW(parameter_groups(model, config))
    stages = Stages(model, config)
    for epoch in range(3):
        stages.enter(epoch)
        optimizer.zero_grad()
        model(input_ids=torch.arange(5, 15)[None]).logits.sum().backward()
        optimizer.step()
        assert {id(p) for p in optimizer.state} == {id(p) for p in model.parameters() if p.requires_grad}


def _trainable(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}

"""A method's hooks are called once a step, in a real trial."""

from __future__ import annotations

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.methods.table import METHODS
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of


def test_hooks_see_every_step_and_its_gradients(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(METHODS["lora"], "begin", lambda e, s, steps: seen.append(f"of {steps}"), raising=False)
    monkeypatch.setattr(METHODS["lora"], "before_step", lambda e, s: seen.append(_has_gradients(e)), raising=False)
    monkeypatch.setattr(
        METHODS["lora"], "after_step", lambda e, s, step: seen.append((step, _has_gradients(e))), raising=False
    )
    model = str(tiny_model(tmp_path / "bert"))
    config = TrialConfig(model, "lora", settings_of("lora"), TrainingConfig(epochs=2, batch_size=32, precision="fp32"))
    run_trial(config, toy_data(64, 6), lambda _: None, cache=tmp_path / "cache", device="cpu")
    assert seen == ["of 4"] + [entry for step in range(1, 5) for entry in (True, (step, True))]


def test_adalora_spends_its_ranks_within_a_trial(tmp_path):
    settings = settings_of("adalora", rank=2, initial_ratio=2.0, targets="all", learning_rate=0.01)
    training = TrainingConfig(epochs=4, batch_size=16, precision="fp32")
    config = TrialConfig(str(tiny_model(tmp_path / "bert")), "adalora", settings, training)
    reports = []
    result = run_trial(config, toy_data(96, 24), reports.append, cache=tmp_path / "cache", device="cpu")
    values = [p for name, p in result.classifier.named_parameters() if ".lora_E." in name]
    kept = sum(int(p.count_nonzero()) for p in values)
    assert kept == 2 * len(values) if result.measurement.best_epoch == 4 else kept <= 4 * len(values)


def _has_gradients(encoder):
    return all(p.grad is not None for p in encoder.parameters() if p.requires_grad)

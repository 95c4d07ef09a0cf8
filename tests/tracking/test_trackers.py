"""Each tracker as a package that stands in for it sees it, and where it is installed, read back from its own files."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from peftsearch.tracking.contract import Beginning
from peftsearch.tracking.mlflow_run import MlflowRun
from peftsearch.tracking.tensorboard_run import TensorboardRun
from peftsearch.tracking.trackio_run import TrackioRun
from peftsearch.tracking.wandb_run import WandbRun

CURVE = [(1, {"macro_f1": 0.5, "train_loss": 1.0}), (2, {"macro_f1": 0.75, "train_loss": 0.5})]
RESULT = {"macro_f1": 0.75, "trainable_parameters": 300.0}


@pytest.fixture
def beginning(tmp_path: Path) -> Beginning:
    settings = {"method": "lora", "rank": 8, "targets": ["query", "value"], "training.early_stopping": None}
    return Beginning("news", 7, settings, tmp_path / "tracking")


def told(run: Any) -> None:
    for epoch, values in CURVE:
        run.epoch(epoch, values)
    run.end("complete", RESULT)


def stand_in(monkeypatch: pytest.MonkeyPatch, *names: str) -> MagicMock:
    """A package that takes any call, and its modules of these names."""
    package = MagicMock()
    for name in names:
        module = package
        for part in name.split(".")[1:]:
            module = getattr(module, part)
        monkeypatch.setitem(sys.modules, name, module)
    return package


def test_wandb_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch, beginning: Beginning) -> None:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    wandb = stand_in(monkeypatch, "wandb")
    told(WandbRun(beginning))
    asked = wandb.init.call_args.kwargs
    assert (asked["project"], asked["name"], asked["config"]) == ("news", "news-7", beginning.settings)
    assert asked["dir"] == beginning.folder
    run = wandb.init.return_value
    assert [call.args[0] for call in run.log.call_args_list] == [{"epoch": e, **values} for e, values in CURVE]
    run.summary.update.assert_called_once_with({"state": "complete", **RESULT})
    run.finish.assert_called_once_with(exit_code=0)
    monkeypatch.setenv("WANDB_PROJECT", "ours")
    WandbRun(beginning).end("failed", {})
    assert wandb.init.call_args.kwargs["project"] == "ours"
    run.finish.assert_called_with(exit_code=1)


def test_trackio_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch, beginning: Beginning) -> None:
    monkeypatch.setenv("TRACKIO_DIR", "elsewhere")
    trackio = stand_in(monkeypatch, "trackio")
    told(TrackioRun(beginning))
    assert trackio.init.call_args.kwargs == {"project": "news", "name": "news-7", "config": beginning.settings}
    run = trackio.init.return_value
    assert [call.kwargs.get("step") for call in run.log.call_args_list] == [1, 2, None]
    assert run.log.call_args.args[0] == {"state": "complete", "best/macro_f1": 0.75, "best/trainable_parameters": 300.0}
    run.finish.assert_called_once_with()


def test_mlflow_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch, beginning: Beginning) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow = stand_in(monkeypatch, "mlflow", "mlflow.entities", "mlflow.exceptions")
    client = mlflow.MlflowClient.return_value
    client.get_experiment_by_name.return_value = None
    told(MlflowRun(beginning))
    assert mlflow.MlflowClient.call_args.kwargs["tracking_uri"].endswith("tracking/mlflow.db")
    client.create_experiment.assert_called_once_with("news")
    logged = [call.args for call in mlflow.entities.Metric.call_args_list]
    assert [(name, value, step) for name, value, _, step in logged] == [
        ("macro_f1", 0.5, 1), ("train_loss", 1.0, 1), ("macro_f1", 0.75, 2), ("train_loss", 0.5, 2),
        ("best.macro_f1", 0.75, 0), ("best.trainable_parameters", 300.0, 0),
    ]  # fmt: skip
    assert client.set_terminated.call_args.args[1] == "FINISHED"


def test_two_workers_may_create_an_experiment_at_once(monkeypatch: pytest.MonkeyPatch, beginning: Beginning) -> None:
    mlflow = stand_in(monkeypatch, "mlflow", "mlflow.entities", "mlflow.exceptions")
    mlflow.exceptions.MlflowException = RuntimeError
    client, theirs = mlflow.MlflowClient.return_value, MagicMock(experiment_id="3")
    client.get_experiment_by_name.side_effect = [None, theirs]
    client.create_experiment.side_effect = RuntimeError("it exists")
    MlflowRun(beginning)
    assert client.create_run.call_args.args == ("3",)


def test_tensorboard_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch, beginning: Beginning) -> None:
    writer = MagicMock()
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    told(TensorboardRun(beginning))
    writer.assert_called_once_with(str(beginning.folder / "news-7"))
    scalars = [call.args for call in writer.return_value.add_scalar.call_args_list]
    assert scalars == [(name, value, epoch) for epoch, values in CURVE for name, value in values.items()]
    settings, results = writer.return_value.add_hparams.call_args.args
    assert settings["targets"] == '["query", "value"]'
    assert settings["training.early_stopping"] == "null"
    assert results == {"best/macro_f1": 0.75, "best/trainable_parameters": 300.0}


def test_event_files_are_read_back(beginning: Beginning) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    told(TensorboardRun(beginning))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(beginning.folder / "news-7"))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("macro_f1")] == [(1, 0.5), (2, 0.75)]
    assert [event.value for event in found.Scalars("best/trainable_parameters")] == [300.0]
    assert "_hparams_/session_start_info" in found.PluginTagToContent("hparams")


def test_mlflow_runs_are_read_back(monkeypatch: pytest.MonkeyPatch, beginning: Beginning) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    told(MlflowRun(beginning))
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{beginning.folder / 'mlflow.db'}")
    [run] = client.search_runs([client.get_experiment_by_name("news").experiment_id])
    assert (run.info.run_name, run.info.status, run.data.params["rank"]) == ("news-7", "FINISHED", "8")
    assert run.data.metrics["best.macro_f1"] == 0.75
    assert [point.value for point in client.get_metric_history(run.info.run_id, "macro_f1")] == [0.5, 0.75]


def test_wandb_runs_offline_and_keeps_its_files_here(monkeypatch: pytest.MonkeyPatch, beginning: Beginning) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "f" * 40)
    run = WandbRun(beginning)
    told(run)
    [file] = beginning.folder.rglob("run-*.wandb")
    kept = b"".join(path.read_bytes() for path in beginning.folder.rglob("*") if path.is_file())
    assert b"macro_f1" in file.read_bytes()
    assert b"f" * 40 not in kept


def test_trackio_keeps_its_runs_here(monkeypatch: pytest.MonkeyPatch, beginning: Beginning) -> None:
    if find_spec("trackio") is None:
        pytest.skip("trackio is not installed")
    monkeypatch.delenv("TRACKIO_DIR", raising=False)  # it is read at the import, which has to come later
    told(TrackioRun(beginning))
    kept = b"".join(path.read_bytes() for path in beginning.folder.glob("news.db*"))  # SQLite's log is one of them
    assert b"macro_f1" in kept

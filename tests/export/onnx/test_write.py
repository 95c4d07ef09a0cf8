"""ONNX in an exported folder: it is proven with onnxruntime alone, and int8 may not cost much."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from peftsearch.backbones.loading import load_tokenizer, resolve
from peftsearch.cli import main
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.export.onnx import write as write_module
from peftsearch.export.onnx.loader import GRAPH, QUANTISED
from peftsearch.export.onnx.write import MOST_LOST, Answers, write_onnx
from peftsearch.export.write import write_export
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.results.stored_study import open_stored
from peftsearch.training.checkpoint import Checkpoint, read_checkpoint
from peftsearch.training.trial import TrialResult
from tests.helpers.records import complete, measurement, store
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of, take_steps

LABELS = ("cat", "dog", "red")
TEXTS = ["good cat", "bad dog is the very", "red"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("onnx")
    model = tiny_model(folder / "model")
    config = TrialConfig(str(model), "lora", settings_of("lora", pooling="mean"), max_length=16)
    torch.manual_seed(0)
    classifier = build_classifier(resolve(str(model)), ENCODER_METHODS["lora"], config.settings, len(LABELS))
    tokenizer = load_tokenizer(resolve(str(model)))
    take_steps(classifier, tokenizer(TEXTS, padding=True, return_tensors="pt"), steps=20, learning_rate=0.1)
    TrialResult(measurement(), classifier.eval(), tokenizer, config, LABELS).save(folder / "weights" / "0")
    return read_checkpoint(folder / "weights", 0)


def exported(kept: Checkpoint, folder: Path) -> Path:
    """What an exported folder holds of what the loader reads."""
    tokenizer = load_tokenizer(resolve(kept.config.backbone))
    tokenizer.model_max_length = kept.config.max_length
    tokenizer.save_pretrained(folder)
    about = {"model_type": "bert", "id2label": dict(enumerate(LABELS))}
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def rows(count: int) -> datasets.Dataset:
    texts = [" ".join([text] * (1 + i % 7)) for i in range(count) for text in TEXTS]
    return datasets.Dataset.from_dict({"text": texts, "label": [0, 1, 2] * count})


def test_both_graphs_are_written_and_proven(
    kept: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    said: list[str] = []
    write_onnx(kept, exported(kept, tmp_path), rows(10), int8=True, say=said.append)
    hints = [str(warning.message) for warning in recwarn if warning.category is FutureWarning]
    hints += [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert hints == [], "what the exporter tells its developers reaches the terminal"
    plain, small = said
    assert plain.startswith(
        f"{GRAPH} (0.1 MB): in a fresh process with onnxruntime and no torch, none of 30 validation "
    )
    assert "ms, p95 " in plain
    assert small.startswith(f"{QUANTISED} (0.1 MB): ")
    scores = re.search(
        r"macro F1 on 30 validation rows is (0\.\d+|1\.0+) in int8 and (0\.\d+|1\.0+) in fp32; one ", small
    )
    assert scores
    assert float(scores[1]) >= float(scores[2]) - MOST_LOST > 0.3
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    code = card.partition("```python\n")[2].partition("```")[0].replace('"DIR"', repr(str(tmp_path)))
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() in {str([label]) for label in LABELS}
    assert (tmp_path / QUANTISED).stat().st_size < (tmp_path / GRAPH).stat().st_size


def test_a_graph_with_another_label_is_refused(
    kept: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_module, "fresh_answers", lambda *_: Answers(np.tile([0, 0, 9], (3, 1)), 1.0, 1.0))
    with pytest.raises(UserError) as caught:
        write_onnx(kept, exported(kept, tmp_path), rows(1))
    assert str(caught.value) == (
        "--onnx: nothing was exported, because the graph labels 2 of 3 validation rows otherwise than the trial; "
        "leave --onnx out"
    )


def test_int8_that_costs_too_much_is_refused(kept: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = write_module.fresh_answers

    def worse(folder: Path, graph: str, columns: list[list[str]]) -> Answers:
        found = real(folder, GRAPH, columns)
        return found if graph == GRAPH else Answers(np.roll(found.logits, 1, axis=1), 1.0, 1.0)

    monkeypatch.setattr(write_module, "fresh_answers", worse)
    monkeypatch.setattr(write_module, "_quantise", lambda folder: (folder / QUANTISED).touch())
    with pytest.raises(UserError) as caught:
        write_onnx(kept, exported(kept, tmp_path), rows(1), int8=True, say=lambda _: None)
    assert str(caught.value) == (
        "--int8: nothing was exported, because macro F1 on 3 validation rows is 0.0000 in int8 and 1.0000 in fp32, "
        "which costs over 0.02; leave --int8 out"
    )


def test_nothing_is_written_without_rows_to_prove_it_on(kept: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        write_onnx(kept, tmp_path, None)
    assert str(caught.value) == (
        "--onnx is proven on validation rows, and the study's prepared data is gone; leave --onnx out"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_export_whose_graph_is_not_proven_is_not_there(
    kept: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(kept.folder.parent, tmp_path / "runs" / "toy" / "weights")
    stored = open_stored("toy", store(tmp_path / "runs", [complete(0, "lora", 0.9, 100, 2.0)]))
    with pytest.raises(UserError, match="the study's prepared data is gone; leave --onnx out"):
        write_export(stored, 0, tmp_path / "out", onnx=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "a.yaml", "--onnx"], "--onnx belongs to --out DIR"),
        (["--out", "out", "--int8"], "--int8 belongs to --onnx"),
    ],
)
def test_options_that_belong_together(arguments: list[str], said: str) -> None:
    shown = CliRunner().invoke(main, ["export", "--study", "quickstart", *arguments])
    assert (shown.exit_code, shown.stderr) == (2, f"Error: {said}\n")

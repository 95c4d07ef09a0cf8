"""What the proof of an export finds, says and refuses; and that the card's lines open every form of folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.data.base import TextData
from peftsearch.export.card.how_to_load import code_in
from peftsearch.export.proof import Rows, compared, made_up_rows, prove, rows_of_study
from peftsearch.export.standard.forms import FORMS
from peftsearch.export.write import write_files
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.training.checkpoint import Checkpoint, read_checkpoint, save_text_model
from tests.export.test_standard import LABELS, TEXTS, changed_everywhere
from tests.helpers.records import measurement
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of

OF_FORM: dict[str, tuple[str, dict[str, Any]]] = {
    "architecture": ("lora", {"head": "native"}),
    "own_head": ("lora", {"head": "mlp"}),
    "peft": ("prefix", {"head": "linear"}),
    "adapters": ("seq_bn", {"head": "native"}),
    "peft_adapter": ("lora", {"head": "native"}),
    "adapterhub_adapter": ("seq_bn", {"head": "native"}),
    "tfidf": ("tfidf", {}),
}
"""A trial whose export has the form."""


def fitted(weights: Path) -> Checkpoint:
    """A TF-IDF trial."""
    config = TrialConfig("", "tfidf", settings_of("tfidf"))
    texts, labels = ["good cat", "bad dog", "red red", "cat is good"], np.array([0, 1, 2, 0])
    save_text_model(
        TEXT_METHODS["tfidf"].fit(texts, labels, 3, config.settings), config, measurement(), LABELS, weights / "99"
    )
    return read_checkpoint(weights, 99)


def write(kept: Checkpoint, out: Path, form: str, text: str | list[str] = "text") -> str:
    about = {"study": "toy", "data": {"text": text}}
    return write_files(kept, out, about, adapter=FORMS[form].adapter)


def trial(form: str, root: Path) -> Checkpoint:
    method, changes = OF_FORM[form]
    if form == "tfidf":
        return fitted(root / "weights")
    return changed_everywhere(tiny_model(root / "model"), method, settings_of(method, **changes), root / "weights")


def test_there_is_a_trial_for_each_form() -> None:
    assert OF_FORM.keys() == FORMS.keys()


OPEN = """
import json, sys
sys.modules["peftsearch"] = None
for form, code in json.loads(sys.argv[1]):
    exec(code)
    print(form, "opened with", *sorted({"peft", "adapters", "torch"} & set(sys.modules)))
"""


def test_the_card_s_lines_open_each_form_and_need_no_more_than_it_says(tmp_path: Path) -> None:
    lines = {}
    for form in ("tfidf", *(known for known in FORMS if known != "tfidf")):  # what is imported stays
        kept = trial(form, tmp_path / form)
        (out := tmp_path / form / "out").mkdir()
        assert write(kept, out, form) == form
        lines[form] = code_in((out / "README.md").read_text(encoding="utf-8"), out)
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-P", "-c", OPEN, json.dumps(list(lines.items()))]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    opened = re.findall(r"opened with(.*)", done.stdout)
    assert dict(zip(lines, map(str.split, opened), strict=True)) == {
        "tfidf": [],
        "architecture": ["torch"],
        "own_head": ["torch"],
        "peft": ["peft", "torch"],
        "adapters": ["adapters", "peft", "torch"],
        "peft_adapter": ["adapters", "peft", "torch"],
        "adapterhub_adapter": ["adapters", "peft", "torch"],
    }
    answers = re.findall(r"\[\{'label': '([^']*)', 'score': ([^}]*)\}\]", done.stdout)
    assert len(answers) == len(lines)
    assert all(label in LABELS and 1 / 3 <= float(score) <= 1 for label, score in answers)


@pytest.mark.parametrize("form", OF_FORM)
def test_pairs_of_texts_are_proven_too(form: str, tmp_path: Path) -> None:
    kept = trial(form, tmp_path)
    (out := tmp_path / "out").mkdir()
    write(kept, out, form, ["a", "b"])
    rows = Rows([("good cat", "bad"), ("red", "the dog is " * 20), ("blue is", "word1 word2")], "validation rows")
    proof = prove(kept, form, out, rows)
    assert (proof.rows, proof.changed) == (3, 0)
    assert proof.largest < 1e-4


@pytest.mark.parametrize("form", ["architecture", "own_head"])
def test_a_folder_that_labels_otherwise_is_refused(form: str, tmp_path: Path) -> None:
    kept = trial(form, tmp_path)
    (out := tmp_path / "out").mkdir()
    write_files(kept, out, {})
    tensors = load_file(out / "model.safetensors")
    biases = [name for name, tensor in tensors.items() if name.endswith("bias") and tensor.shape == (3,)]
    for name in biases:
        tensors[name] = tensors[name] + torch.tensor([0.0, 0.0, 100.0])
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError) as caught:
        prove(kept, form, out, Rows(TEXTS, "validation rows"))
    assert re.fullmatch(
        r"--trial 0: nothing was exported, because the folder is not the trial: opened in a fresh process without "
        r"peftsearch, it labels 4 validation rows: [1-4] labels differ from the trial's, logits by at most 1e\+02",
        str(caught.value),
    )


@pytest.mark.fresh_process
def test_a_folder_that_does_not_open_is_one_line(tmp_path: Path) -> None:
    kept = trial("architecture", tmp_path)
    (out := tmp_path / "out").mkdir()
    write_files(kept, out, {})
    (out / "config.json").unlink()
    with pytest.raises(UserError, match=r"^the exported folder cannot be opened without peftsearch: [^\n]*$"):
        prove(kept, "architecture", out, Rows(TEXTS, "validation rows"))


def test_ties_are_no_other_label_and_not_finite_logits_are() -> None:
    expected = np.array([[1.0, 1.0 + 1e-5, 0.0], [0.0, 2.0, 1.0]])
    tied = compared(expected, np.array([[1.0 + 2e-5, 1.0, 0.0], [0.0, 2.0, 1.0]]), "rows")
    assert (tied.changed, tied.ties) == (0, 1)
    assert "0 labels differ from the trial's (1 ties are decided otherwise)" in str(tied)
    assert compared(expected, np.array([[1.0, 1.0, 0.0], [2.0, 0.0, 1.0]]), "rows").changed == 1
    assert compared(expected, np.full((2, 3), np.nan), "rows").changed == 2


@pytest.mark.parametrize("form", ["architecture", "tfidf"])
def test_without_the_study_s_data_made_up_texts_are_predicted(form: str, tmp_path: Path) -> None:
    kept = trial(form, tmp_path)
    rows = rows_of_study(RunFolder(tmp_path), kept)
    assert rows == made_up_rows(kept)
    assert len(rows.texts) == 64
    assert len(set(rows.texts)) > 50
    assert rows.what == "made-up texts, because the study's prepared data is gone"


def test_validation_rows_are_read_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import Dataset

    splits = {
        "train": Dataset.from_dict({"text": ["no"], "label": [0]}),
        "validation": Dataset.from_dict({"text": ["a long text", "short"], "label": [0, 1]}),
    }
    monkeypatch.setattr(
        "peftsearch.export.proof.open_prepared", lambda run, fingerprint: TextData(LABELS, splits, fingerprint)
    )
    assert rows_of_study(RunFolder(tmp_path), trial("tfidf", tmp_path)) == Rows(
        [("short",), ("a long text",)], "validation rows"
    )

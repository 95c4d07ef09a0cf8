"""The script of a trial: it trains without us what the trial trained, and says where it could not."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from peftsearch.backbones.heads import HEADS
from peftsearch.backbones.names import resolve
from peftsearch.backbones.poolings import POOLINGS
from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.data.base import TextData
from peftsearch.export.script import pieces
from peftsearch.export.script.encoder_script import EncoderScript
from peftsearch.export.script.text_script import text_script
from peftsearch.export.script.write import export_script
from peftsearch.methods.table import ENCODER_METHODS, METHODS, TEXT_METHODS
from peftsearch.results.stored_study import open_stored
from peftsearch.training.trial import run_trial
from tests.helpers.records import complete, measurement, store
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import KEYS, toy_data
from tests.helpers.tuning import settings_of

TRAINED: dict[str, dict[str, Any]] = {
    "full": {"learning_rate": 0.003, "layer_decay": 0.8},
    "probe": {"learning_rate": 0.03, "head": "mlp", "pooling": "mean"},
    "frozen": {"learning_rate": 0.005, "head": "native"},
    "unfreezing": {"learning_rate": 0.003, "order": "from_end", "stages": 2, "head": "lstm"},
    "lora": {"learning_rate": 0.01, "rank": 4, "targets": "all", "b_learning_rate_ratio": 2.0, "pooling": "max"},
    "seq_bn": {"learning_rate": 0.02, "reduction_factor": 1, "pooling": "max"},
    "prefix": {"learning_rate": 0.02, "virtual_tokens": 6, "head": "mlp", "pooling": "max"},
    "tfidf": {"inverse_penalty": 10.0},
}
"""Methods of each library and each head → settings with which a tiny encoder learns the task."""

TRAINING = TrainingConfig(epochs=10, batch_size=16, precision="fp32", early_stopping=EarlyStopping(6))
SMOOTH = replace(TRAINING, label_smoothing=0.1, class_weights="balanced", focal_gamma=1.0, schedule="cosine")
NOISE = 0.08
"""How far two trainings of the same configuration may be apart in macro F1, with batches in another order."""

RUNNER = """\
import json, runpy, sys
sys.modules["peftsearch"] = None  # importing it raises
for file in sys.argv[1:]:
    sys.argv = [file]
    print("#", file)
    runpy.run_path(file, run_name="__main__")
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("bert"))


def configuration(model: Path, method: str, training: TrainingConfig = TRAINING, **settings: Any) -> TrialConfig:
    return TrialConfig(str(model), method, settings_of(method, **settings), training, max_length=24)


def written(config: TrialConfig, file: Path, labels: tuple[str, ...] = KEYS, pair: bool = False) -> str:
    about = {"title": "Trains.", "origin": "Trial 7.", "file": file.name, "rows": "rows"}
    if config.method in TEXT_METHODS:
        text = text_script(config, labels, about)
    else:
        script = EncoderScript(config, labels, pair, "fp32")
        assert script.unfaithful() is None
        text = script.text(about)
    file.write_text(text, encoding="utf-8")
    return text


def write_rows(folder: Path, data: TextData) -> None:
    folder.mkdir()
    for split in ("train", "validation"):
        rows = [{**row, "label": data.labels[row["label"]]} for row in data.splits[split]]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_scripts_reach_what_their_trials_reached(model: Path, tmp_path: Path) -> None:
    """All of them in one new process, in which importing peftsearch is an error."""
    data = toy_data(240, 120)
    write_rows(tmp_path / "rows", data)
    reached = {}
    for method, settings in TRAINED.items():
        config = configuration(model, method, SMOOTH if method == "lora" else TRAINING, **settings)
        assert "peftsearch" not in written(config, tmp_path / f"{method}.py")
        measured = run_trial(config, data, lambda _: None, cache=tmp_path / "tokens").measurement
        reached[method] = measured.metrics["macro_f1"]
    environment = {**os.environ, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, *(f"{tmp_path / method}.py" for method in TRAINED)],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parts = [part.splitlines() for part in done.stdout.split("# ")[1:]]
    found = {Path(lines[0]).stem: float(lines[-1].removeprefix("best: macro F1 ")) for lines in parts}
    assert found == pytest.approx(reached, abs=NOISE)
    assert min(found.values()) > 0.6  # by chance a third


def test_a_script_labels_with_the_weights_that_it_has_kept(model: Path, tmp_path: Path) -> None:
    data = toy_data(240, 120)
    write_rows(tmp_path / "rows", data)
    written(configuration(model, "full", replace(TRAINING, epochs=6), **TRAINED["full"]), tmp_path / "full.py")
    calls = 'import runpy, sys\nfor more in ([], ["--label", "a good cat", "red"]):\n' \
        '    sys.argv = ["full.py", *more]\n    runpy.run_path("full.py", run_name="__main__")\n'  # fmt: skip
    done = subprocess.run([sys.executable, "-c", calls], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ['cat {"text": "a good cat"}', 'red {"text": "red"}']


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "modernbert", "mpnet", "mamba"])
@pytest.mark.parametrize("method", ENCODER_METHODS)
def test_every_script_is_python_or_says_why_there_is_none(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, architecture: str, method: str
) -> None:
    model = tmp_path_factory.getbasetemp() / architecture
    if not model.exists():
        tiny_model(model, architecture)
    config = configuration(model, method, head="linear")
    try:
        ENCODER_METHODS[method].check_supported(resolve(str(model)), config.settings, config.max_length)
    except UserError as error:
        pytest.skip(str(error))
    reason = EncoderScript(config, KEYS, False, "fp32").unfaithful()
    assert (reason is None) or (method, architecture) in REFUSED or method in pieces.UNFAITHFUL
    if reason is None:
        compile(written(config, tmp_path / "train.py"), "train.py", "exec")


REFUSED = {
    *((method, "mpnet") for method in ("seq_bn", "double_seq_bn", "par_bn", "compacter", "loreft")),
    *((method, "modernbert") for method in ("seq_bn", "double_seq_bn", "par_bn", "compacter", "loreft")),
    *((method, "mamba") for method in ("lora", "vera", "loha", "lokr", "prompt", "p_tuning")),
}
"""Where an architecture needs more preparation for a library than a short script holds."""


def test_a_script_ends_where_the_time_limit_ended_its_trial(model: Path) -> None:
    about = {"title": "Trains.", "origin": "Trial 7.", "file": "train.py", "rows": "rows"}
    whole, cut = (EncoderScript(configuration(model, "lora"), KEYS, False, "fp32", n).text(about) for n in (None, 1))
    ast.parse(cut)
    assert "LAST_EPOCH" not in whole
    added = [line.strip() for line in cut.splitlines() if line not in whole.splitlines()]
    assert added == ["LAST_EPOCH = 1", "if epoch + 1 == LAST_EPOCH:  # the time limit of the search ended it here"]


def test_the_pieces_cover_the_tables() -> None:
    assert set(pieces.BUILT) == set(HEADS)
    assert set(pieces.POOLED) == set(POOLINGS)
    assert set(pieces.UNFAITHFUL) <= set(METHODS)
    assert {method.library for method in ENCODER_METHODS.values()} == set(pieces.NEEDS)


def test_what_a_script_cannot_do_is_one_line(model: Path) -> None:
    told = {
        "none": "the method none trains nothing",
        "adalora": "AdaLoRA allocates its ranks in the training loop, which a short script would leave out",
    }
    for method, message in told.items():
        assert EncoderScript(configuration(model, method), KEYS, False, "fp32").unfaithful() == message
    native = configuration(model, "lora", head="native")
    assert EncoderScript(native, KEYS, False, "fp32").unfaithful() == (
        "head: native cannot be put on lora in a few lines"
    )
    chosen = replace(configuration(model, "full"), selection="macro_recall")
    assert EncoderScript(chosen, KEYS, False, "fp32").unfaithful() == (
        "its best epoch is chosen by macro_recall, which the script cannot compute"
    )


def test_labels_and_names_are_text_in_a_script(model: Path, tmp_path: Path) -> None:
    """Whatever the data calls its classes, the script names them and runs none of it."""
    labels = ('"""', "\\'; import os #", "a\nb", "<<loss>>", "кот")
    text = written(configuration(model, "probe"), tmp_path / "train.py", labels)
    space: dict[str, Any] = {"__file__": "train.py"}
    exec(compile(text.partition("\nDEVICE")[0], "train.py", "exec"), space)
    assert space["LABELS"] == list(labels)


def test_the_command_writes_script_and_rows_but_no_test_row(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = toy_data(30, 12)
    for split, rows in data.splits.items():
        lines = [json.dumps({"text": f"{row['text']} {split}", "label": KEYS[row["label"]]}) for row in rows]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    source = {split: f"{split}.jsonl" for split in data.splits}
    (tmp_path / "toy.yaml").write_text(
        f"name: toy\ndata: {{source: {json.dumps(source)}, max_length: 24}}\n"
        f"backbones: [{model}]\nmethods: {{probe: {{}}}}\n"
    )
    record = replace(complete(0, "probe", 0.9, 10, 1.0), config=configuration(model, "probe"), measurement=None)
    stored = open_stored("toy", store(tmp_path, [record], about={"data": {"source": source, "max_length": 24}}))
    assert export_script(replace(stored, name="toy.yaml"), 0, "scripts/train.py") == Path("scripts/train.py")
    found = sorted(str(path.relative_to("scripts")) for path in Path("scripts").rglob("*") if path.is_file())
    assert found == ["train-rows/train.jsonl", "train-rows/validation.jsonl", "train.py"]
    kept = [json.loads(line) for line in Path("scripts/train-rows/validation.jsonl").read_text().splitlines()]
    assert {row["text"].split()[-1] for row in kept} == {"validation"}
    assert {row["label"] for row in kept} == set(KEYS)
    with pytest.raises(UserError, match=r"^--script scripts/train.py: is there already; choose a new name, or add"):
        export_script(replace(stored, name="toy.yaml"), 0, "scripts/train.py")
    other = replace(record, measurement=measurement())
    stored = open_stored("other", store(tmp_path, [other], "other", about={"data": {"source": source}}))
    with pytest.raises(UserError, match="is not what trial 0 was trained on"):
        export_script(replace(stored, name="toy.yaml"), 0, "other.py")
    assert not Path("other.py").exists()

"""Writes a trial's classifier as ONNX into its exported folder, and proves what it answers with onnxruntime alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from peftsearch.core.errors import UserError
from peftsearch.export.description import CARD
from peftsearch.export.onnx.graph import check_installed, without_hints, write_graph
from peftsearch.export.onnx.loader import GRAPH, QUANTISED, loader_of
from peftsearch.export.standard.forms import FOLDER
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray

MOST_ROWS, BATCH, TIMED = 1000, 32, 100
"""At most so many rows are predicted, in batches of so many, and so many single texts are timed."""

TIE = 1e-3
"""Two best logits nearer than this are a tie, which rounding may decide otherwise."""

MOST_LOST = 0.02
"""The macro F1 on the validation rows that int8 may cost, 0..1."""

SCRIPT = "peftsearch.export.onnx.fresh_process"
"""What the fresh process runs; it is not imported here."""


@dataclass(frozen=True)
class Answers:
    """What a graph, or the trial's own classifier, says about the rows.

    Attributes:
        logits: of shape (rows, classes).
        p50: the median of the milliseconds for one text, tokenised too.
        p95: their 95th percentile.
    """

    logits: NDArray[np.floating]
    p50: float
    p95: float


def check_method(kept: Checkpoint) -> None:
    """Refuse a classifier that has no graph, before anything is written.

    Raises:
        UserError: it has no backbone, or a package is missing.
    """
    if kept.config.method in TEXT_METHODS:
        raise UserError(f"--onnx: {kept.config.method} has no network to write as ONNX; leave --onnx out")
    check_installed()


def write_onnx(
    kept: Checkpoint, folder: Path, split: Dataset | None, int8: bool = False, say: Callable[[str], None] = print
) -> None:
    """Write `onnx/model.onnx` into an exported folder, and `onnx/model_int8.onnx` if it is wanted.

    Each is opened in a fresh process by the lines that the model card prints, and labels validation rows there.

    Args:
        kept: the trial's checkpoint.
        folder: the exported folder, with the tokenizer and `config.json`.
        split: the study's validation rows; None if its prepared data is gone.
        int8: whether to write weights of 8 bits, too: a quarter of the size, and answers that may differ.
        say: called with what the proof of each file has found.

    Raises:
        UserError: the classifier has no form in ONNX, a label differs, or int8 costs more than `MOST_LOST`.
    """
    from peftsearch.backbones.loading import resolve, tokenizer_of
    from peftsearch.training.serving import encoder_latency

    check_method(kept)
    if split is None:
        raise UserError("--onnx is proven on validation rows, and the study's prepared data is gone; leave --onnx out")
    rows = split.select(range(min(MOST_ROWS, len(split))))
    columns = [list(rows[name]) for name in ("text", "pair") if name in rows.column_names]
    labels = np.asarray(rows["label"])
    config, tokenizer = kept.config, tokenizer_of(kept.config, resolve(kept.config.backbone, kept.config.revision))
    latency = encoder_latency(kept.classifier(), config, tokenizer, rows)
    own = Answers(_own_logits(kept, tokenizer, columns), latency.p50, latency.p95)
    (folder / GRAPH).parent.mkdir(exist_ok=True)
    write_graph(kept.classifier(), config, tokenizer, len(columns) == 2, folder / GRAPH)
    found = fresh_answers(folder, GRAPH, columns)
    say(_same(own, found, _size(folder / GRAPH)))
    if int8:
        _quantise(folder)
        say(_close(own, fresh_answers(folder, QUANTISED, columns), labels, _size(folder / QUANTISED)))
    _add_to_card(folder, len(columns) == 2, int8)


def _add_to_card(folder: Path, pair: bool, int8: bool) -> None:
    """Say at the end of the model card how the graph is opened."""
    small = f" `{QUANTISED}` holds the same with weights of 8 bits; its answers may differ a little." if int8 else ""
    code = loader_of(FOLDER, GRAPH, pair)
    with (folder / CARD).open("a", encoding="utf-8") as card:
        card.write(f"\n## Without torch\n\n`pip install onnxruntime transformers`.{small}\n\n```python\n{code}```\n")


def fresh_answers(folder: Path, graph: str, columns: Sequence[Sequence[str]]) -> Answers:
    """What a graph says in a process of its own that has onnxruntime and the tokenizer, but not torch.

    Raises:
        UserError: the loader fails there.
    """
    script = find_spec(SCRIPT)
    assert script is not None, "it is one of our modules"
    with tempfile.TemporaryDirectory() as scratch:
        loader = loader_of(folder.resolve(), graph, len(columns) == 2)
        job = {"loader": loader, "columns": columns, "batch_size": BATCH, "time": TIMED}
        (Path(scratch) / "job.json").write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-P", str(script.origin), str(Path(scratch) / "job.json"), scratch]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, cwd=scratch)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"--onnx: {graph} cannot be opened with onnxruntime: {reason}")
        p50, p95 = np.percentile(1000 * np.load(Path(scratch) / "seconds.npy"), [50, 95]).tolist()
        return Answers(np.load(Path(scratch) / "logits.npy"), p50, p95)


def _own_logits(kept: Checkpoint, tokenizer: object, columns: Sequence[Sequence[str]]) -> NDArray[np.floating]:
    import torch

    from peftsearch.training.batches import text_batch

    texts, classifier = list(zip(*columns, strict=True)), kept.classifier().eval()
    with torch.inference_mode():
        batches = [
            text_batch(tokenizer, texts[start : start + BATCH], kept.config.max_length)
            for start in range(0, len(texts), BATCH)
        ]
        logits: NDArray[np.floating] = torch.cat([classifier(**batch).logits for batch in batches]).numpy()
    return logits


def _quantise(folder: Path) -> None:
    """Weights of 8 bits, and activations that are rounded as they come: no rows are needed to calibrate."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with without_hints():
        quantize_dynamic(folder / GRAPH, folder / QUANTISED, weight_type=QuantType.QInt8)


def _same(own: Answers, found: Answers, size: str) -> str:
    """What the proof says of a graph that has to answer as the trial does.

    Raises:
        UserError: a label differs.
    """
    best = np.sort(own.logits, axis=1)[:, ::-1]
    other = own.logits.argmax(axis=1) != found.logits.argmax(axis=1)
    changed = int((other & (best[:, 0] - best[:, 1] >= TIE)).sum())
    largest = float(np.abs(own.logits - found.logits).max())
    if changed or not np.isfinite(largest):
        raise UserError(
            f"--onnx: nothing was exported, because the graph labels {changed} of {len(other)} validation rows "
            "otherwise than the trial; leave --onnx out"
        )
    return (
        f"{GRAPH} ({size}): in a fresh process with onnxruntime and no torch, none of {len(other):,} validation rows "
        f"gets another label, logits differ by at most {largest:.1g}; {_times(own, found)}"
    )


def _close(own: Answers, found: Answers, labels: NDArray[np.integer], size: str) -> str:
    """What the proof says of int8, which may answer otherwise here and there.

    Raises:
        UserError: it costs too much.
    """
    from sklearn.metrics import f1_score

    before, after = (f1_score(labels, a.logits.argmax(axis=1), average="macro", zero_division=0) for a in (own, found))
    said = f"macro F1 on {len(labels):,} validation rows is {after:.4f} in int8 and {before:.4f} in fp32"
    if not before - after <= MOST_LOST:
        raise UserError(f"--int8: nothing was exported, because {said}, which costs over {MOST_LOST}; leave --int8 out")
    changed = int((own.logits.argmax(axis=1) != found.logits.argmax(axis=1)).sum())
    labelled = "1 row gets" if changed == 1 else f"{changed:,} rows get"
    return f"{QUANTISED} ({size}): {labelled} another label, {said}; {_times(own, found)}"


def _times(own: Answers, found: Answers) -> str:
    return f"one text takes {found.p50:.1f} ms, p95 {found.p95:.1f} (with torch {own.p50:.1f} ms, p95 {own.p95:.1f})"


def _size(file: Path) -> str:
    return f"{sum(part.stat().st_size for part in file.parent.glob(f'{file.name}*')) / 1e6:,.1f} MB"

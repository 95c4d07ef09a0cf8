"""Measures a finished trial's classifier on another split, with the batches and number format of its own evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from peftsearch.core.errors import UserError
from peftsearch.core.measurement import SplitScores
from peftsearch.data.base import TextData, documents
from peftsearch.training.batches import padding
from peftsearch.training.compute import Compute, chosen_device
from peftsearch.training.metrics.classification import class_report, classification_metrics, cross_entropy
from peftsearch.training.precision.number_formats import in_number_format
from peftsearch.training.rows import token_rows
from peftsearch.training.text_trial import TextTrialResult
from peftsearch.training.trial import TrialResult


def check_split(data: TextData, split: str) -> None:
    """Check that `data` has the split, and that all of its labels are classes of the training split.

    Raises:
        UserError: it lacks the split, or some label is none of the classes.
    """
    if split not in data.splits or not len(data.splits[split]):
        raise UserError(f"the data has no {split} split; give it a file, or let data.splits cut one off")
    labels, classes = np.asarray(data.splits[split]["label"]), len(data.labels)
    odd = labels[(labels < 0) | (labels >= classes)]
    if len(odd):
        raise UserError(
            f"{len(odd):,} rows of the {split} split have labels such as {odd[0]}, which is none of the {classes} "
            f"classes of train; a {split} split without its labels cannot be measured"
        )


def measure_split(
    result: TrialResult | TextTrialResult, data: TextData, split: str, *, cache: Path, device: str = "auto"
) -> SplitScores:
    """What the classifier of `result` scores on a split. Labels are read only to count what it labelled correctly.

    Args:
        cache: folder of the tokenised splits, as in training.

    Raises:
        UserError: the split is missing, or has other labels.
        TrialFailure: a metric of 🤗 Evaluate is not finite.
    """
    check_split(data, split)
    if isinstance(result, TextTrialResult):
        rows = data.splits[split]
        logits, labels = result.model.scores(documents(rows)), np.asarray(rows["label"])
    else:
        logits, labels = _logits(result, data, split, cache, chosen_device(device))
    metrics = classification_metrics(logits, labels, result.config.evaluate)
    return SplitScores(
        metrics={**metrics, f"{split}_loss": cross_entropy(logits, labels)},
        classes=class_report(logits, labels, data.labels),
    )


def _logits(
    result: TrialResult, data: TextData, split: str, cache: Path, on: torch.device
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits of shape (rows, classes) and labels of shape (rows,), the shortest row first."""
    rows = token_rows(data, split, result.tokenizer, result.config.max_length, cache)
    compute = Compute(on, result.measurement.precision, result.measurement.micro_batch_size)
    collate, size = padding(result.tokenizer, on, result.config.max_length), compute.evaluation_batch
    classifier, found = result.classifier.to(on).eval(), []
    with torch.no_grad(), in_number_format(on, compute.precision):
        for start in range(0, len(rows), size):
            batch = collate.inputs([rows[i][0] for i in range(start, min(start + size, len(rows)))])
            inputs = {name: tensor.to(on) for name, tensor in batch.items()}
            found.append(classifier(**inputs).logits.float().cpu())
    classifier.to("cpu")
    return torch.cat(found).double().numpy(), rows.labels[rows.order]

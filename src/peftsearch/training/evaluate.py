"""Measures a finished trial's classifier on another split, with the batches and number format of its own evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from peftsearch.core.errors import UserError
from peftsearch.core.measurement import SplitScores
from peftsearch.core.predictions import Predictions
from peftsearch.data.base import TextData, documents
from peftsearch.training.batches import padding
from peftsearch.training.compute import Compute, chosen_device
from peftsearch.training.metrics.classification import class_report, classification_metrics, cross_entropy, in_order
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
    predictions = predict_split(result, data, split, cache=cache, device=device)
    return split_scores(predictions, split, data.labels, result.config.evaluate)


def predict_split(
    result: TrialResult | TextTrialResult, data: TextData, split: str, *, cache: Path, device: str = "auto"
) -> Predictions:
    """What the classifier of `result` says about the rows of a split; arguments and errors as for `measure_split`."""
    check_split(data, split)
    if isinstance(result, TextTrialResult):
        rows = data.splits[split]
        return in_order(result.model.scores(documents(rows)), np.asarray(rows["label"]))
    return _predict(result, data, split, cache, chosen_device(device))


def split_scores(
    predictions: Predictions, split: str, labels: tuple[str, ...], evaluate: tuple[str, ...] = ()
) -> SplitScores:
    """The metrics of predictions on a split, as a trial's own are computed.

    Args:
        labels: the names of the classes.
        evaluate: objectives of the form `evaluate:NAME` to compute too.
    """
    logits, true = predictions.logits, predictions.labels
    metrics = classification_metrics(logits, true, evaluate)
    return SplitScores(
        metrics={**metrics, f"{split}_loss": cross_entropy(logits, true)}, classes=class_report(logits, true, labels)
    )


def _predict(result: TrialResult, data: TextData, split: str, cache: Path, on: torch.device) -> Predictions:
    """The rows are evaluated from the shortest to the longest, and put back into their own order."""
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
    return in_order(torch.cat(found).numpy(), rows.labels[rows.order], rows.order)

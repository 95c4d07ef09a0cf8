"""Measures a finished trial's classifier on another split, with the batches and number format of its own evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from peftsearch.core.errors import Interrupted
from peftsearch.core.measurement import SplitScores
from peftsearch.core.predictions import Predictions
from peftsearch.data.base import TextData, documents
from peftsearch.data.splits import check_split
from peftsearch.training.batches import padding
from peftsearch.training.compute import Compute, chosen_device
from peftsearch.training.metrics.classification import class_report, classification_metrics, cross_entropy, in_order
from peftsearch.training.precision.number_formats import in_number_format
from peftsearch.training.rows import TokenRows, token_rows
from peftsearch.training.text_trial import TextTrialResult
from peftsearch.training.trial import TrialResult


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
    result: TrialResult | TextTrialResult,
    data: TextData,
    split: str,
    *,
    cache: Path,
    device: str = "auto",
    should_stop: Callable[[], bool] = lambda: False,
) -> Predictions:
    """What the classifier of `result` says about the rows of a split; arguments and errors as for `measure_split`.

    Args:
        should_stop: asked before every batch.

    Raises:
        Interrupted: `should_stop` said so.
    """
    check_split(data, split)
    if isinstance(result, TextTrialResult):
        rows = data.splits[split]
        return in_order(result.model.scores(documents(rows)), np.asarray(rows["label"]))
    return _predict(
        result,
        token_rows(data, split, result.tokenizer, result.config.max_length, cache),
        chosen_device(device),
        should_stop,
    )


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


def _predict(result: TrialResult, rows: TokenRows, on: torch.device, should_stop: Callable[[], bool]) -> Predictions:
    """The rows are evaluated from the shortest to the longest, and put back into their own order."""
    compute = Compute(on, result.measurement.precision, result.measurement.micro_batch_size)
    collate, size = padding(result.tokenizer, on, result.config.max_length), compute.evaluation_batch
    classifier, found = result.classifier.to(on).eval(), []
    with torch.no_grad(), in_number_format(on, compute.precision):
        for start in range(0, len(rows), size):
            if should_stop():
                raise Interrupted("stopped while another split was measured")
            batch = collate.inputs([rows[i][0] for i in range(start, min(start + size, len(rows)))])
            inputs = {name: tensor.to(on) for name, tensor in batch.items()}
            found.append(classifier(**inputs).logits.float().cpu())
    classifier.to("cpu")
    return in_order(torch.cat(found).numpy(), rows.labels[rows.order], rows.order)

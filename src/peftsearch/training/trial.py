"""One trial: data, backbone and method are put together, trained and measured. No other module does that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.backbones.loading import ResolvedModel, resolve, tokenizer_of
from peftsearch.core.config import TrialConfig
from peftsearch.core.constraints import Constraint
from peftsearch.core.errors import TrialFailure
from peftsearch.core.files.cache_folder import PREFIXES
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.predictions import Predictions
from peftsearch.data.base import TextData
from peftsearch.methods.table import ENCODER_METHODS, TEXT_METHODS
from peftsearch.training.attempt import Attempt, Trained
from peftsearch.training.batches import POOL_BATCHES, padding
from peftsearch.training.checkpoint import save_classifier
from peftsearch.training.compute import Compute, chosen_device
from peftsearch.training.dry_run import check_before_training
from peftsearch.training.loop.callbacks import Report
from peftsearch.training.meter import device_name
from peftsearch.training.precision.benchmark import TrainingStep
from peftsearch.training.precision.choice import choose_precision
from peftsearch.training.prefix_cache.store import PrefixStore
from peftsearch.training.rows import TrialRows, token_rows
from peftsearch.training.serving import ASKED, encoder_latency
from peftsearch.training.text_trial import TextTrialResult, run_text_trial

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from peftsearch.backbones.classifier import Classifier


@dataclass(frozen=True)
class TrialResult:
    """A finished trial: its measurement, and its classifier with the best epoch's weights, on the CPU.

    Attributes:
        predictions: what the classifier said about the validation rows; None for one that was put together elsewhere.
    """

    measurement: Measurement
    classifier: Classifier
    tokenizer: PreTrainedTokenizerBase
    config: TrialConfig
    labels: tuple[str, ...]
    predictions: Predictions | None = None

    def save(self, folder: Path) -> None:
        """Write the trial's checkpoint into `folder`."""
        save_classifier(self.classifier, self.config, self.measurement, self.labels, folder)


def run_trial(
    config: TrialConfig,
    data: TextData,
    report: Report,
    *,
    cache: Path,
    device: str = "auto",
    should_stop: Callable[[], bool] = lambda: False,
    cache_size: int | None = None,
    exact: bool = False,
    constraints: Sequence[Constraint] = (),
    last_epoch: int | None = None,
    paused: Path | None = None,
) -> TrialResult | TextTrialResult:
    """Train `config` on the training split of `data` and measure it on the validation split.

    Args:
        report: called after every epoch; what it raises ends the trial and passes through.
        cache: folder of the tokenised splits and the frozen-prefix cache, shared with other studies and workers.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        should_stop: asked after every step and every evaluated batch.
        cache_size: bytes that the frozen-prefix cache may take; by default a quarter of the free disk space.
        exact: do without every speed-up that changes results, however little: no frozen-prefix cache, batches of
            random rows, and fp32 unless the study names a number format.
        constraints: the study's. A configuration that would break one whatever it learns is not trained.
        last_epoch: the epoch that ends the training and whose weights are kept, whatever its scores, under the schedule
            of all epochs; by default the epoch with the best score is kept.
        paused: the file that keeps the trial's state after its epochs. If it holds the state of an interrupted training
            of just this trial, the training goes on from there, and its epochs are reported again first.

    Raises:
        BreaksConstraint: the number of trainable parameters breaks a constraint.
        TrialFailure: the memory is too small for a single row, or a loss is not finite.
        Interrupted: `should_stop` said so.
        UserError: the backbone cannot be loaded, or does not fit the method.
    """
    check_before_training(config, len(data.labels), constraints)
    if config.method in TEXT_METHODS:
        return run_text_trial(config, data, TEXT_METHODS[config.method], exact, should_stop)
    return _run_encoder_trial(
        config, data, report, cache, chosen_device(device), should_stop, cache_size, exact, last_epoch, paused
    )


def micro_batch_sizes(batch_size: int) -> Iterator[int]:
    """Micro-batches to try: the batch size, then about half of it and so on, each a divisor of the one before.

    >>> list(micro_batch_sizes(12))
    [12, 6, 3, 1]
    """
    micro = batch_size
    yield micro
    while micro > 1:
        micro = max(divisor for divisor in range(1, micro // 2 + 1) if micro % divisor == 0)
        yield micro


def _run_encoder_trial(
    config: TrialConfig,
    data: TextData,
    report: Report,
    cache: Path,
    device: torch.device,
    should_stop: Callable[[], bool],
    cache_size: int | None,
    exact: bool,
    last_epoch: int | None,
    paused: Path | None,
) -> TrialResult:
    takes_steps = ENCODER_METHODS[config.method].takes_steps
    resolved = resolve(config.backbone, config.revision, config.trust_remote_code)
    tokenizer = tokenizer_of(config, resolved)
    rows = trial_rows(config, data, tokenizer, device, cache, exact)
    compute = Compute(device, number_format(config, resolved, rows, device, exact), config.training.batch_size)
    # A backbone's own code may compute anything, and without training nothing is computed twice.
    caches = takes_steps and not exact and not config.trust_remote_code
    store = PrefixStore(cache / PREFIXES, cache_size) if caches else None
    report = report if takes_steps else _ignore
    attempt = Attempt(
        config, rows, data.fingerprint, resolved, compute, store, report, should_stop, exact, last_epoch, paused
    )
    done = _largest_that_fits(attempt)
    classifier, measurement = done.classifier, done.measurement
    if ASKED in config.measure:
        ask = should_stop if not measurement.out_of_time else lambda: False  # its epochs are to be kept
        latency = encoder_latency(classifier, config, tokenizer, data.splits["validation"], ask)
        measurement = latency.added_to(measurement)
    return TrialResult(measurement, classifier.to("cpu").eval(), tokenizer, config, data.labels, done.predictions)


def _largest_that_fits(attempt: Attempt) -> Trained:
    """What the attempt gives with the largest micro-batch that fits the memory."""
    config, compute = attempt.config, attempt.compute
    for micro_batch in micro_batch_sizes(config.training.batch_size):
        trained = replace(attempt, compute=replace(compute, micro_batch=micro_batch)).run()
        if trained is not None:
            return trained
    name = device_name(compute.device)
    raise TrialFailure("out_of_memory", f"one row of {config.max_length} tokens does not fit on {name}")


def trial_rows(
    config: TrialConfig,
    data: TextData,
    tokenizer: PreTrainedTokenizerBase,
    device: torch.device,
    cache: Path,
    exact: bool,
) -> TrialRows:
    return TrialRows(
        token_rows(data, "train", tokenizer, config.max_length, cache),
        token_rows(data, "validation", tokenizer, config.max_length, cache),
        padding(tokenizer, device, config.max_length),
        data.labels,
        pool_batches=1 if exact else POOL_BATCHES,
    )


def number_format(
    config: TrialConfig, resolved: ResolvedModel, rows: TrialRows, device: torch.device, exact: bool
) -> str:
    """The number format that a trial computes in."""
    asked = "fp32" if exact and config.training.precision == "auto" else config.training.precision
    tokens = float(rows.train.lengths.mean())
    step = TrainingStep(resolved, config.trust_remote_code, config.training.batch_size, tokens)
    return choose_precision(asked, device, step)


def _ignore(report: EpochReport) -> None:
    """Takes the reports of a method without training, which has no epochs."""

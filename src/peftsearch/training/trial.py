"""One trial: data, backbone and method put together, trained, measured. The only place that does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from peftsearch.backbones.loading import resolve, tokenizer_of
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import TrialFailure
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.run_folder import PREFIXES
from peftsearch.data.base import TextData
from peftsearch.data.tokens import tokenize
from peftsearch.methods.table import ENCODER_METHODS, TEXT_METHODS
from peftsearch.training.attempt import Setup
from peftsearch.training.batches import POOL_BATCHES, PadToLongest, TokenRows
from peftsearch.training.checkpoint import save_classifier
from peftsearch.training.loop.callbacks import Report
from peftsearch.training.loop.trainer import Rows
from peftsearch.training.meter import device_name
from peftsearch.training.precision.benchmark import Workload
from peftsearch.training.precision.choice import choose_precision
from peftsearch.training.prefix_cache.store import FeatureStore
from peftsearch.training.text_trial import TextTrialResult, run_text_trial

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from peftsearch.backbones.classifier import Classifier


@dataclass(frozen=True)
class TrialResult:
    """A finished trial: what it measured, and its classifier with the best epoch's weights, on the CPU."""

    measurement: Measurement
    classifier: Classifier
    tokenizer: PreTrainedTokenizerBase
    config: TrialConfig
    labels: tuple[str, ...]

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
) -> TrialResult | TextTrialResult:
    """Train `config` on the training split of `data` and measure it on the validation split.

    Args:
        report: called after every epoch; what it raises ends the trial and passes through.
        cache: folder of the tokenised splits and of frozen prefixes' states, shared with other workers.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        should_stop: asked after every step.
        cache_size: bytes that frozen prefixes' states may take; by default a quarter of the free disk space.
        exact: nothing that changes a result, however little, for the sake of speed: frozen prefixes are computed in
            every epoch, in fp32 unless the study names a precision, and batches are random rows of any length.

    Raises:
        TrialFailure: out of memory even at one row a step, or a loss that is not finite.
        Interrupted: `should_stop` said so.
        UserError: the backbone cannot be loaded, or does not fit the method.
    """
    if config.method in TEXT_METHODS:
        return run_text_trial(config, data, TEXT_METHODS[config.method])
    method = ENCODER_METHODS[config.method]
    # What is not trained has no epochs to report.
    report = report if method.takes_steps else _say_nothing
    on = chosen_device(device)
    resolved = resolve(config.backbone, config.revision)
    tokenizer = tokenizer_of(config, resolved)
    rows = Rows(
        token_rows(data, "train", tokenizer, config.max_length, cache),
        token_rows(data, "validation", tokenizer, config.max_length, cache),
        padding(tokenizer, on),
        data.labels,
        pool_batches=1 if exact else POOL_BATCHES,
    )
    asked = "fp32" if exact and config.training.precision == "auto" else config.training.precision
    tokens = float(rows.train.lengths.mean())
    workload = Workload(resolved, config.trust_remote_code, config.training.batch_size, tokens)
    precision = choose_precision(asked, on, workload)
    # A backbone's own code may compute anything; and without training nothing is computed twice.
    reuse = method.takes_steps and not exact and not config.trust_remote_code
    store = FeatureStore(cache / PREFIXES, cache_size) if reuse else None
    setup = Setup(config, rows, data.fingerprint, resolved, on, precision, store, report, should_stop)
    for micro_batch in halvings(config.training.batch_size):
        trained = setup.attempt(micro_batch)
        if trained is not None:
            classifier, measurement = trained
            return TrialResult(measurement, classifier.to("cpu").eval(), tokenizer, config, data.labels)
    raise TrialFailure("out_of_memory", f"one row of {config.max_length} tokens does not fit on {device_name(on)}")


def _say_nothing(report: EpochReport) -> None:
    """Takes the place of `report`."""


def halvings(batch_size: int) -> Iterator[int]:
    """Micro-batches to try: the batch size, then half of it and so on, each a divisor of the one before.

    >>> list(halvings(12))
    [12, 6, 3, 1]
    """
    micro = batch_size
    yield micro
    while micro > 1:
        micro = max(divisor for divisor in range(1, micro // 2 + 1) if micro % divisor == 0)
        yield micro


def chosen_device(asked: str) -> torch.device:
    """The device of that name; for `auto` the GPU if there is one."""
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(asked)


def padding(tokenizer: PreTrainedTokenizerBase, device: torch.device) -> PadToLongest:
    """How this tokenizer's rows become batches on `device`."""
    return PadToLongest(tokenizer.pad_token_id or 0, tokenizer.padding_side, multiple=8 if device.type == "cuda" else 1)


_ROWS: dict[tuple[object, ...], TokenRows] = {}
"""The splits this process trained on last: a warm worker reads them from disk once."""


def token_rows(
    data: TextData, split: str, tokenizer: PreTrainedTokenizerBase, max_length: int, cache: Path
) -> TokenRows:
    """One split's token ids; those to be evaluated stand sorted by length.

    Args:
        cache: folder of the tokenised splits.
    """
    key = (data.fingerprint, split, tokenizer.name_or_path, max_length)
    if key not in _ROWS:
        while len(_ROWS) >= 8:
            del _ROWS[next(iter(_ROWS))]
        _ROWS[key] = TokenRows(tokenize(data, split, tokenizer, max_length, cache), sort=split != "train")
    return _ROWS[key]

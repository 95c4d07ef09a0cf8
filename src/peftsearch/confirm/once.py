"""One run: trained without the test split, and only then measured on it. No other module lets a model see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import EpochReport, Measurement, SplitScores
from peftsearch.core.predictions import Predictions
from peftsearch.data.base import TextData

TEST = "test"


@dataclass(frozen=True)
class Tested:
    """A classifier that was measured on the test split.

    Attributes:
        measurement: on the validation split, as any trial's.
        predictions: what it said about the validation rows.
        test: its scores on the test split.
        test_predictions: what it said about the test rows.
    """

    measurement: Measurement
    predictions: Predictions | None
    test: SplitScores
    test_predictions: Predictions


def run_once(
    config: TrialConfig,
    data: TextData,
    cache: Path,
    *,
    exact: bool = False,
    last_epoch: int | None = None,
    device: str = "auto",
    cache_size: int | None = None,
    report: Callable[[EpochReport], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tested:
    """Train `config`, choose the best epoch on the validation split, and only then measure it on the test split.

    Args:
        data: with the test split, which training does not get.
        cache: folder of the tokenised splits.
        exact: as for `training.trial.run_trial`; so are the others.
        last_epoch: the epoch that ends the training, under the schedule of all, and whose weights are measured; None to
            choose the best epoch.

    Raises:
        TrialFailure: the memory is too small, or a loss or a metric is not finite.
        Interrupted: `should_stop` said so.
    """
    from peftsearch.training.evaluate import predict_split, split_scores
    from peftsearch.training.trial import run_trial

    sealed = replace(data, splits={name: rows for name, rows in data.splits.items() if name != TEST})
    result = run_trial(
        config, sealed, report, cache=cache, device=device, should_stop=should_stop, cache_size=cache_size, exact=exact,
        last_epoch=last_epoch,
    )  # fmt: skip
    said = predict_split(result, data, TEST, cache=cache, device=device, should_stop=should_stop)
    scores = split_scores(said, TEST, data.labels, config.evaluate)
    return Tested(result.measurement, result.predictions, scores, said)

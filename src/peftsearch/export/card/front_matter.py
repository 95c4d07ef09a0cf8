"""The YAML at the top of a model card, which the hub reads, written by the hub's own classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.names import hub_name
from peftsearch.core.escaping import on_one_line
from peftsearch.export.card.evidence import Evidence
from peftsearch.export.card.how_to_load import HowToLoad
from peftsearch.export.card.sources import hub_data_set, source_in_words
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.results.formatting import objective_label
from peftsearch.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

HUB_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "weighted_f1": "f1",
    "macro_precision": "precision",
    "macro_recall": "recall",
    "matthews_correlation": "matthews_correlation",
}
"""Of our metrics those that the hub knows, with the hub's name of each."""

TAGS = ("text-classification", "peftsearch")


def front_matter(kept: Checkpoint, data: Mapping[str, Any], name: str, evidence: Evidence, how: HowToLoad) -> str:
    """The YAML between the two lines of dashes.

    Licence and language are left out, because a study says neither, and the base model too unless the hub has it.

    Args:
        data: the study's `data:` section; empty if it is not known.
        name: what the hub's list of results calls the classifier.
    """
    from huggingface_hub import ModelCardData

    results = [] if evidence.all_rows else list(_results(kept, data, evidence))
    base = None if kept.config.method in TEXT_METHODS else hub_name(kept.config.backbone)
    written = ModelCardData(
        library_name=how.library,
        pipeline_tag="text-classification",
        tags=[*TAGS, kept.config.method],
        base_model=base,
        datasets=hub_data_set(data.get("source")),
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=on_one_line(name),
        eval_results=results or None,
    )
    return written.to_yaml()


def _results(kept: Checkpoint, data: Mapping[str, Any], evidence: Evidence) -> Iterator[EvalResult]:
    """What was measured on the validation split, and the mean of what `confirm` has measured on the test split."""
    confirmed = evidence.confirmed
    tests = [run.test.metrics for run in confirmed.counted if run.test] if confirmed else []
    for metric in HUB_METRICS:
        if metric in kept.measurement.metrics:
            yield _result(data, "validation", metric, kept.measurement.metrics[metric], objective_label(metric))
        if tests and all(metric in test for test in tests):
            mean = sum(test[metric] for test in tests) / len(tests)
            seeds = f" (mean of {len(tests)} other seeds)" if len(tests) > 1 else ""
            yield _result(data, "test", metric, mean, objective_label(metric) + seeds)


def _result(data: Mapping[str, Any], split: str, metric: str, value: float, name: str) -> EvalResult:
    from huggingface_hub import EvalResult

    words = on_one_line(source_in_words(data.get("source")))
    return EvalResult(
        task_type="text-classification",
        task_name="text classification",
        dataset_type=hub_data_set(data.get("source")) or words,
        dataset_name=words,
        dataset_revision=data.get("revision"),
        dataset_split=split,
        metric_type=HUB_METRICS[metric],
        metric_name=name,
        metric_value=round(value, 4),
    )

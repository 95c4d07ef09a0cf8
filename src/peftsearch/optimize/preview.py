"""What can be said about a study before anything is trained: token lengths and parameter counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peftsearch.core.constraints import BreaksConstraint
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.study.suggest import baseline_config

if TYPE_CHECKING:
    from peftsearch.core.config import TrialConfig
    from peftsearch.data.base import TextData
    from peftsearch.data.describe import TokenLengths
    from peftsearch.study.spec import StudySpec


def token_lengths(spec: StudySpec, data: TextData) -> dict[str, TokenLengths]:
    """How many tokens the training texts have, by backbone name.

    Raises:
        UserError: a tokenizer cannot be read.
    """
    from peftsearch.backbones.loading import resolve, tokenizer_of
    from peftsearch.data.describe import token_lengths

    found = {}
    for backbone in spec.backbones:
        tokenizer = tokenizer_of(backbone, resolve(backbone.name, backbone.revision, backbone.trust_remote_code))
        found[backbone.name] = token_lengths(data, tokenizer, backbone.max_length or spec.data.max_length)
    return found


def baseline_parameters(spec: StudySpec, classes: int | None = None) -> list[tuple[TrialConfig, list[int]]]:
    """Count the trainable parameters of each baseline in each epoch. A backbone's `config.json` is enough for that.

    Args:
        classes: the number of labels; by default the study's data is read to count them.

    Returns:
        One pair for each baseline: its configuration and one count per epoch, or no counts if the method reads texts
        and has no parameters before it has seen them.

    Raises:
        UserError: a baseline does not fit its backbone, or the data cannot be read.
    """
    from peftsearch.backbones.names import resolve_config_only
    from peftsearch.training.dry_run import trainable_by_epoch

    if classes is None:
        from peftsearch.data.load import data_of_study

        classes = len(data_of_study(spec.data, spec.folder, RunFolder.of(spec.name)).labels)
    configs = [baseline_config(spec, baseline) for baseline in spec.baselines]
    return [
        (c, trainable_by_epoch(c, resolve_config_only(c.backbone, c.revision), classes) if _has_backbone(c) else [])
        for c in configs
    ]


def untrained_baselines(spec: StudySpec, classes: int) -> list[str]:
    """A line for each baseline that would break a constraint whatever it learns, so that it will not be trained.

    Args:
        classes: the number of labels.
    """
    from peftsearch.results.formatting import backbone_in_words, config_in_words
    from peftsearch.training.dry_run import check_before_training

    lines = []
    for config in (baseline_config(spec, baseline) for baseline in spec.baselines):
        try:
            check_before_training(config, classes, spec.constraints)
        except BreaksConstraint as broken:
            words = f"{config.method} on {backbone_in_words(config.backbone)} ({config_in_words(config)})"
            lines.append(f"not trained: {words} {broken}")
    return lines


def _has_backbone(config: TrialConfig) -> bool:
    from peftsearch.methods.table import ENCODER_METHODS

    return config.method in ENCODER_METHODS

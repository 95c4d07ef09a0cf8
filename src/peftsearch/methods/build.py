"""A backbone, a method and a head put together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.backbones.anatomy import anatomy_of, modules
from peftsearch.backbones.heads import HEADS, HeadInputs

if TYPE_CHECKING:
    from torch import nn

    from peftsearch.backbones.classifier import Classifier
    from peftsearch.backbones.loading import ResolvedModel
    from peftsearch.methods.base import EncoderMethod
    from peftsearch.methods.hyperparameters import Settings


def build_classifier(
    resolved: ResolvedModel,
    method: EncoderMethod,
    settings: Settings,
    num_labels: int,
    *,
    max_length: int = 0,
    trust_remote_code: bool = False,
    adapter: Path | None = None,
    without_weights: bool = False,
) -> Classifier:
    """The pretrained backbone made ready for `method`, with a new head; on the CPU, in training mode.

    New tensors are random: seed torch before.

    Args:
        settings: a value for every name in `method.hyperparameters`.
        max_length: tokens of the longest text, if known: checked against the backbone's positions.
        without_weights: make the backbone from its `config.json`, with random tensors.
        adapter: a folder that `method.save` has written: its tensors instead of new ones, all frozen.

    Raises:
        UserError: the backbone cannot be loaded, or `method` or the head does not fit it.
    """
    from peftsearch.backbones.classifier import Classifier

    method.check_supported(resolved, settings, max_length)
    encoder, head = _encoder_and_head(resolved, settings, num_labels, trust_remote_code, without_weights)
    parts = anatomy_of(encoder)
    # Before the method wraps the encoder and its names change.
    embeddings, tail = modules(encoder, parts.embeddings), modules(encoder, parts.tail)
    layers = modules(encoder, (layer.name for layer in parts.layers))
    tuned = method.apply(encoder, settings) if adapter is None else method.load(encoder, adapter, settings)
    classifier = Classifier(
        tuned,
        head,
        embeddings=[] if method.changes_input else embeddings,
        layers=[] if method.changes_input else layers,
        tail=[] if method.changes_input else tail,
        takes_token_types=parts.takes_token_types,
    )
    return classifier.train()


def outline(resolved: ResolvedModel, method: EncoderMethod, settings: Settings, num_labels: int) -> Classifier:
    """The classifier's parameters without memory or values (on torch's meta device), from `config.json` alone.

    Raises:
        UserError: `method` or the head does not fit the backbone.
    """
    import torch

    with torch.device("meta"):
        settings = method.settings_on_meta_device(settings)
        return build_classifier(resolved, method, settings, num_labels, without_weights=True)


def _encoder_and_head(
    resolved: ResolvedModel, settings: Settings, num_labels: int, trust_remote_code: bool, without_weights: bool
) -> tuple[nn.Module, nn.Module]:
    """The bare encoder, and a new head for it."""
    from peftsearch.backbones.loading import load_encoder, load_native

    head, model = HEADS[str(settings["head"])], None
    if head.native:
        model = load_native(resolved, num_labels, trust_remote_code, without_weights)
        encoder: nn.Module = getattr(model, str(model.base_model_prefix))
    else:
        encoder = load_encoder(resolved, trust_remote_code, without_weights)
    inputs = HeadInputs(
        width=anatomy_of(encoder).hidden_size,
        num_labels=num_labels,
        dropout=float(settings["head_dropout"]),
        pooling=str(settings["pooling"]),
        sequence_classifier=model,
    )
    return encoder, head.build(inputs)

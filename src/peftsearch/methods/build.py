"""Builds the classifier of a trial from a backbone, a method and a head."""

from __future__ import annotations

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
    without_weights: bool = False,
) -> Classifier:
    """Prepare the pretrained backbone for `method` and put a new head on it.

    New parameters are random, so the caller seeds torch before.

    Args:
        resolved: where the backbone's files are.
        method: how the backbone is tuned.
        settings: a value for every name in `method.hyperparameters`.
        num_labels: the number of classes.
        max_length: tokens of the longest text, which must fit the backbone's positions; 0 if it is not known.
        trust_remote_code: whether the backbone's own code may run.
        without_weights: whether the backbone is made from its `config.json`, with random parameters.

    Returns:
        The classifier on the CPU, in training mode.

    Raises:
        UserError: the backbone cannot be loaded, or `method` or the head does not fit it.
    """
    from peftsearch.backbones.classifier import Classifier

    method.check_supported(resolved, settings, max_length)
    encoder, head = _encoder_and_head(resolved, settings, num_labels, trust_remote_code, without_weights)
    parts = anatomy_of(encoder)
    names = {"embeddings": parts.embeddings, "layers": (layer.name for layer in parts.layers), "tail": parts.tail}
    # The modules are looked up before the method wraps the encoder, which changes their names.
    blocks = {block: [] if method.changes_input else modules(encoder, names[block]) for block in names}
    return Classifier(
        method.apply(encoder, settings), head, **blocks, takes_token_types=parts.takes_token_types
    ).train()


def build_on_meta_device(
    resolved: ResolvedModel, method: EncoderMethod, settings: Settings, num_labels: int
) -> Classifier:
    """Build a classifier whose parameters have shapes but neither memory nor values, from `config.json` alone.

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
    """Load the encoder and build a new head for it."""
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

"""A trial as AdapterHub's adapter of its architecture's own classifier: what was added, and the head; no backbone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.anatomy import anatomy_of_config
from peftsearch.backbones.loading import load_native
from peftsearch.backbones.names import public_name
from peftsearch.core.config import TrialConfig
from peftsearch.export.standard.adapter_backbone import backbone_of, named
from peftsearch.export.standard.tensors import tensors_of
from peftsearch.methods.adapterhub.adding import tuned
from peftsearch.methods.adapterhub.base import IN_LAYER, save
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.checkpoint import load_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from peftsearch.backbones.classifier import Classifier
    from peftsearch.backbones.loading import ResolvedModel

WEIGHTS, HEAD_WEIGHTS = "adapter.safetensors", "model_head.safetensors"
"""AdapterHub's names for the files of an adapter and its head."""


def write_adapterhub_adapter(
    classifier: Classifier, resolved: ResolvedModel, config: TrialConfig, labels: Sequence[str], folder: Path
) -> None:
    """Write the files that AdapterHub's `load_adapter` opens in the architecture's own classifier.

    Args:
        classifier: a trained one with `head: native`, tuned by AdapterHub.
        resolved: its backbone, which the files name.
        labels: the names of the classes, in their order.
    """
    adapter = ENCODER_METHODS[config.method].adapter(anatomy_of_config(resolved.config()), config.settings)
    whole: Any = tuned(load_native(resolved, len(labels)), adapter)
    unknown = whole.load_state_dict(tensors_of(classifier, architecture=True), strict=False).unexpected_keys
    assert not unknown, f"the whole classifier is tuned as its encoder was, but lacks {unknown}"
    whole.config.name_or_path = named(resolved)
    save(whole, folder, {"revision": resolved.revision} if resolved.revision else {})
    whole.config.name_or_path = public_name(resolved.name)  # nothing is read from where the head's file says
    whole.config.id2label = dict(enumerate(labels))
    whole.config.label2id = {label: number for number, label in enumerate(labels)}
    whole.save_head(str(folder), use_safetensors=True)


def read_adapterhub_adapter(folder: Path, config: TrialConfig, num_labels: int) -> nn.Module:
    """The classifier whose adapter and head are in `folder`, over the backbone that its `adapter_config.json` names.

    Returns:
        A module that takes what a tokenizer returns and gives `logits`, on the CPU, in evaluation mode.

    Raises:
        UserError: the backbone is not found, or the folder's tensors are damaged, or do not fit `config`.
    """
    resolved = backbone_of(folder, "model_name")
    classifier = build_classifier(resolved, ENCODER_METHODS[config.method], config.settings, num_labels)
    adapter, head = _adapter_and_head(classifier, config)
    load_tensors(adapter, folder / WEIGHTS)
    load_tensors(head, folder / HEAD_WEIGHTS)
    return classifier.eval()


def _adapter_and_head(classifier: Classifier, config: TrialConfig) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the two files, by their names there."""
    of_head: Any = classifier.head
    constant = ENCODER_METHODS[config.method].constants(classifier.encoder)
    adapter = {
        f"{of_head.model.base_model_prefix}.{name}": tensor
        for name, tensor in classifier.encoder.state_dict(keep_vars=True).items()
        if (tensor.requires_grad or name in constant) and IN_LAYER not in name
    }
    return adapter, of_head.model.state_dict(keep_vars=True)

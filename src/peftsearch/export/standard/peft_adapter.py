"""A trial as PEFT's adapter of its architecture's own classifier: what PEFT has added, and the head; no backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.anatomy import anatomy_of_config
from peftsearch.backbones.loading import load_native
from peftsearch.core.config import TrialConfig
from peftsearch.export.standard.adapter_backbone import backbone_of, named
from peftsearch.methods.peft_library.base import save
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.checkpoint import load_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from peftsearch.backbones.classifier import Classifier
    from peftsearch.backbones.loading import ResolvedModel

WEIGHTS = "adapter_model.safetensors"
"""PEFT's name for the tensors of an adapter."""

LISTS_OF_MODULES = ("target_modules", "feedforward_modules")
"""Where a configuration of PEFT names modules of the encoder."""


def write_peft_adapter(
    classifier: Classifier, resolved: ResolvedModel, config: TrialConfig, labels: Sequence[str], folder: Path
) -> None:
    """Write the files that `AutoPeftModelForSequenceClassification` opens.

    Args:
        classifier: a trained one with `head: native`, tuned by PEFT.
        resolved: its backbone, which the files name.
        labels: the names of the classes, in their order.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    head: Any = classifier.head
    whole = _untrained(resolved, config, len(labels))
    tuned = get_peft_model_state_dict(classifier.encoder, save_embedding_layers=False)
    set_peft_model_state_dict(whole, _by_names_of_whole(tuned, head.model, _start(whole)))
    described = whole.active_peft_config
    described.base_model_name_or_path = named(resolved)
    described.revision = resolved.revision
    save(whole, folder)


def read_peft_adapter(folder: Path, config: TrialConfig, num_labels: int) -> nn.Module:
    """The classifier whose adapter and head are in `folder`, over the backbone that its `adapter_config.json` names.

    Returns:
        A module that takes what a tokenizer returns and gives `logits`, on the CPU, in evaluation mode.

    Raises:
        UserError: the backbone is not found, or the folder's tensors are damaged, or do not fit `config`.
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    resolved = backbone_of(folder, "base_model_name_or_path")
    whole = _untrained(resolved, config, num_labels)
    tensors: Mapping[str, Tensor] = get_peft_model_state_dict(whole, save_embedding_layers=False)
    load_tensors(tensors, folder / WEIGHTS)
    set_peft_model_state_dict(whole, tensors)
    module: nn.Module = whole.eval()
    return module


def _untrained(resolved: ResolvedModel, config: TrialConfig, num_labels: int) -> Any:
    """The architecture's own classifier as PEFT's model, with everything that was trained as it was at the start."""
    from peft import get_peft_config, get_peft_model

    whole: Any = load_native(resolved, num_labels)
    prefix = whole.base_model_prefix
    method = ENCODER_METHODS[config.method]
    described = dict(method.adapter(anatomy_of_config(resolved.config()), config.settings)["config"])
    for names in LISTS_OF_MODULES:
        if described.get(names):
            described[names] = [f"{prefix}.{name}" for name in described[names]]
    # Of a projected prefix, PEFT keeps what the projection gives, and makes no projection for inference.
    tuning = get_peft_config({**described, "task_type": "SEQ_CLS", "inference_mode": True})
    tuning.modules_to_save = [
        name for name, child in whole.named_children() if name != prefix and any(True for _ in child.parameters())
    ]
    return get_peft_model(whole, tuning)


def _start(whole: Any) -> str:
    """What stands before the names of the classifier's own modules inside PEFT's model."""
    return "base_model." if whole.active_peft_config.is_prompt_learning else "base_model.model."


def _by_names_of_whole(tuned: Mapping[str, Tensor], head: Any, start: str) -> dict[str, Tensor]:
    """The encoder's and the head's trained tensors, by their names in the adapter of the whole classifier."""
    inside = f"{start}{head.base_model_prefix}."
    encoder = {inside + name.removeprefix(start) if name.startswith(start) else name: t for name, t in tuned.items()}
    return encoder | {start + name: tensor for name, tensor in head.state_dict().items()}

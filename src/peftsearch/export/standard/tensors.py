"""The tensors of an exported folder: our classifier's, by the names of the folder's model class.

A model class of the folder names them as `Classifier` does, `encoder.…` and `head.…`; an architecture's own classifier
names the encoder as it likes (`bert.…`), and its head's tensors stand beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from peftsearch.backbones.classifier import Classifier

WEIGHTS = "model.safetensors"


def tensors_of(classifier: Classifier, architecture: bool) -> dict[str, Tensor]:
    """Each parameter and persistent buffer once, by its name in the folder; what is shared stands under one name.

    Args:
        architecture: whether the architecture's own class names them.
    """
    from torch import nn

    state = classifier.state_dict(keep_vars=True)
    buffers = {name: tensor for name, tensor in state.items() if not isinstance(tensor, nn.Parameter)}
    own: dict[str, Tensor] = {**dict(classifier.named_parameters()), **buffers}
    if not architecture:
        return own
    head: Any = classifier.head
    encoder = f"{head.model.base_model_prefix}."
    return {
        (encoder + name.removeprefix("encoder.")) if name.startswith("encoder.") else name.removeprefix("head.model."):
        tensor for name, tensor in own.items()
    }  # fmt: skip

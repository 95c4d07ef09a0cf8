"""The tensors of an exported folder, written and read: our classifier's, by the names of the folder's model class.

A model class of the folder names them as `Classifier` does, `encoder.…` and `head.…`; an architecture's own classifier
names the encoder as it likes (`bert.…`), and its head's tensors stand beside it.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.loading import resolve
from peftsearch.core.config import TrialConfig
from peftsearch.export.standard.forms import FORMS
from peftsearch.export.standard.peft_adapter import read_peft_adapter
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.checkpoint import load_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from peftsearch.backbones.classifier import Classifier

WEIGHTS = "model.safetensors"


def read_classifier(folder: Path, form: str, config: TrialConfig, num_labels: int) -> nn.Module:
    """The classifier in an exported folder, made of our own classes: no code of the folder is run.

    Args:
        form: a key of `FORMS`.
        config: of the exported trial.

    Returns:
        A module that takes what a tokenizer returns and gives `logits`, on the CPU, in evaluation mode.

    Raises:
        UserError: the folder's files are missing or damaged, or do not fit `config`; or the folder holds an adapter,
            and its backbone is not found.
    """
    from transformers.modeling_utils import no_init_weights

    if FORMS[form].adapter:
        return read_peft_adapter(folder, config, num_labels)
    merged = FORMS[form].library is None
    method = ENCODER_METHODS["none" if merged else config.method]
    # Random numbers for all weights would take longer than reading them. What libraries add may compute with its own.
    with no_init_weights() if merged else nullcontext():
        resolved = resolve(str(folder.resolve()))
        classifier = build_classifier(resolved, method, config.settings, num_labels, without_weights=True)
    load_tensors(tensors_of(classifier, form == "architecture"), folder / WEIGHTS)
    return classifier.eval()


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

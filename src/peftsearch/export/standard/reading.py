"""Reads the classifier of an exported folder with our own classes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.backbones.loading import resolve
from peftsearch.core.config import TrialConfig
from peftsearch.export.standard.adapterhub_adapter import read_adapterhub_adapter
from peftsearch.export.standard.forms import FORMS
from peftsearch.export.standard.peft_adapter import read_peft_adapter
from peftsearch.export.standard.tensors import WEIGHTS, tensors_of
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.checkpoint import load_tensors

if TYPE_CHECKING:
    from torch import nn

READ_ADAPTER: dict[str, Callable[[Path, TrialConfig, int], nn.Module]] = {
    "peft_adapter": read_peft_adapter,
    "adapterhub_adapter": read_adapterhub_adapter,
}
"""A form that lacks its backbone → what reads it, given the folder, the trial and the number of labels."""


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
        return READ_ADAPTER[form](folder, config, num_labels)
    merged = FORMS[form].library is None
    method = ENCODER_METHODS["none" if merged else config.method]
    # Random numbers for all weights would take longer than reading them. What libraries add may compute with its own.
    with no_init_weights() if merged else nullcontext():
        resolved = resolve(str(folder.resolve()))
        classifier = build_classifier(resolved, method, config.settings, num_labels, without_weights=True)
    load_tensors(tensors_of(classifier, form == "architecture"), folder / WEIGHTS)
    return classifier.eval()

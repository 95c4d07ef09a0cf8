"""Trials whose weights were kept: which there are, and their classifiers put together again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.measurement import Measurement

if TYPE_CHECKING:
    from torch import Tensor

    from peftsearch.backbones.heads import Classifier

TENSORS = "trainable.safetensors"
ABOUT = "trial.json"
"""The files that `training.trial.TrialResult.save` writes."""


@dataclass(frozen=True)
class KeptTrial:
    """A trial as its worker left it: what was trained, and what is needed to put it onto the backbone again."""

    number: int
    folder: Path
    config: TrialConfig
    measurement: Measurement
    labels: tuple[str, ...]

    def classifier(self) -> Classifier:
        """The backbone with the method applied and the trained tensors put in, in evaluation mode.

        Raises:
            UserError: the tensors are not those that the configuration trains.
        """
        from peftsearch.backbones.loading import resolve
        from peftsearch.methods.build import build_classifier
        from peftsearch.methods.table import ENCODER_METHODS

        config = self.config
        resolved = resolve(config.backbone, config.revision)
        method = ENCODER_METHODS[config.method]
        classifier = build_classifier(
            resolved, method, config.settings, len(self.labels), trust_remote_code=config.trust_remote_code
        )
        trained: dict[str, Tensor] = {
            name: tensor for name, tensor in classifier.named_parameters() if tensor.requires_grad
        }
        trained |= {f"encoder.{name}": tensor for name, tensor in method.constants(classifier.encoder).items()}
        put_in(trained, self.folder / TENSORS)
        return classifier.eval()


def kept_trial(weights: Path, number: int) -> KeptTrial:
    """The trial `number`, read from the folder of kept weights.

    Raises:
        UserError: its weights were not kept; says which were.
    """
    folder = weights / str(number)
    if not (folder / TENSORS).is_file() or not (folder / ABOUT).is_file():
        others = ", ".join(map(str, kept_numbers(weights))) or "none"
        raise UserError(
            f"--trial {number}: its weights were not kept (only the front's are); trials with weights: {others}"
        )
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return KeptTrial(
        number=number,
        folder=folder,
        config=TrialConfig.from_dict(about["config"]),
        measurement=Measurement.from_dict(about["measurement"]),
        labels=tuple(about["labels"]),
    )


def kept_numbers(weights: Path) -> list[int]:
    """The trials with weights in this folder."""
    return sorted(int(folder.parent.name) for folder in weights.glob(f"*/{TENSORS}") if folder.parent.name.isdigit())


def put_in(parameters: Mapping[str, Tensor], file: Path) -> None:
    """Copy the tensors of `file` into `parameters`: all of them and no others, each of the same shape.

    Raises:
        UserError: one is missing, unknown or of another shape, or the file is damaged.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read {file}: {str(error).splitlines()[0]}; export or train it again") from None
    odd = sorted(parameters.keys() ^ tensors.keys()) or [n for n in tensors if tensors[n].shape != parameters[n].shape]
    if odd:
        raise UserError(f"{file} does not fit its configuration ({odd[0]}); export or train it again")
    with torch.no_grad():
        for name, tensor in tensors.items():
            parameters[name].copy_(tensor)

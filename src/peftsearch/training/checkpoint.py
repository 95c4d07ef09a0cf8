"""A trial's checkpoint: what it trained and how, written by the trial and read by whoever exports or shows it.

With the pretrained backbone, the tensors of `trainable.safetensors` are all that the classifier is: everything else of
it is as it was pretrained. A method without a backbone writes its own files beside them. `trial.json` holds the
configuration, the measurement and the names of the classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError, one_line
from peftsearch.core.files.run_folder import TENSORS
from peftsearch.core.measurement import MIB, Measurement
from peftsearch.core.points import Point, parse_point

if TYPE_CHECKING:
    from torch import Tensor

    from peftsearch.backbones.classifier import Classifier
    from peftsearch.methods.base import TextModel

ABOUT = "trial.json"


@dataclass(frozen=True)
class Checkpoint:
    """A trial as it was saved.

    Attributes:
        number: the trial's, in its study.
        epoch: the epoch after which its training ended, if it was not to be trained to the end.
        folder: holds the checkpoint's files.
        labels: the names of the classes, by index.
    """

    number: int
    folder: Path
    config: TrialConfig
    measurement: Measurement
    labels: tuple[str, ...]
    epoch: int | None = None

    @property
    def point(self) -> Point:
        """What names it in its study."""
        return Point(self.number, self.epoch)

    def classifier(self) -> Classifier:
        """The backbone with the method applied and the trained tensors loaded, on the CPU in evaluation mode.

        Raises:
            UserError: the tensors are not those that the configuration trains.
        """
        from peftsearch.backbones.loading import resolve
        from peftsearch.methods.build import build_classifier
        from peftsearch.methods.table import ENCODER_METHODS

        config = self.config
        classifier = build_classifier(
            resolve(config.backbone, config.revision, config.trust_remote_code),
            ENCODER_METHODS[config.method],
            config.settings,
            len(self.labels),
            trust_remote_code=config.trust_remote_code,
        )
        load_tensors(tensors_of(classifier, config), self.folder / TENSORS)
        return classifier.eval()


def save_classifier(
    classifier: Classifier, config: TrialConfig, measurement: Measurement, labels: Sequence[str], folder: Path
) -> None:
    """Write the checkpoint of a trial that tuned an encoder into `folder`, which need not exist."""
    save_tensors(tensors_of(classifier, config), config, measurement, labels, folder)


def save_tensors(
    tensors: Mapping[str, Tensor], config: TrialConfig, measurement: Measurement, labels: Sequence[str], folder: Path
) -> None:
    """Write a checkpoint that holds the values that `tensors` have now.

    Args:
        tensors: what `tensors_of` returned before training began.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / TENSORS)
    _write_about(config, measurement, labels, folder)


def model_size_mb(classifier: Classifier, config: TrialConfig) -> float:
    """MiB of the tensors that the classifier's checkpoint holds: all but those of the pretrained backbone."""
    return size_mb(tensors_of(classifier, config))


def size_mb(tensors: Mapping[str, Tensor]) -> float:
    """MiB that the tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) / MIB


def text_model_size_mb(model: TextModel) -> float:
    """MiB of the files that the model writes."""
    with TemporaryDirectory() as folder:
        model.save(Path(folder))
        return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / MIB


def save_text_model(
    model: TextModel, config: TrialConfig, measurement: Measurement, labels: Sequence[str], folder: Path
) -> None:
    """Write the checkpoint of a trial without a backbone into `folder`, which need not exist."""
    model.save(folder)
    _write_about(config, measurement, labels, folder)


def read_checkpoint(weights: Path, trial: Point | int) -> Checkpoint:
    """The checkpoint of a whole trial, or of an epoch of one.

    Args:
        weights: the folder that holds a folder for each of them.
        trial: the point, or the number of a whole trial.

    Raises:
        UserError: it has none, and which have one; or its `trial.json` is damaged.
    """
    point = trial if isinstance(trial, Point) else Point(trial)
    folder = weights / str(point)
    if not (folder / TENSORS).is_file() or not (folder / ABOUT).is_file():
        others = ", ".join(map(str, _points(weights))) or "none"
        raise UserError(
            f"--trial {point}: it has no weights (only the front's are kept); trials with weights: {others}"
        )
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        config, measurement = TrialConfig.from_dict(about["config"]), Measurement.from_dict(about["measurement"])
        return Checkpoint(point.trial, folder, config, measurement, tuple(about["labels"]), point.epoch)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(
            f"{folder / ABOUT} is damaged, or of another version; train the trial again: peftsearch export --retrain"
        ) from None


def load_tensors(parameters: Mapping[str, Tensor], file: Path) -> None:
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
        raise UserError(f"cannot read {file}: {one_line(error)}; export or train it again") from None
    odd = sorted(parameters.keys() ^ tensors.keys()) or [n for n in tensors if tensors[n].shape != parameters[n].shape]
    if odd:
        raise UserError(f"{file} does not fit its configuration ({odd[0]}); export or train it again")
    with torch.no_grad():
        for name, tensor in tensors.items():
            parameters[name].copy_(tensor)


def tensors_of(classifier: Classifier, config: TrialConfig) -> dict[str, Tensor]:
    """The tensors that a checkpoint holds: the trainable ones, and the method's random ones that no step moves."""
    from peftsearch.methods.table import ENCODER_METHODS

    trained = {name: parameter for name, parameter in classifier.named_parameters() if parameter.requires_grad}
    constants = ENCODER_METHODS[config.method].constants(classifier.encoder)
    return {**trained, **{f"encoder.{name}": tensor for name, tensor in constants.items()}}


def _write_about(config: TrialConfig, measurement: Measurement, labels: Sequence[str], folder: Path) -> None:
    about = {"config": config.to_dict(), "measurement": measurement.to_dict(), "labels": list(labels)}
    (folder / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False), encoding="utf-8")


def _points(weights: Path) -> list[Point]:
    """The points that have a checkpoint in this folder."""
    found = (parse_point(tensors.parent.name) for tensors in weights.glob(f"*/{TENSORS}"))
    return sorted((point for point in found if point), key=lambda point: point.order)

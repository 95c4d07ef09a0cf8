"""Prefix tuning, by PEFT where it works and by AdapterHub elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.backbones.anatomy import Anatomy, anatomy_of
from peftsearch.core.dimensions import Choice, Range
from peftsearch.methods.adapterhub import base as adapterhub
from peftsearch.methods.base import EncoderMethod
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate
from peftsearch.methods.peft_library import base as peft_library
from peftsearch.methods.peft_library.adding import add

if TYPE_CHECKING:
    from torch import nn


class PrefixTuning(EncoderMethod):
    """Each layer attends to a few trained keys and values in addition to those of the text."""

    name = "prefix"
    summary = "prefix tuning: trained virtual tokens before each frozen layer's keys and values"
    paper = "Li and Liang 2021, https://arxiv.org/abs/2101.00190"
    when = (
        "Where there are few texts: its paper, about generating text, finds it better than full fine-tuning there. "
        "It depends on the learning rate: on emotions it learned nothing at 2e-5 (0.087), and had 0.855 at 2.2e-2."
    )
    library = "peft"
    merges = False
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-1),
        "virtual_tokens": Hyperparameter(
            Range(4, 40, integer=True), Range(1, 512, integer=True), "trained keys and values in each layer",
            short_name="tokens"),
        "projection": Hyperparameter(
            Choice((True, False)), Choice((True, False)), "whether a small network generates them in training"),
    }  # fmt: skip

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        family = anatomy.family
        if not family.peft_prefix_tuning and not (family.adapterhub and family.adapterhub_prefix_tuning):
            return f"neither PEFT nor AdapterHub has prefix tuning for {anatomy.model_type}"
        return None

    def positions_taken(self, anatomy: Anatomy, settings: Settings) -> int:
        return int(settings["virtual_tokens"]) if anatomy.family.peft_prefix_tuning else 0

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        """PEFT's or AdapterHub's configuration for an encoder with this anatomy."""
        return (_peft_config if anatomy.family.peft_prefix_tuning else _adapterhub_config)(settings)

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        if not _by_peft(encoder):
            return adapterhub.wrap(encoder, _adapterhub_config(settings))
        return add(encoder, _peft_config(settings))

    def adapter(self, anatomy: Anatomy, settings: Settings) -> Mapping[str, Any]:
        if not anatomy.family.peft_prefix_tuning:
            return adapterhub.described(anatomy, _adapterhub_config(settings))
        return peft_library.described(_peft_config(settings))

    def save(self, encoder: nn.Module, folder: Path) -> None:
        (peft_library if _by_peft(encoder) else adapterhub).save(encoder, folder)


def _by_peft(encoder: nn.Module) -> bool:
    """Whether PEFT tunes this encoder; AdapterHub tunes the others."""
    return anatomy_of(encoder).family.peft_prefix_tuning


def _peft_config(settings: Settings) -> Any:
    from peft import PrefixTuningConfig

    return PrefixTuningConfig(
        task_type="FEATURE_EXTRACTION",
        num_virtual_tokens=int(settings["virtual_tokens"]),
        prefix_projection=bool(settings["projection"]),
    )


def _adapterhub_config(settings: Settings) -> Any:
    from adapters import PrefixTuningConfig

    return PrefixTuningConfig(prefix_length=int(settings["virtual_tokens"]), flat=not settings["projection"])

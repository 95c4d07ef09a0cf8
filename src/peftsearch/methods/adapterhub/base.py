"""The base of the methods that AdapterHub implements: adding, describing and writing an adapter."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.backbones.anatomy import Anatomy, anatomy_of
from peftsearch.core.dimensions import Fixed, Range
from peftsearch.methods.adapterhub.adding import NAME, add
from peftsearch.methods.base import EncoderMethod, Library
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, layer_count, wrong_layer_count

if TYPE_CHECKING:
    from torch import nn

SHARED = "shared_parameters"

IN_LAYER = ".pool."
"""Stands in the names of a prefix's tensors in a layer. adapters 1.3.0 registers a prefix once in the model and once
more in each layer; safetensors refuses to write the same memory twice."""

TOP_LAYERS = Hyperparameter(Fixed(1.0), Range(0, 1000), "how many of the last layers are adapted (3), or a share (0.5)")


class AdapterHubMethod(EncoderMethod):
    """A method that AdapterHub implements, given by an `AdapterConfig`."""

    library: Library = "adapters"
    merges = False
    has_prefix: ClassVar[bool] = False
    """Whether prefix tuning is a part of the method."""

    @abstractmethod
    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        """AdapterHub's configuration for an encoder with this anatomy."""

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        family = anatomy.family
        if not family.adapterhub or (self.has_prefix and not family.adapterhub_prefix_tuning):
            return f"AdapterHub has no {self.name} for {anatomy.model_type}"
        return wrong_leave_out(anatomy, settings) if "top_layers" in settings else None

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        return wrap(encoder, self.config(anatomy_of(encoder), settings))

    def adapter(self, anatomy: Anatomy, settings: Settings) -> Mapping[str, Any]:
        return described(anatomy, self.config(anatomy, settings))

    def save(self, encoder: nn.Module, folder: Path) -> None:
        save(encoder, folder)


def leave_out(anatomy: Anatomy, settings: Settings) -> list[int]:
    """The numbers of the layers that get no adapter, because `top_layers` counts the others."""
    layers = len(anatomy.layers)
    return list(range(layers - layer_count(settings["top_layers"], layers)))


def wrong_leave_out(anatomy: Anatomy, settings: Settings) -> str | None:
    """Why `top_layers` is no number of layers to adapt, in half a sentence; None if it is one."""
    asked, layers = settings["top_layers"], len(anatomy.layers)
    if layer_count(asked, layers) < 1:
        return f"top_layers is {asked}, which is none of its {layers} layers"
    return wrong_layer_count("top_layers", asked, layers)


def wrap(encoder: nn.Module, config: Any) -> nn.Module:
    """Freeze `encoder` and add the trainable parameters of an AdapterHub `config`, drawn by torch's generator."""
    return add(encoder, config, anatomy_of(encoder).family.adapterhub_interface)


def described(anatomy: Anatomy, config: Any) -> Mapping[str, Any]:
    """An AdapterHub configuration as JSON, as `adding.tuned` reads it."""
    return {"library": "adapters", "config": config.to_dict(), "interface": anatomy.family.adapterhub_interface}


def own_format_lacks(anatomy: Anatomy, adapter: Mapping[str, Any]) -> str | None:
    """What AdapterHub itself would do otherwise with an adapter that we describe, as a clause; None if nothing."""
    if anatomy.family.adapterhub_interface or anatomy.family.adapterhub_adds_biases:
        return f"AdapterHub itself computes otherwise on {anatomy.model_type}"
    if any(part.get("use_gating") for part in adapter["config"].get("configs", [adapter["config"]])):
        return "AdapterHub itself lets gates average over padding"
    return None


def save(encoder: Any, folder: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write `adapter.safetensors` and `adapter_config.json`, as AdapterHub does.

    Args:
        encoder: a bare encoder, or the architecture's own classifier.
        about: what `adapter_config.json` says besides.
    """
    from adapters.loading import AdapterLoader

    folder.mkdir(parents=True, exist_ok=True)
    loader = AdapterLoader(encoder, use_safetensors=True)
    states = loader.weights_helper.state_dict
    loader.weights_helper.state_dict = lambda keep: {k: v for k, v in states(keep).items() if IN_LAYER not in k}
    # adapters 1.3.0 leaves out the parameters that all layers share (Compacter's factors) of a bare encoder, because
    # there no dot stands before their names.
    of_adapter = loader.filter_func
    loader.filter_func = lambda name: lambda key: of_adapter(name)(key) or key.startswith(f"{SHARED}.{name}.")
    loader.save(str(folder), NAME, about)

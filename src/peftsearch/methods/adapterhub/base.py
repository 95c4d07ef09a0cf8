"""The base of the methods that AdapterHub implements: adding an adapter, writing it, loading it."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.backbones.anatomy import Anatomy, anatomy_of
from peftsearch.core.dimensions import Fixed, Range
from peftsearch.core.errors import UserError, one_line
from peftsearch.methods.base import EncoderMethod, Library
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, layer_count, wrong_layer_count

if TYPE_CHECKING:
    from torch import nn

NAME = "tuned"
WEIGHTS = "adapter.safetensors"

SHARED = "shared_parameters"

TOP_LAYERS = Hyperparameter(Fixed(1.0), Range(0, 1000), "how many of the last layers are adapted (3), or a share (0.5)")


class AdapterHubMethod(EncoderMethod):
    """A method that AdapterHub implements, given by an `AdapterConfig`."""

    library: Library = "adapters"
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

    def merged(self, encoder: nn.Module) -> nn.Module | None:
        return None

    def save(self, encoder: nn.Module, folder: Path) -> None:
        save(encoder, folder)

    def load(self, encoder: nn.Module, folder: Path, settings: Settings) -> nn.Module:
        return load(encoder, folder, self.config(anatomy_of(encoder), settings))


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


def wrap(encoder: Any, config: Any) -> nn.Module:
    """Freeze `encoder` and add the trainable parameters of an AdapterHub `config`, drawn by torch's generator."""
    with _quiet():
        _init(encoder)
        encoder.add_adapter(NAME, config=config)
        encoder.train_adapter(NAME)  # freezes the rest and makes the adapter part of every forward pass
    wrapped: nn.Module = encoder
    return wrapped


def save(encoder: Any, folder: Path) -> None:
    """Write `adapter.safetensors` and `adapter_config.json`, as AdapterHub does."""
    from adapters.loading import AdapterLoader

    folder.mkdir(parents=True, exist_ok=True)
    loader = AdapterLoader(encoder, use_safetensors=True)
    states = loader.weights_helper.state_dict
    # adapters 1.3.0 registers a prefix once in the model and once more in each layer (`….pool.…`); safetensors refuses
    # to write the same memory twice.
    loader.weights_helper.state_dict = lambda keep: {k: v for k, v in states(keep).items() if ".pool." not in k}
    # adapters 1.3.0 leaves out the parameters that all layers share (Compacter's factors) of a bare encoder, because
    # there no dot stands before their names.
    of_adapter = loader.filter_func
    loader.filter_func = lambda name: lambda key: of_adapter(name)(key) or key.startswith(f"{SHARED}.{name}.")
    loader.save(str(folder), NAME)


def load(encoder: Any, folder: Path, config: Any) -> nn.Module:
    """Add the adapter in `folder` to `encoder` and activate it, with every parameter frozen.

    Args:
        config: AdapterHub's configuration, as for `wrap`. `adapter_config.json` may come from anyone, so nothing is
            taken from it.

    Raises:
        UserError: `folder` has no adapter in safetensors, or another one than `config` describes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder} holds no {WEIGHTS}; export the trial again")
    loaded = wrap(encoder, config)
    # `save` leaves out the second names of shared memory.
    wanted = {name for name, p in loaded.named_parameters() if p.requires_grad and ".pool." not in name}
    try:
        keys = loaded.load_state_dict(load_file(folder / WEIGHTS), strict=False)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder} does not hold the adapter of its trial: {one_line(error)}") from error
    wrong = [*keys.unexpected_keys, *sorted(wanted.intersection(keys.missing_keys))]
    if wrong:
        raise UserError(f"{folder} does not hold the adapter of its trial: they differ in {wrong[0]}")
    return loaded.requires_grad_(False)


def _init(encoder: Any) -> None:
    """Prepare `encoder` for adapters without changing its outputs."""
    import adapters

    before = {name for name, _ in encoder.named_parameters()}
    anatomy = anatomy_of(encoder)
    interface = anatomy.family.adapterhub_interface
    adapters.init(encoder, interface=adapters.AdapterModelInterface(**interface) if interface else None)
    if interface:
        for layer in anatomy.layers:
            _use_own_norms(encoder.get_submodule(layer.name), interface)
    # adapters 1.3.0 gives a fused projection without a bias (ModernBERT's Wqkv) a random one: LoRAMergedLinear.wrap.
    for name in {name for name, _ in encoder.named_parameters()} - before:
        module, _, parameter = name.rpartition(".")
        setattr(encoder.get_submodule(module), parameter, None)


def _use_own_norms(layer: nn.Module, interface: Mapping[str, Any]) -> None:
    """Let the adapters of `layer` read its own norms: adapters 1.3.0 hands those of the last layer to all layers.

    The functions that return the norms in its `init_bottleneck` share one loop variable.
    """
    for adapters, norm in (("attention_adapters", "layer_ln_1"), ("output_adapters", "layer_ln_2")):
        own = layer.get_submodule(interface[norm])
        layer.get_submodule(adapters).register_forward_pre_hook(lambda _, states, own=own: (*states[:2], own))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence adapters 1.3.0, which warns that no adapter is active while it activates one."""
    logger = logging.getLogger("adapters.model_mixin")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

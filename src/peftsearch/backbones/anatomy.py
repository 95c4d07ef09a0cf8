"""Names the modules of an encoder: its embeddings, layers, attention projections, feed-forward modules and norms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.families import FAMILIES, Family
from peftsearch.core.errors import UserError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Projection:
    """A linear module, or some rows of a fused one that computes several projections.

    Attributes:
        module: the module's name, from the encoder's root.
        rows: the first row and the one after the last; None if the whole module is the projection.
    """

    module: str
    rows: tuple[int, int] | None = None


@dataclass(frozen=True)
class Layer:
    """The module names of one layer, from the encoder's root; without attention its four names are None."""

    name: str
    query: Projection | None
    key: Projection | None
    value: Projection | None
    attention_output: str | None
    feed_forward: tuple[str, ...]
    norms: tuple[str, ...]


@dataclass(frozen=True)
class Anatomy:
    """The module names of one encoder, in the order in which the modules compute, and its sizes.

    Attributes:
        model_type: the architecture's name in transformers.
        family: what is particular about the architecture.
        hidden_size: the width of the hidden states.
        embedding_size: the width of the word embeddings, which some architectures project to `hidden_size`.
        embeddings: the modules before the layers, or shared by all of them; a model may lack one.
        layers: the layers, the first one first.
        tail: the modules after the last layer (a final norm, a pooler); a model may lack one.
        positions: how many tokens fit; None if there is no limit.
        takes_token_types: whether more than one segment id has an embedding.
        has_biases: whether any module has a bias.
    """

    model_type: str
    family: Family
    hidden_size: int
    embedding_size: int
    embeddings: tuple[str, ...]
    layers: tuple[Layer, ...]
    tail: tuple[str, ...]
    positions: int | None
    takes_token_types: bool
    has_biases: bool

    @property
    def query_value(self) -> tuple[str, ...]:
        """The linear modules that compute queries and values (and keys too, where they are fused)."""
        return _modules(p for layer in self.layers for p in (layer.query, layer.value))

    @property
    def key_value(self) -> tuple[str, ...]:
        """The linear modules that compute keys and values (and queries too, where they are fused)."""
        return _modules(p for layer in self.layers for p in (layer.key, layer.value))

    @property
    def attention(self) -> tuple[str, ...]:
        """All linear modules of attention: query, key, value, output; none without attention."""
        return _modules(
            part for layer in self.layers for part in (layer.query, layer.key, layer.value, layer.attention_output)
        )

    @property
    def all_linear(self) -> tuple[str, ...]:
        """All linear modules of the layers; poolers and heads are none."""
        return (*self.attention, *_distinct(name for layer in self.layers for name in layer.feed_forward))


def anatomy_of(encoder: nn.Module) -> Anatomy:
    """Return the anatomy of a bare transformers encoder, as it is before a method changes it.

    Raises:
        UserError: its architecture has no entry in `FAMILIES`.
    """
    config: Any = encoder.config
    return anatomy_of_config(config.to_dict())


def anatomy_of_config(config: Mapping[str, Any]) -> Anatomy:
    """Return the anatomy of the encoder that a `config.json` describes; loads no torch.

    Raises:
        UserError: its architecture has no entry in `FAMILIES`.
    """
    model_type = str(config.get("model_type"))
    if model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise UserError(f"architecture {model_type!r} is not known; choose a backbone of one of these: {known}")
    family = FAMILIES[model_type]
    hidden = int(_first(config, "hidden_size", "dim"))
    return Anatomy(
        model_type=model_type,
        family=family,
        hidden_size=hidden,
        embedding_size=int(config.get("embedding_size") or hidden),
        embeddings=family.embeddings,
        layers=tuple(_layer(family, i, hidden) for i in range(int(_first(config, *family.layer_count_keys)))),
        tail=family.tail,
        positions=_positions(family, config),
        takes_token_types=family.token_types and int(config.get("type_vocab_size", 2)) > 1,
        has_biases=any(config.get(key, True) for key in family.bias_keys),
    )


def modules(encoder: nn.Module, names: Iterable[str]) -> list[nn.Module]:
    """Return the modules with these names; a name that `encoder` lacks is passed over."""
    known = dict(encoder.named_modules())
    return [known[name] for name in names if name in known]


def _layer(family: Family, i: int, hidden: int) -> Layer:
    name = family.layers.format(i=i)
    return Layer(
        name=name,
        query=_projection(name, family.query, hidden),
        key=_projection(name, family.key, hidden),
        value=_projection(name, family.value, hidden),
        attention_output=f"{name}.{family.attention_output}" if family.attention_output else None,
        feed_forward=tuple(f"{name}.{part}" for part in family.feed_forward),
        norms=tuple(f"{name}.{norm}" for norm in family.norms),
    )


def _projection(layer: str, name: str | None, hidden: int) -> Projection | None:
    """Read a name of a `Family`: `Wqkv[1/3]` is the second of three blocks of `hidden` rows."""
    if name is None:
        return None
    module, _, part = name.partition("[")
    if not part:
        return Projection(f"{layer}.{module}")
    first = int(part.split("/")[0]) * hidden
    return Projection(f"{layer}.{module}", (first, first + hidden))


def _positions(family: Family, config: Mapping[str, Any]) -> int | None:
    positions = config.get("max_position_embeddings")
    if positions is None:
        return None
    unused = int(config.get("pad_token_id") or 0) + 1 if family.positions_after_padding else 0
    return int(positions) - unused


def _first(config: Mapping[str, Any], *keys: str) -> Any:
    for key in keys:
        if config.get(key) is not None:
            return config[key]
    raise UserError(f"config.json of a {config.get('model_type')} model lacks {keys[0]!r}")


def _modules(parts: Iterable[Projection | str | None]) -> tuple[str, ...]:
    return _distinct(part.module if isinstance(part, Projection) else part for part in parts if part is not None)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))

"""Gradual unfreezing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods.base import Hyperparameter, Method, Settings, learning_rate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from peftsearch.backbones.anatomy import Anatomy, Layer, Projection

ORDERS = ("from_end", "from_start", "query_key_value", "refreeze")


class Unfreezing(Method):
    """What is trained changes from one stage to the next; the head is trained in all of them.

    `from_end` starts with the last layers and ends with everything, embeddings, final norm and pooler being the last
    to thaw; `from_start` goes the other way, embeddings first; `query_key_value` trains the queries of all layers,
    then also the keys, then also the values, and nothing else; `refreeze` starts with everything and freezes the
    embeddings first, then layers from the start.
    """

    name = "unfreezing"
    summary = "gradual unfreezing: stage by stage more of the encoder is trained (or less)"
    paper = "Howard and Ruder 2018, https://arxiv.org/abs/1801.06146"
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-5, 5e-4),
        "order": Hyperparameter(Choice(ORDERS), Choice(ORDERS), "what thaws first"),
        "stages": Hyperparameter(
            Fixed(3), Range(2, 1000, integer=True), "the last one has everything; query_key_value always has 3"),
        "every": Hyperparameter(Fixed(1), Range(1, 1000, integer=True), "epochs of a stage"),
    }  # fmt: skip

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        if settings["order"] == "query_key_value":
            return None if anatomy.attention else f"{anatomy.model_type} has no attention; choose another order"
        groups, layers = int(settings["stages"]) - 1, len(anatomy.layers)
        return f"{groups + 1} stages need {groups} layers, but it has {layers}" if groups > layers else None

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        from peftsearch.backbones.anatomy import anatomy

        if settings["order"] != "query_key_value":
            return encoder.requires_grad_(True)
        encoder.requires_grad_(False)
        for layer in anatomy(encoder).layers:
            _split_fused(encoder, layer)
        trained = frozenset().union(*_projections(encoder))
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(name in trained)
        return encoder

    def stages(self, encoder: nn.Module, settings: Settings, epochs: int) -> Sequence[frozenset[str]]:
        found = _stages(encoder, str(settings["order"]), int(settings["stages"]))
        return [found[min(epoch // int(settings["every"]), len(found) - 1)] for epoch in range(epochs)]

    def plain(self, encoder: nn.Module) -> nn.Module:
        from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

        for module in list(encoder.modules()):
            for name in list(module.parametrizations) if is_parametrized(module) else ():  # type: ignore[arg-type]
                remove_parametrizations(module, name)
        return encoder


def _stages(encoder: nn.Module, order: str, count: int) -> list[frozenset[str]]:
    """The names of the parameters that each stage trains."""
    if order == "query_key_value":
        return _growing(_projections(encoder))
    embeddings, *layers, tail = _blocks(encoder)
    groups = _groups(layers, count - 1)
    if order == "from_end":
        return _growing([*reversed(groups), embeddings | tail])
    if order == "from_start":
        return _growing([embeddings, *groups[:-1], groups[-1] | tail])
    # Frozen in the order in which `from_start` thaws, but for the last group.
    frozen = _growing([frozenset(), embeddings, *groups[:-1]])
    return [frozenset().union(embeddings, *layers, tail) - names for names in frozen]


def _blocks(encoder: nn.Module) -> list[frozenset[str]]:
    """The parameters of the embeddings, of each layer, and all others."""
    from peftsearch.backbones.anatomy import anatomy

    parts = anatomy(encoder)
    blocks = [_within(encoder, parts.embeddings), *(_within(encoder, (layer.name,)) for layer in parts.layers)]
    return [*blocks, frozenset(name for name, _ in encoder.named_parameters()).difference(*blocks)]


def _projections(encoder: nn.Module) -> list[frozenset[str]]:
    """The parameters of all queries, of all keys, of all values."""
    from peftsearch.backbones.anatomy import anatomy

    layers = anatomy(encoder).layers
    each = ([getattr(layer, part) for layer in layers] for part in ("query", "key", "value"))
    return [frozenset().union(*(_of_projection(encoder, found) for found in projections)) for projections in each]


def _of_projection(encoder: nn.Module, projection: Projection) -> frozenset[str]:
    names = _within(encoder, (projection.module,))
    if projection.rows is None:
        return names
    first, last = projection.rows
    place = first // (last - first)  # of the block of rows that `_split_fused` has made a tensor of its own
    return frozenset(name for name in names if name.endswith(f".original{place}"))


def _split_fused(encoder: nn.Module, layer: Layer) -> None:
    """Make each projection's rows of a fused module a parameter of their own, as if they were not fused.

    Then the optimizer knows them apart: their decay, their moments and their learning rate.
    """
    from torch.nn.utils.parametrize import register_parametrization

    projections = [p for p in (layer.query, layer.key, layer.value) if p is not None and p.rows is not None]
    if projections:
        module: Any = encoder.get_submodule(projections[0].module)
        for name, _ in list(module.named_parameters()):
            register_parametrization(module, name, _blocks_of_rows(len(projections)))


def _blocks_of_rows(count: int) -> nn.Module:
    import torch
    from torch import nn

    class BlocksOfRows(nn.Module):
        """A tensor stored as `count` blocks of rows."""

        def forward(self, *blocks: Tensor) -> Tensor:
            return torch.cat(blocks)

        def right_inverse(self, whole: Tensor) -> tuple[Tensor, ...]:
            return tuple(block.clone() for block in whole.chunk(count))

    return BlocksOfRows()


def _within(encoder: nn.Module, modules: Iterable[str]) -> frozenset[str]:
    prefixes = tuple(f"{module}." for module in modules)
    return frozenset(name for name, _ in encoder.named_parameters() if name.startswith(prefixes))


def _groups(layers: Sequence[frozenset[str]], count: int) -> list[frozenset[str]]:
    """`count` runs of layers of nearly the same length."""
    ends = [round(len(layers) * i / count) for i in range(count + 1)]
    return [frozenset().union(*layers[a:b]) for a, b in pairwise(ends)]


def _growing(parts: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    return [frozenset().union(*parts[: i + 1]) for i in range(len(parts))]

"""Sets of an encoder's parameter names: of its blocks and of its query, key and value projections, fused or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from peftsearch.backbones.anatomy import Projection

Names = frozenset[str]


def blocks(encoder: nn.Module) -> list[Names]:
    """The parameter names of the embeddings, of each layer, and of everything else, in this order."""
    from peftsearch.backbones.anatomy import anatomy_of

    parts = anatomy_of(encoder)
    found = [_within(encoder, parts.embeddings), *(_within(encoder, (layer.name,)) for layer in parts.layers)]
    return [*found, frozenset(name for name, _ in encoder.named_parameters()).difference(*found)]


def by_name(encoder: nn.Module) -> Mapping[str, Names]:
    """The parameter names of each part that a plan can name: `unfreezing_plan.PARTS`, and layers by their number."""
    embeddings, *layers, rest = blocks(encoder)
    return {
        "embeddings": embeddings,
        "rest": rest,
        "all": embeddings.union(*layers, rest),
        "head": frozenset(),
        **dict(zip(("query", "key", "value"), projections(encoder), strict=True)),
        **{str(number): names for number, names in enumerate(layers)},
    }


def projections(encoder: nn.Module) -> list[Names]:
    """The parameter names of all query, all key and all value projections; call `split_fused` before."""
    from peftsearch.backbones.anatomy import anatomy_of

    layers = anatomy_of(encoder).layers
    each = ([getattr(layer, part) for layer in layers] for part in ("query", "key", "value"))
    return [frozenset().union(*(_of_projection(encoder, p) for p in found if p is not None)) for found in each]


def split_fused(encoder: nn.Module) -> None:
    """Make the rows of each projection in a fused module a parameter of their own.

    The optimizer then keeps separate moments, weight decay and learning rates for them.
    """
    from torch.nn.utils.parametrize import register_parametrization

    from peftsearch.backbones.anatomy import anatomy_of

    for layer in anatomy_of(encoder).layers:
        fused = [p for p in (layer.query, layer.key, layer.value) if p is not None and p.rows is not None]
        module: Any = encoder.get_submodule(fused[0].module) if fused else None
        for name, _ in list(module.named_parameters()) if fused else ():
            register_parametrization(module, name, _blocks_of_rows(len(fused)))


def fuse(encoder: nn.Module) -> None:
    """The inverse of `split_fused`."""
    from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

    for module in list(encoder.modules()):
        for name in list(module.parametrizations) if is_parametrized(module) else ():  # type: ignore[arg-type]
            remove_parametrizations(module, name)


def _of_projection(encoder: nn.Module, projection: Projection) -> Names:
    names = _within(encoder, (projection.module,))
    if projection.rows is None:
        return names
    first, last = projection.rows
    place = first // (last - first)  # the index that `split_fused` has given this block of rows
    return frozenset(name for name in names if name.endswith(f".original{place}"))


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


def _within(encoder: nn.Module, modules: Iterable[str]) -> Names:
    prefixes = tuple(f"{module}." for module in modules)
    return frozenset(name for name, _ in encoder.named_parameters() if name.startswith(prefixes))

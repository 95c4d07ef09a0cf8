"""Gradual unfreezing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods.base import EncoderMethod
from peftsearch.methods.hyperparameters import Condition, Hyperparameter, Settings, learning_rate
from peftsearch.methods.selective.parameter_sets import Names, blocks, by_name, fuse, projections, split_fused
from peftsearch.methods.selective.unfreezing_plan import PLAN, PROJECTIONS, complaint_about_plan, read_plan

if TYPE_CHECKING:
    from torch import nn

    from peftsearch.backbones.anatomy import Anatomy

ORDERS = ("from_end", "from_start", "query_key_value", "refreeze")
PLANNED = "planned"


class Unfreezing(EncoderMethod):
    """The set of trained parameters changes from stage to stage; the head is trained in every stage.

    `from_end` starts with the last layers and unfreezes downwards, the embeddings, the final norm and the pooler last.
    `from_start` unfreezes upwards, the embeddings first. `query_key_value` trains the query projections of all layers,
    then the keys too, then the values too, and nothing else. `refreeze` starts with the whole encoder and freezes the
    embeddings first, then the layers from the start. `planned` follows the `plan` that the study gives.
    """

    name = "unfreezing"
    summary = "gradual unfreezing: the trained part of the encoder grows (or shrinks) from stage to stage"
    paper = "Howard and Ruder 2018, https://arxiv.org/abs/1801.06146"
    when = (
        "Where full fine-tuning forgets what was pretrained, as its paper says of few labelled texts, and there are "
        "epochs enough for every stage. With one epoch a stage it had only 0.806 on the questions."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-5, 5e-4),
        "order": Hyperparameter(Choice(ORDERS), Choice((*ORDERS, PLANNED)), "what is unfrozen first, or as plan says"),
        "stages": Hyperparameter(
            Fixed(3), Range(2, 1000, integer=True), "number of stages",
            active_when=Condition("order", ("from_end", "from_start", "refreeze"))),
        "plan": Hyperparameter(
            Fixed(""), PLAN,
            "stages, like '10-11; 8-11; all', of layers from 0, embeddings, rest, query, key, value, all, head",
            active_when=Condition("order", (PLANNED,))),
        "every": Hyperparameter(Fixed(1), Range(1, 1000, integer=True), "epochs in each stage but the last"),
    }  # fmt: skip

    def passes(self, settings: Settings, epochs: int) -> float:
        """As for full fine-tuning, but with the gradients of about half of the weights."""
        return 2.5 * epochs

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        if settings["order"] == PLANNED:
            return complaint_about_plan(str(settings["plan"]), anatomy)
        if settings["order"] == "query_key_value":
            return None if anatomy.attention else f"{anatomy.model_type} has no attention; choose another order"
        groups, layers = int(settings["stages"]) - 1, len(anatomy.layers)
        return f"{groups + 1} stages need {groups} layers, but it has {layers}" if groups > layers else None

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        if _tells_projections_apart(settings):
            split_fused(encoder)
        trained = frozenset().union(*_stages(encoder, settings))
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(name in trained)
        return encoder

    def stages(self, encoder: nn.Module, settings: Settings, epochs: int) -> Sequence[Names]:
        found = _stages(encoder, settings)
        return [found[min(epoch // int(settings["every"]), len(found) - 1)] for epoch in range(epochs)]

    def merged(self, encoder: nn.Module) -> nn.Module:
        fuse(encoder)
        return encoder


def _tells_projections_apart(settings: Settings) -> bool:
    if settings["order"] == PLANNED:
        return any(part in PROJECTIONS for stage in read_plan(str(settings["plan"])) for part in stage)
    return settings["order"] == "query_key_value"


def _stages(encoder: nn.Module, settings: Settings) -> list[Names]:
    """The names of the parameters that are trained in each stage."""
    order = settings["order"]
    if order == PLANNED:
        named = by_name(encoder)
        return [frozenset().union(*(named[part] for part in stage)) for stage in read_plan(str(settings["plan"]))]
    if order == "query_key_value":
        return _growing(projections(encoder))
    embeddings, *layers, tail = blocks(encoder)
    groups = _groups(layers, int(settings["stages"]) - 1)
    if order == "from_end":
        return _growing([*reversed(groups), embeddings | tail])
    if order == "from_start":
        return _growing([embeddings, *groups[:-1], groups[-1] | tail])
    # `refreeze` freezes in the order in which `from_start` unfreezes, and never the last group.
    frozen = _growing([frozenset(), embeddings, *groups[:-1]])
    return [frozenset().union(embeddings, *layers, tail) - names for names in frozen]


def _groups(layers: Sequence[Names], count: int) -> list[Names]:
    """Divide the layers into `count` groups of neighbours, of nearly the same size."""
    ends = [round(len(layers) * i / count) for i in range(count + 1)]
    return [frozenset().union(*layers[a:b]) for a, b in pairwise(ends)]


def _growing(parts: Sequence[Names]) -> list[Names]:
    return [frozenset().union(*parts[: i + 1]) for i in range(len(parts))]

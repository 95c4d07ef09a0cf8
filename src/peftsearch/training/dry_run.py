"""Counts what a configuration would train, and tries every method on a backbone, without a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.core.constraints import BreaksConstraint, Constraint, breaking, checks_before_training
from peftsearch.core.dimensions import Scalar, extremes
from peftsearch.core.errors import UserError
from peftsearch.core.objectives import find_objective
from peftsearch.methods.base import EncoderMethod
from peftsearch.methods.table import ENCODER_METHODS

if TYPE_CHECKING:
    import torch

    from peftsearch.backbones.classifier import Classifier
    from peftsearch.backbones.names import ResolvedModel

TEXTS = ["a good day", "it rains, and the road is long and wet", "red and blue"]
"""A batch of three classes and three lengths."""

MAX_LENGTH = 32
STEPS = 3
RATE = 1e-2
SEED = 42


@dataclass(frozen=True)
class MethodCheck:
    """Whether a method works on a backbone.

    Attributes:
        why: why it does not work, in half a sentence; None if it does.
        trains: whether a few steps change every trainable parameter and no other.
        parameters: the number of trainable parameters, including the head's.
        merges: whether the trained parameters can be merged into the backbone's own weights.
    """

    method: str
    why: str | None = None
    trains: bool = False
    parameters: int = 0
    merges: bool = False


def trainable_by_epoch(config: TrialConfig, resolved: ResolvedModel, classes: int) -> list[int]:
    """The number of trainable parameters in each epoch, with the head's, from the backbone's `config.json` alone.

    Raises:
        UserError: the method cannot tune the backbone, or reads texts and has no parameters before it has seen them.
    """
    from peftsearch.methods.build import build_on_meta_device
    from peftsearch.training.loop.stages import Stages

    method = ENCODER_METHODS.get(config.method)
    if method is None:
        raise UserError(f"method {config.method} has no backbone; its parameters are known after a trial")
    if not method.takes_steps:
        return [0] * config.training.epochs
    return Stages(build_on_meta_device(resolved, method, config.settings, classes), config).counts()


def check_before_training(config: TrialConfig, classes: int, constraints: Sequence[Constraint]) -> None:
    """Check the constraints on what is known before the first step, from the backbone's `config.json` alone.

    Nothing is known of a method without a backbone, or of a backbone that brings its own code.

    Raises:
        BreaksConstraint: the number of trainable parameters breaks one.
    """
    from peftsearch.backbones.names import resolve_config_only

    known = [constraint for constraint in constraints if find_objective(constraint.objective).of_parameters]
    if not known or config.method not in ENCODER_METHODS or config.trust_remote_code:
        return
    resolved = resolve_config_only(config.backbone, config.revision)
    checks = checks_before_training(known, max(trainable_by_epoch(config, resolved, classes)))
    if breaking(checks):
        raise BreaksConstraint(checks)


def try_methods(resolved: ResolvedModel) -> Iterator[MethodCheck]:
    """Run each method that tunes encoders for a few steps on `resolved`."""
    for name, method in ENCODER_METHODS.items():
        yield _try(name, method, resolved)


def _try(name: str, method: EncoderMethod, resolved: ResolvedModel) -> MethodCheck:
    import torch

    from peftsearch.methods.build import build_classifier

    settings, why = _supported(method, resolved)
    if why:
        return MethodCheck(name, why)
    torch.manual_seed(SEED)
    classifier = build_classifier(resolved, method, settings, len(TEXTS))
    parameters = sum(p.numel() for p in classifier.parameters() if p.requires_grad) if method.takes_steps else 0
    found = MethodCheck(name, trains=not method.takes_steps, parameters=parameters, merges=method.library == "torch")
    if method.takes_steps:
        batch = _batch(resolved)
        found = replace(found, trains=_trains(classifier, batch))
        found = found if method.library == "torch" else replace(found, merges=_merges(classifier, batch))
    return found


def _supported(method: EncoderMethod, resolved: ResolvedModel) -> tuple[dict[str, Scalar], str | None]:
    """Default settings that the backbone supports, with at most one other than the first; else why there are none."""
    options = {name: extremes(h.default) for name, h in method.hyperparameters.items()}
    first = {name: values[0] for name, values in options.items()}
    changes = [{}, *({name: value} for name, values in options.items() for value in values[1:])]
    why: str | None = None
    for change in changes:
        try:
            method.check_supported(resolved, {**first, **change})
            return {**first, **change}, None
        except UserError as error:
            why = why or str(error).partition(f"{resolved.name!r}: ")[2] or str(error)
    return first, why


def _batch(resolved: ResolvedModel) -> Any:
    from peftsearch.backbones.loading import load_tokenizer
    from peftsearch.training.batches import text_batch

    return text_batch(load_tokenizer(resolved), [(text,) for text in TEXTS], MAX_LENGTH)


def _trains(classifier: Classifier, batch: Any) -> bool:
    import torch

    trained = {name: p for name, p in classifier.named_parameters() if p.requires_grad}
    before = {name: tensor.detach().clone() for name, tensor in classifier.named_parameters()}
    optimizer = torch.optim.AdamW(trained.values(), lr=RATE, weight_decay=0.0)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(classifier(**batch).logits, torch.arange(len(TEXTS)))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    moved = {name for name, tensor in classifier.named_parameters() if not torch.equal(tensor, before[name])}
    return moved == set(trained)


def _merges(classifier: Classifier, batch: Any) -> bool:
    """Whether the library can merge the adapter, and the merged encoder computes the same."""
    import torch

    merge = getattr(classifier.encoder, "merge_and_unload", None)
    if merge is None:
        return False
    expected = _logits(classifier.eval(), batch)
    try:
        classifier.encoder = merge()
    except (AttributeError, ValueError, NotImplementedError):  # PEFT's prompts
        return False
    return torch.allclose(_logits(classifier, batch), expected, atol=1e-3)


def _logits(classifier: Classifier, batch: Any) -> torch.Tensor:
    import torch

    with torch.inference_mode():
        logits: torch.Tensor = classifier(**batch).logits
    return logits

"""Writes the script of a trial that tuned a backbone, or says in one line why no short script would do the same."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.anatomy import Anatomy, anatomy_of
from peftsearch.backbones.heads import HEADS
from peftsearch.core.config import TrialConfig
from peftsearch.export.script import pieces
from peftsearch.export.script.encoder_template import TEMPLATE
from peftsearch.export.script.library_calls import call_of
from peftsearch.export.script.template import code_of, filled, prefixes
from peftsearch.methods.adapterhub.base import AdapterHubMethod
from peftsearch.methods.base import EncoderMethod
from peftsearch.methods.peft_library.base import PeftMethod
from peftsearch.methods.peft_library.prompt import SoftPrompt
from peftsearch.methods.prefix import PrefixTuning
from peftsearch.methods.table import ENCODER_METHODS

if TYPE_CHECKING:
    from torch import nn

    from peftsearch.backbones.classifier import Classifier
    from peftsearch.backbones.names import ResolvedModel

SPLIT = ".parametrizations."
"""In the names of a fused projection that `unfreezing` has split."""


@dataclass(frozen=True)
class EncoderScript:
    """The script of one configuration.

    Attributes:
        labels: the names of the classes, by index.
        pair: whether a row has two texts.
        precision: the number format that the trial computed in.
        cut_after: the epoch after which the time limit of the search ended it; None if it did not.
        last_epoch: the epoch that ends the training and whose weights are kept; None to keep the best one's.
    """

    config: TrialConfig
    labels: tuple[str, ...]
    pair: bool
    precision: str
    cut_after: int | None = None
    last_epoch: int | None = None

    def unfaithful(self) -> str | None:
        """Why no short script would do the same, in half a sentence; None if one does."""
        config, family = self.config, self._anatomy.family
        if config.method in pieces.UNFAITHFUL:
            return pieces.UNFAITHFUL[config.method]
        if config.trust_remote_code:
            return "the backbone brings its own code"
        if config.selection not in pieces.METRICS:
            return f"its best epoch is chosen by {config.selection}, which the script cannot compute"
        if self._native and self._library != "torch":
            return f"head: native cannot be put on {config.method} in a few lines"
        if self._library == "adapters" and (family.adapterhub_interface or self._is_fused):
            return f"AdapterHub does not take a {self._anatomy.model_type} in a few lines"
        if self._library == "peft" and not self._anatomy.attention:
            return f"PEFT does not take a {self._anatomy.model_type} in a few lines"
        if any(SPLIT in name for name, _ in self._classifier.named_parameters()) and config.method == "unfreezing":
            return f"the stages of {self._anatomy.model_type} divide a fused projection"
        return None

    def text(self, about: Mapping[str, str]) -> str:
        """The script; `about` holds `title`, `origin`, `file`, and `rows`: the name of the folder beside it."""
        config, metric = self.config, pieces.METRICS[self.config.selection]
        summary = self._method.summary
        functions = [pieces.STAGED] * bool(self._stages) + [pieces.FACTORED] * bool(self._factors)
        code = {
            **about,
            "rows": code_of(about["rows"]),
            "needs": pieces.NEEDS[self._library],
            "example": '"a text" "and another"' if self.pair else '"a text"',
            "summary": summary[:1].upper() + summary[1:],
            "loaders": pieces.LOADERS["native" if self._native else "encoder"],
            "library_import": self._library_import(),
            "metric_import": f"from sklearn.metrics import {metric.function}",
            "metric_name": metric.words,
            "metric": metric.call,
            "constants": "\n".join(f"{name} = {code_of(value)}" for name, value in self._constants()),
            "prepare": self._prepare(),
            "build": pieces.BUILT[self._head].replace("<<kwargs>>", self._kwargs()),
            "members": pieces.NATIVE_MEMBERS if self._native else "",
            "forward": "\n".join(self._forward()),
            "loss": pieces.FOCAL if config.training.focal_gamma else pieces.CROSS_ENTROPY,
            "weights": pieces.WEIGHTS[config.training.class_weights],
            "functions": "\n".join(functions),
            "rate": "LEARNING_RATE * factor_of(name)" if self._factors else "LEARNING_RATE",
            "start": "first_step(name, steps)" if self._stages else "0",
            "schedule": pieces.SCHEDULES[config.training.schedule],
            "enter_stage": "enter(model.encoder, epoch)" if self._stages else "",
            "clip": "nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)" * bool(config.training.max_grad_norm),
            "keep": "epoch + 1 == LAST_EPOCH" if self.last_epoch else "score > best",
            "kept": "last" if self.last_epoch else "best",
            "stop_early": self._stop_early(),
            "tokenizer": self._tokenizer(),
            "given": '[{"text": options.label[0], "pair": options.label[1]}]'
            if self.pair
            else '[{"text": text} for text in options.label]',
        }
        return filled(TEMPLATE, code)

    @cached_property
    def _method(self) -> EncoderMethod:
        return ENCODER_METHODS[self.config.method]

    @cached_property
    def _head(self) -> str:
        return str(self.config.settings["head"])

    @cached_property
    def _native(self) -> bool:
        return HEADS[self._head].native

    @cached_property
    def _resolved(self) -> ResolvedModel:
        from peftsearch.backbones.loading import resolve

        return resolve(self.config.backbone, self.config.revision, self.config.trust_remote_code)

    @cached_property
    def _plain(self) -> nn.Module:
        """The encoder as the script loads it, without memory."""
        import torch

        from peftsearch.backbones.loading import load_encoder, load_native

        with torch.device("meta"):
            if not self._native:
                return load_encoder(self._resolved, self.config.trust_remote_code, without_weights=True)
            model: Any = load_native(self._resolved, len(self.labels), without_weights=True)
            encoder: nn.Module = model.base_model
            return encoder

    @cached_property
    def _anatomy(self) -> Anatomy:
        return anatomy_of(self._plain)

    @cached_property
    def _classifier(self) -> Classifier:
        """The classifier as the trial trained it, without memory."""
        from peftsearch.methods.build import build_on_meta_device

        return build_on_meta_device(self._resolved, self._method, self.config.settings, len(self.labels))

    @cached_property
    def _names(self) -> list[str]:
        return [name for name, _ in self._classifier.encoder.named_parameters()]

    @cached_property
    def _call(self) -> tuple[str, list[str]]:
        """The configuration of PEFT or AdapterHub as a call, and what to import for it; empty for torch's methods."""
        if not isinstance(self._method, PeftMethod | AdapterHubMethod | PrefixTuning):
            return "", []
        return call_of(self._method.config(self._anatomy, self.config.settings))

    @cached_property
    def _library(self) -> str:
        if not isinstance(self._method, PeftMethod | AdapterHubMethod | PrefixTuning):
            return "torch"
        return type(self._method.config(self._anatomy, self.config.settings)).__module__.partition(".")[0]

    @cached_property
    def _is_fused(self) -> bool:
        return any(layer.query and layer.query.rows for layer in self._anatomy.layers)

    @cached_property
    def _stages(self) -> tuple[tuple[str, ...], ...]:
        """What each epoch trains, as beginnings of names."""
        config = self.config
        found = self._method.stages(self._classifier.encoder, config.settings, config.training.epochs)
        return tuple(prefixes(names, self._names) for names in found)

    @cached_property
    def _factors(self) -> dict[str, float]:
        """Multipliers of the learning rate, by beginnings of names."""
        found = self._method.learning_rate_multipliers(self._classifier.encoder, self.config.settings)
        return {
            start: factor
            for factor in sorted(set(found.values()) - {1.0})
            for start in prefixes(frozenset(name for name in found if found[name] == factor), self._names)
        }

    def _stop_early(self) -> str:
        """The lines that end the training before its last epoch."""
        if self.last_epoch:
            return pieces.CUT.replace("<<why_cut>>", "of the schedule, this is as far as it is trained")
        cut = pieces.CUT.replace("<<why_cut>>", "the time limit of the search ended it here")
        return pieces.STOPS_EARLY * bool(self.config.training.early_stopping) + cut * bool(self.cut_after)

    def _constants(self) -> Iterator[tuple[str, object]]:
        """Names and values, in the order in which a person looks for them."""
        config, training, settings = self.config, self.config.training, self.config.settings
        rate = float(settings["learning_rate"])
        yield "BACKBONE", config.backbone
        yield "LABELS", list(self.labels)
        yield "INPUTS", self._inputs()
        yield "BLOCKS", self._blocks()
        yield from (("MAX_LENGTH", config.max_length), ("EPOCHS", training.epochs), ("BATCH_SIZE", training.batch_size))
        if self.last_epoch or self.cut_after:
            yield "LAST_EPOCH", self.last_epoch or self.cut_after
        yield "LEARNING_RATE", rate
        yield "HEAD_LEARNING_RATE", rate * float(settings["head_learning_rate_ratio"])
        yield "HEAD_DROPOUT", float(settings["head_dropout"])
        yield from (("WEIGHT_DECAY", training.weight_decay), ("WARMUP", training.warmup))
        yield "LABEL_SMOOTHING", training.label_smoothing
        if training.focal_gamma:
            yield "FOCAL_GAMMA", training.focal_gamma
        if training.max_grad_norm:
            yield "MAX_GRAD_NORM", training.max_grad_norm
        if training.early_stopping:
            yield from (
                ("PATIENCE", training.early_stopping.patience),
                ("THRESHOLD", training.early_stopping.threshold),
            )
        yield from (("SEED", training.seed), ("BF16", self.precision == "bf16"))
        yield from self._of_the_method()

    def _of_the_method(self) -> Iterator[tuple[str, object]]:
        if "FROZEN" in self._prepare():
            frozen = frozenset(n for n, p in self._classifier.encoder.named_parameters() if not p.requires_grad)
            yield "FROZEN", prefixes(frozen, self._names)
        if self._stages:
            yield "STAGES", self._stages
        if self._factors:
            yield "FACTORS", self._factors
        if isinstance(self._method, SoftPrompt):
            yield "VIRTUAL_TOKENS", self.config.settings["virtual_tokens"]

    def _inputs(self) -> tuple[str, ...]:
        """PEFT ignores token types where it puts virtual tokens before the text."""
        virtual = self._library == "peft" and "virtual_tokens" in self.config.settings
        segments = ("token_type_ids",) if self._anatomy.takes_token_types and not virtual else ()
        return ("input_ids", "attention_mask", *segments)

    def _blocks(self) -> tuple[str, ...]:
        """The modules that a frozen prefix may hold, in order, as `Classifier.frozen_prefix` has them."""
        encoder, parts = self._classifier.encoder, self._anatomy
        if not any(parameter.requires_grad for parameter in encoder.parameters()):
            return ("",)
        if self._method.changes_input:
            return ()
        blocks = (*self._classifier.embeddings, *self._classifier.layers, *self._classifier.tail)
        inside = {id(parameter) for block in blocks for parameter in block.parameters()}
        added = any(p.requires_grad and id(p) not in inside for p in encoder.parameters())
        names = parts.embeddings if added else (*parts.embeddings, *(layer.name for layer in parts.layers), *parts.tail)
        known = dict(self._plain.named_modules())
        return tuple(name for name in names if name in known)

    def _prepare(self) -> str:
        key = self.config.method if self._library == "torch" else self._library
        return pieces.PREPARED[key].replace("<<call>>", self._call[0])

    def _library_import(self) -> str:
        return pieces.LIBRARY_IMPORTS[self._library].replace("<<names>>", ", ".join(self._call[1]))

    def _kwargs(self) -> str:
        known: dict[str, object] = dict(self._anatomy.family.config_changes)
        if self.config.revision:
            known["revision"] = self.config.revision
        if not self._native and "add_pooling_layer" in inspect.signature(type(self._plain).__init__).parameters:
            known["add_pooling_layer"] = False
        return ", ".join(["dtype=torch.float32", *(f"{name}={code_of(value)}" for name, value in known.items())])

    def _forward(self) -> Iterator[str]:
        if self._native:
            yield "return self.model(**inputs).logits"
            return
        yield 'states, mask = self.encoder(**inputs).last_hidden_state, inputs["attention_mask"]'
        if isinstance(self._method, SoftPrompt):
            yield "states = states[:, VIRTUAL_TOKENS:]"
        if self._head == "lstm":
            yield "states, _ = self.lstm(states)"
        pooling = "last" if self._head == "lstm" else str(self.config.settings["pooling"])
        yield f"return self.head({pieces.POOLED[pooling]})"

    def _tokenizer(self) -> str:
        config = self.config
        if config.tokenizer is None:
            return f"options.backbone, revision={code_of(config.revision)}" if config.revision else "options.backbone"
        pinned = f", revision={code_of(config.tokenizer_revision)}" if config.tokenizer_revision else ""
        return f"{code_of(config.tokenizer)}{pinned}"

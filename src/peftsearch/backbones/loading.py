"""Pretrained weights and tokenizers, read from disk once per process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from peftsearch.backbones.auto_classes import ENCODER, NATIVE, model_class, quiet, read_config, read_tokenizer
from peftsearch.backbones.families import FAMILIES
from peftsearch.backbones.files import weight_files
from peftsearch.backbones.heads import heads_for_any_encoder
from peftsearch.backbones.names import ResolvedModel, has_vocabulary, resolve, resolve_tokenizer
from peftsearch.backbones.vocabulary import check_vocabulary
from peftsearch.core.errors import UserError, one_line

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["ResolvedModel", "load_encoder", "load_native", "load_tokenizer", "quiet", "resolve", "tokenizer_of"]


def load_tokenizer(resolved: ResolvedModel, trust_remote_code: bool = False) -> Any:
    """Load the backbone's fast tokenizer and give it a padding token.

    Raises:
        UserError: its files are missing or broken.
    """
    if not has_vocabulary(Path(resolved.path)):
        raise UserError(
            f"model {resolved.name!r}: {resolved.path} holds no tokenizer.json; save the tokenizer there too"
        )
    tokenizer = read_tokenizer(resolved, trust_remote_code)
    if tokenizer.pad_token is None:
        # Padding is masked, so any special token serves; a word would become special once the tokenizer is saved.
        special = (tokenizer.eos_token, tokenizer.unk_token, *tokenizer.all_special_tokens)
        tokenizer.pad_token = next((token for token in special if token is not None), None)
    tokenizer.padding_side = "right"  # whoever loads an export's tokenizer elsewhere pads as it was trained
    return tokenizer


class NamesTokenizer(Protocol):
    """An object that may name a tokenizer: a trial's configuration, or a study's backbone."""

    @property
    def tokenizer(self) -> str | None: ...
    @property
    def tokenizer_revision(self) -> str | None: ...
    @property
    def trust_remote_code(self) -> bool: ...


def tokenizer_of(config: NamesTokenizer, backbone: ResolvedModel) -> Any:
    """Load the tokenizer that the study names for `backbone`, or else the backbone's own.

    Raises:
        UserError: its files are missing or broken, or it has more entries than the backbone has embeddings.
    """
    own = config.tokenizer is None
    found = backbone if config.tokenizer is None else resolve_tokenizer(config.tokenizer, config.tokenizer_revision)
    tokenizer = load_tokenizer(found, own and config.trust_remote_code)
    check_vocabulary(backbone, config.tokenizer, max(tokenizer.get_vocab().values()) + 1)
    return tokenizer


def load_encoder(resolved: ResolvedModel, trust_remote_code: bool = False, without_weights: bool = False) -> nn.Module:
    """Load the pretrained encoder without a pooler or head, with every parameter trainable and in memory of its own.

    Raises:
        UserError: the files lack weights of the encoder.
    """
    return _load(resolved, ENCODER, trust_remote_code, {}, without_weights)


def load_native(
    resolved: ResolvedModel, num_labels: int, trust_remote_code: bool = False, without_weights: bool = False
) -> nn.Module:
    """Load the architecture's sequence classifier; torch's generator draws the head weights that the files lack.

    Raises:
        UserError: the architecture has none, or the files lack weights of its encoder (a pooler is part of that).
    """
    changes = {"num_labels": num_labels}
    return _load(resolved, NATIVE, trust_remote_code, changes, without_weights)


def _load(
    resolved: ResolvedModel, auto: str, trust_remote_code: bool, changes: dict[str, Any], without_weights: bool
) -> nn.Module:
    config = _config(resolved, trust_remote_code, changes)
    chosen = model_class(resolved, config, auto)
    options = {"add_pooling_layer": False} if auto == ENCODER and has_optional_pooler(chosen) else {}
    if without_weights:
        with quiet():
            return _named(chosen(config, **options), resolved)
    with quiet():
        model, report = chosen.from_pretrained(
            None,
            config=config,
            state_dict=dict(_weights(resolved.path)),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,
        )
    _check_complete(resolved, model, report, auto)
    for parameter in model.parameters():
        # transformers 4.57 hands out the tensors of `state_dict` themselves: training would change the kept ones.
        parameter.data = parameter.data.clone()
    return _named(model, resolved).train()


def _named(model: Any, resolved: ResolvedModel) -> nn.Module:
    """Give `model` the name that the study writes: saved adapters name their base by it, and a path would leak.

    `from_pretrained`, which is given weights instead of a name, has called it "None".
    """
    for part in (model, model.base_model):
        part.name_or_path = part.config.name_or_path = resolved.name
    named: nn.Module = model
    return named


def _config(resolved: ResolvedModel, trust_remote_code: bool, changes: dict[str, Any]) -> Any:
    import torch

    config = read_config(resolved, trust_remote_code, changes)
    config.dtype = torch.float32  # a half-precision checkpoint still needs full-precision weights to train
    if config.model_type in FAMILIES:  # a model's own code may call itself anything
        config.update(dict(FAMILIES[config.model_type].config_changes))
    return config


def has_optional_pooler(model_class: Any) -> bool:
    """Whether models of this class are made with a pooler or, as here, without one."""
    import inspect

    return "add_pooling_layer" in inspect.signature(model_class.__init__).parameters


def _check_complete(resolved: ResolvedModel, model: Any, report: dict[str, Any], auto: str) -> None:
    """Refuse files that lack weights of the encoder, which would be random; only a head's may be."""
    prefix = "" if auto == ENCODER else f"{model.base_model_prefix}."
    absent = [*report["missing_keys"], *report["mismatched_keys"]]
    lacking = sorted(key for key in absent if key.startswith(prefix))
    if not lacking:
        return
    if all("pooler" in key for key in lacking):
        raise UserError(
            f"model {resolved.name!r} has no pretrained pooler for head: native; choose {heads_for_any_encoder()}"
        )
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    raise UserError(f"model {resolved.name!r}: its files lack the weights {lacking[0]}{more}; save it again")


@lru_cache(maxsize=2)
def _weights(path: str) -> dict[str, torch.Tensor]:
    """Read all tensors of the folder's safetensors; the caller must not change them."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for file in weight_files(path, Path(path)):
        try:
            tensors |= load_file(file)
        except (OSError, SafetensorError) as error:
            raise UserError(f"cannot read {file}: {one_line(error)}") from error
    return tensors

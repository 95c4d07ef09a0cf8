"""Says where a key belongs that stands in the wrong section of a study file, or what it is called here."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import fields

from peftsearch.core.config import EarlyStopping, SearchConfig, TrainingConfig
from peftsearch.core.errors import close_match, nearest
from peftsearch.data.base import SPLITS
from peftsearch.data.section import DataSection, Limit, Splits
from peftsearch.methods.table import METHODS

SECTIONS: dict[str, str] = {
    "name": "the name of the study, and of what is kept of it in `runs`: letters, digits, `-` and `_`",
    "goal": "the question that the study answers, for readers",
    "data": "the labelled texts",
    "backbones": "the pretrained encoders that are tuned",
    "training": "how every trial is trained",
    "objectives": "what the Pareto front weighs up",
    "constraints": "bounds that a trial must keep to be on the front",
    "tolerance": "by how much values may differ and count as equal on the front; `none`: not at all",
    "every_epoch": "whether every epoch of a trial counts as a point of the front; else whole trials alone do",
    "methods": "the search space: the tuning methods, each with its own dimensions",
    "baselines": "configurations that are tried first, exactly as they are written",
    "search": "what proposes configurations, and what stops trials early",
    "tracking": "the trackers that get a run for each trial",
    "origin": "the trial that the file describes; `peftsearch export --config` writes it",
}
"""The keys of a study file that stand in no section, each with what it says."""

OF_A_BACKBONE = ("revision", "trust_remote_code", "max_length", "tokenizer", "tokenizer_revision")

OPTIONS = (
    *("trials", "workers", "workers_per_device", "timeout", "trial_timeout", "exact", "cache_size"),
    *("storage", "storage_patience", "fork"),
)
"""What the command `optimize` is told, and a study file is not."""

OTHER_NAMES: dict[str, str] = {
    **dict.fromkeys(("lr", "lrs"), "learning_rate"),
    **dict.fromkeys(("r", "lora_r", "lora_rank"), "rank"),
    **dict.fromkeys(("alpha", "lora_alpha"), "alpha_ratio"),
    **dict.fromkeys(("lora_dropout",), "dropout"),
    **dict.fromkeys(("target_modules",), "targets"),
    **dict.fromkeys(("num_virtual_tokens", "prefix_length"), "virtual_tokens"),
    **dict.fromkeys(("num_epochs", "num_train_epochs", "n_epochs", "max_epochs"), "epochs"),
    **dict.fromkeys(("bs", "train_batch_size", "per_device_train_batch_size"), "batch_size"),
    **dict.fromkeys(("wd",), "weight_decay"),
    **dict.fromkeys(("warmup_ratio",), "warmup"),
    **dict.fromkeys(("scheduler", "lr_scheduler", "lr_scheduler_type"), "schedule"),
    **dict.fromkeys(("dtype", "torch_dtype", "fp16", "bf16"), "precision"),
    **dict.fromkeys(("model", "models", "model_name", "encoder", "pretrained_model"), "backbones"),
    **dict.fromkeys(("dataset", "dataset_name"), "data"),
    **dict.fromkeys(("text_column", "text_col"), "text"),
    **dict.fromkeys(("label_column", "label_col", "target_column"), "label"),
    **dict.fromkeys(("file", "path", "data_files"), "source"),
    **dict.fromkeys(("max_seq_length", "max_len", "max_tokens"), "max_length"),
    **dict.fromkeys(("val", "valid", "dev", "eval"), "validation"),
    **dict.fromkeys(("metric", "metrics"), "objectives"),
    **dict.fromkeys(("random_state", "random_seed"), "seed"),
    **dict.fromkeys(("n_trials",), "trials"),
    **dict.fromkeys(("num_workers", "n_jobs"), "workers"),
    **dict.fromkeys(("description", "question"), "goal"),
}
"""What other programs call the keys of a study file."""

SPECIAL: dict[tuple[str | int, ...], str] = {
    ("data", "splits", "train"): "train gets the rows that the other splits leave; delete this key",
}
"""Places of keys that need words of their own."""


def where_it_belongs(key: str, valid: Iterable[str], where: tuple[str | int, ...]) -> str:
    """What to do about a key that is not among `valid`, which are the keys that may stand where it does.

    Args:
        where: the section's place in the file.
    """
    valid = list(valid)
    known = OTHER_NAMES.get(key.casefold(), key)
    if re.fullmatch(r"[-+.\de]+", key):
        return "a number is no key; write decimals with a point, as in 1.5e-4"
    if (*where, key) in SPECIAL:
        return SPECIAL[*where, key]
    if known != key and known in valid:
        return f"did you mean {known!r}?"
    for name in (key,) if close_match(key, valid) else (key, known):
        if homes := _homes().get(name):
            return f"write {' or '.join(homes)}"
    return nearest(key, valid)


def places_of(key: str) -> list[str]:
    """What to write in each place of a study file where `key`, or what it is called here, may stand."""
    found = _homes().get(OTHER_NAMES.get(key.casefold(), key), [])
    return [place for place in found if not place.endswith("on the command line")]


@functools.cache
def _homes() -> dict[str, list[str]]:
    """For each key, what to write in each place where it may stand, the places in the order of a study file."""
    found: dict[str, list[str]] = {}
    for key, told in (
        *((key, f"{key}: at the left edge of the file") for key in SECTIONS if key != "name"),
        *((key, f"data: {{source: {{{key}: FILE}}}}") for key in SPLITS),
        *((key, f"data: {{{key}: …}}") for key in DataSection.model_fields),
        *((key, f"data: {{splits: {{{key}: …}}}}") for key in Splits.model_fields),
        *((key, f"data: {{limit: {{{key}: ROWS}}}}") for key in Limit.model_fields),
        *((key, f"backbones: [{{name: …, {key}: …}}]") for key in OF_A_BACKBONE),
        *((field.name, f"training: {{{field.name}: …}}") for field in fields(TrainingConfig)),
        *((field.name, f"training: {{early_stopping: {{{field.name}: …}}}}") for field in fields(EarlyStopping)),
        *((field.name, f"search: {{{field.name}: …}}") for field in fields(SearchConfig)),
        *((key, f"peftsearch optimize --{key.replace('_', '-')} on the command line") for key in OPTIONS),
        *((name, f"methods: {{{name}: …}}") for name in METHODS),
        *((key, f"methods: {{{name}: {{{key}: …}}}}, for each method its own") for key, name in _dimensions()),
    ):
        found.setdefault(key, []).append(told)
    return found


def _dimensions() -> list[tuple[str, str]]:
    """Each hyperparameter with a method that has it: LoRA or prefix tuning, or else the first."""
    first: dict[str, str] = {}
    for name in ("lora", "prefix", *METHODS):
        for key in METHODS[name].hyperparameters:
            first.setdefault(key, name)
    return list(first.items())

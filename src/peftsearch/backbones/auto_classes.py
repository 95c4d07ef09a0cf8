"""The only door to what transformers loads by the files of a folder; see `safe_config` for why there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peftsearch.backbones.heads import heads_for_any_encoder
from peftsearch.backbones.names import ResolvedModel
from peftsearch.backbones.safe_config import check_code_is_its_own, check_tokenizer
from peftsearch.core.errors import UserError, one_line

ENCODER, NATIVE = "AutoModel", "AutoModelForSequenceClassification"
"""What a model class is looked up under: the bare encoder, or the architecture's own classifier."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' messages about missing weights, which `loading` checks, unless more were asked for."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(before if before <= logging.INFO else logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def read_tokenizer(resolved: ResolvedModel, trust_remote_code: bool) -> Any:
    """The tokenizer in the model's folder, as its files describe it.

    Raises:
        UserError: its files are broken, or name a class or an architecture that is not known.
    """
    from transformers import AutoTokenizer

    _check_trust(resolved, trust_remote_code)
    check_tokenizer(resolved.name, Path(resolved.path), trust_remote_code)
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(resolved.path, trust_remote_code=trust_remote_code)
    except Exception as error:  # a damaged file makes each library raise its own kind
        reason = one_line(error)
        raise UserError(f"model {resolved.name!r} has no tokenizer that can be read: {reason}") from error


def read_config(resolved: ResolvedModel, trust_remote_code: bool, changes: dict[str, Any]) -> Any:
    """The model's configuration with `changes`, made of what was checked and of nothing that was read later.

    Raises:
        UserError: its file is broken, or its architecture is not known.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    _check_trust(resolved, trust_remote_code)
    data = resolved.config()
    own_code = trust_remote_code and "AutoConfig" in (data.get("auto_map") or {})
    try:
        if own_code:
            config = AutoConfig.from_pretrained(resolved.path, trust_remote_code=True, **changes)
        else:
            config = CONFIG_MAPPING[data["model_type"]].from_dict(data, **changes)
    except Exception as error:  # each architecture raises its own kind
        raise UserError(f"model {resolved.name!r}: {one_line(error)}") from error
    # transformers 4.57 has no public way to say "choose for this machine", and loads a hub kernel by this name.
    config._attn_implementation = None
    return config


def model_class(resolved: ResolvedModel, config: Any, auto: str) -> Any:
    """The class of `auto` (`ENCODER` or `NATIVE`) for a configuration that `read_config` has made.

    Raises:
        UserError: transformers has none.
    """
    import transformers

    sources = getattr(config, "auto_map", {})
    if type(config).__module__.startswith("transformers_modules") and auto in sources:
        from transformers.dynamic_module_utils import get_class_from_dynamic_module

        return get_class_from_dynamic_module(sources[auto], resolved.path)
    # No public call tells the class without loading the files, and with them what they name.
    mapping = getattr(transformers, auto)._model_mapping
    if type(config) not in mapping:
        fix = f"choose head: {heads_for_any_encoder()}" if auto != ENCODER else "choose another backbone"
        raise UserError(f"model {resolved.name!r} ({config.model_type}) has no {auto} in transformers; {fix}")
    return mapping[type(config)]


def _check_trust(resolved: ResolvedModel, trust_remote_code: bool) -> None:
    if not trust_remote_code:
        return
    if resolved.kind in ("cache", "hub") and not re.fullmatch(r"[0-9a-f]{40}", resolved.revision or ""):
        raise UserError(
            f"trust_remote_code runs the code of {resolved.name!r}: pin it with revision: and the full commit hash"
        )
    check_code_is_its_own(resolved.name, Path(resolved.path))

"""What the JSON files of a model may say, checked before transformers reads them. Needs no torch.

transformers 4.57.6 acts on what these files say, whatever `trust_remote_code` it is given:

- a `model_type` of lightglue loads a second model, with the `trust_remote_code` that the file itself sets
  (CVE-2026-5241), and without a `model_type` the folder's own name chooses the class;
- an attention implementation such as `owner/name` is downloaded from the hub as a compiled kernel (CVE-2026-4372);
- `tokenizer_class` may be any name in transformers, that of a configuration or a model included;
- `configuration_files` puts another file in place of the one that was checked.

So only architectures and tokenizers that are known here pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peftsearch.backbones.families import FAMILIES
from peftsearch.core.errors import UserError, nearest, one_line, shown

CONFIG, TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"

TOKENIZERS = frozenset({
    "Albert", "Bart", "Barthez", "Bert", "Bertweet", "Camembert", "Deberta", "DebertaV2", "DistilBert", "Electra",
    "Funnel", "GPT2", "GPTNeoX", "Herbert", "Llama", "Longformer", "MPNet", "MobileBert", "Phobert", "PreTrained",
    "RemBert", "Roberta", "T5", "XLMRoberta", "XLNet",
})  # fmt: skip
"""The tokenizer classes of transformers that are loaded, without `Tokenizer` or `TokenizerFast` at the end.

They read vocabularies and nothing else. Others load models, pickles or plug-ins that their files name."""

OWN_HEAD = "text_encoder_classifier"
"""The `model_type` of an exported classifier with a head of its own: its encoder is described under `encoder`."""

ATTENTION = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
"""The keys by which a file chooses how attention is computed; transformers chooses for this machine instead."""


def read_config(name: str, folder: Path) -> dict[str, Any]:
    """What the `config.json` in the folder of the model `name` says, once it is known to be harmless.

    Raises:
        UserError: it is missing or damaged, its architecture is not known, or it says what is not supported.
    """
    if not (folder / CONFIG).is_file():
        raise UserError(f"model {name!r}: {folder} holds no {CONFIG}; save the model there with save_pretrained")
    config = read_json(name, folder / CONFIG)
    if config.get("model_type") == OWN_HEAD and isinstance(config.get("encoder"), dict):
        config = config["encoder"]
    check_config(name, config)
    return {key: value for key, value in config.items() if key not in ATTENTION}


def check_config(name: str, config: Mapping[str, Any]) -> None:
    """Refuse a model by what its `config.json` says.

    Raises:
        UserError: its architecture is not known, or it says what is not supported.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise UserError(
            f"model {name!r}: architecture {shown(model_type)} is not known; choose a backbone of one of these: {known}"
        )
    if "configuration_files" in config:
        raise UserError(f"model {name!r}: its {CONFIG} names other files (configuration_files); take that line out")
    if config.get("quantization_config"):
        raise UserError(
            f"model {name!r} is quantized (quantization_config in its {CONFIG}), and quantized weights cannot be "
            "tuned here; choose the model that it was made from"
        )


def check_tokenizer(name: str, folder: Path, trust_remote_code: bool = False) -> None:
    """Refuse the tokenizer in `folder` by what its JSON files say. A tokenizer alone has no `config.json`.

    Args:
        trust_remote_code: whether the folder may bring a class of its own.

    Raises:
        UserError: a file is damaged, or names an architecture or a class that is not known.
    """
    files = {CONFIG: read_config(name, folder)} if (folder / CONFIG).exists() else {}
    if (folder / TOKENIZER_CONFIG).exists():
        files[TOKENIZER_CONFIG] = read_json(name, folder / TOKENIZER_CONFIG)
    if trust_remote_code and any("AutoTokenizer" in str(data.get("auto_map")) for data in files.values()):
        return
    for file, data in files.items():
        _check_tokenizer_class(name, file, data.get("tokenizer_class"))


def check_code_is_its_own(name: str, folder: Path) -> None:
    """Refuse a model that is trusted to run its own code, but whose code lies in another repository.

    Raises:
        UserError: `auto_map` in one of its files names another repository, which no revision pins.
    """
    for file in (CONFIG, TOKENIZER_CONFIG):
        if (folder / file).exists() and "--" in str(read_json(name, folder / file).get("auto_map", "")):
            raise UserError(f"the code of {name!r} lies in another repository, which no revision pins; not run")


def read_json(name: str, file: Path) -> dict[str, Any]:
    """The JSON object in a `file` of the model `name`.

    Raises:
        UserError: it cannot be read, or is no JSON object.
    """
    try:
        text = file.read_text(encoding="utf-8")
        if text.startswith("version https://git-lfs"):
            raise UserError(f"model {name!r}: {file} is a git-lfs pointer, not the file itself; run git lfs pull")
        data = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"model {name!r}: cannot read {file}: {one_line(error)}; get the file again") from error
    if not isinstance(data, dict):
        raise UserError(f"model {name!r}: {file} holds no JSON object; get the file again")
    return data


def _check_tokenizer_class(name: str, file: str, written: object) -> None:
    if written is None:
        return
    bare = str(written).removesuffix("Fast").removesuffix("Tokenizer")
    if not isinstance(written, str) or bare == written or bare not in TOKENIZERS:
        valid = nearest(str(written), [f"{known}Tokenizer" for known in TOKENIZERS])
        raise UserError(
            f"model {name!r}: the tokenizer_class {shown(written)} in its {file} is none that is loaded here; {valid}"
        )

"""Model folders with code in them that writes a file when it runs, by each way in which transformers could run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.helpers.tiny import tiny_model

RAN = "ran"
"""The file that planted code writes, beside the folder that holds the code."""

PLANTS = ("lightglue", "folder_name", "tokenizer_class", "tokenizer_class_in_config", "configuration_files", "auto_map")


def plant(folder: Path, how: str) -> Path:
    """Write a whole model with planted code to `folder`, and return the file that the code writes when it runs."""
    inner = folder / "inner"
    tiny_model(folder)
    inner.mkdir()
    ran = folder.parent / f"{folder.name}-{RAN}"
    code = f"open({str(ran)!r}, 'w').close()\nfrom transformers import PretrainedConfig\n" + (
        "class Evil(PretrainedConfig):\n    model_type = 'superpoint'\n"
    )
    for place in (folder, inner):
        (place / "evil.py").write_text(code)
    own_code = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}
    (inner / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": own_code}))
    second = {"model_type": "evil", "_name_or_path": str(inner)}
    lightglue: dict[str, Any] = {"trust_remote_code": True, "keypoint_detector_config": second}
    match how:
        case "lightglue":
            change(folder, **lightglue, model_type="lightglue")
            change(folder, "tokenizer_config.json", tokenizer_class=None)
        case "folder_name":
            change(folder, **lightglue, model_type=None)
            change(folder, "tokenizer_config.json", tokenizer_class=None)
            assert "lightglue" in str(folder), "without a model_type transformers looks at the path"
        case "tokenizer_class":
            change(folder, **lightglue)
            change(folder, "tokenizer_config.json", tokenizer_class="LightGlueConfig")
        case "tokenizer_class_in_config":
            change(folder, **lightglue, tokenizer_class="LightGlueConfig")
            change(folder, "tokenizer_config.json", tokenizer_class=None)
        case "configuration_files":
            (folder / "config.4.0.0.json").write_text(json.dumps({**lightglue, "model_type": "lightglue"}))
            change(folder, configuration_files=["config.4.0.0.json"])
            change(folder, "tokenizer_config.json", tokenizer_class=None)
        case "auto_map":
            change(folder, auto_map=own_code, model_type="evil")
            change(folder, "tokenizer_config.json", auto_map=own_code)
    return ran


def change(folder: Path, file: str = "config.json", **changes: Any) -> None:
    """Change the JSON object in a file; None takes a key out."""
    data = {**json.loads((folder / file).read_text()), **changes}
    (folder / file).write_text(json.dumps({key: value for key, value in data.items() if value is not None}))

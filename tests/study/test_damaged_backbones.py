"""A backbone whose files are damaged is refused by `check`, in one line that names the file and the true reason."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.study.compatibility import check_feasible
from peftsearch.study.spec import load_study
from tests.helpers.tiny import tiny_model

STUDY = "name: toy\ndata: {source: rows.csv}\nbackbones: [model]\nmethods: {full: {}}\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "model.safetensors")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.yaml").write_text(STUDY)
    return tiny_model(tmp_path / "model")


def refused() -> str:
    with pytest.raises(UserError) as caught:
        check_feasible(load_study("toy.yaml"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("file", FILES)
def test_a_git_lfs_pointer(model: Path, file: str) -> None:
    (model / file).write_bytes(POINTER)
    expected = f"model 'model': model/{file} is a git-lfs pointer, not the file itself; run git lfs pull"
    assert refused() == expected


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("seed", range(4))
def test_a_file_that_is_cut_anywhere(model: Path, file: str, seed: int) -> None:
    content = (model / file).read_bytes()
    (model / file).write_bytes(content[: random.Random(seed).randrange(len(content) - 1)])
    said = refused()
    assert said.startswith(("model 'model': ", "model 'model' ")), said
    assert f"model/{file}" in said
    assert said.endswith("; get the file again")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: b"", "model/model.safetensors is damaged or cut short (header too small)"),
        (lambda content: content + b"more", "model/model.safetensors is damaged or cut short ("),
        (lambda content: b"\x02" + bytes(7) + b"{}", "model/model.safetensors holds no weights"),
        (lambda content: b"<html>404 Not Found</html>", "model/model.safetensors is damaged or cut short ("),
    ],
)
def test_weights_that_are_none(model: Path, change: Callable[[bytes], bytes], said: str) -> None:
    file = model / "model.safetensors"
    file.write_bytes(change(file.read_bytes()))
    assert said in refused()


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', POINTER.decode()]
)
def test_a_damaged_index_of_shards(model: Path, content: str) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(content)
    assert "model/model.safetensors.index.json" in refused()


def test_a_shard_that_is_not_there(model: Path) -> None:
    (model / "model.safetensors").rename(model / "model-00001-of-00002.safetensors")
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert refused().startswith("model 'model': cannot read model/model-00002-of-00002.safetensors: ")


def test_an_own_tokenizer_with_more_tokens_than_embeddings(model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens(["superword"])
    tokenizer.save_pretrained(model)
    assert refused().startswith("model 'model': its tokenizer has 60 entries, but it has embeddings for 59; ")


def test_a_quantised_model(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (model / "config.json").write_text(json.dumps(config))
    assert refused().startswith("model 'model' is quantized (quantization_config in its config.json)")


def test_no_torch_is_loaded_for_it(model: Path) -> None:
    code = (
        "import sys; from peftsearch.study.compatibility import check_feasible; "
        "from peftsearch.study.spec import load_study; check_feasible(load_study('toy.yaml')); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

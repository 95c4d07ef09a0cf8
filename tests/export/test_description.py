"""An export that is damaged, cut, of another version or no export at all is one line, and says which file."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from peftsearch.backbones.loading import load_tokenizer, resolve
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.export.target import written_whole
from peftsearch.export.write import write_files
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.predict.load import load_classifier
from peftsearch.training.checkpoint import read_checkpoint
from peftsearch.training.trial import TrialResult
from tests.helpers.damage import DAMAGES, files_of
from tests.helpers.records import measurement
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of

AGAIN = "export the trial again"


@pytest.fixture(scope="module", params=["full", "lora"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, method = tmp_path_factory.mktemp("exported"), request.param
    resolved = resolve(str(tiny_model(root / "model")))
    config = TrialConfig(str(root / "model"), method, settings_of(method), max_length=16)
    torch.manual_seed(0)
    classifier = build_classifier(resolved, ENCODER_METHODS[method], config.settings, 2)
    TrialResult(measurement(), classifier, load_tokenizer(resolved), config, ("cat", "dog")).save(
        root / "weights" / "0"
    )
    with written_whole(root / "out") as folder:
        write_files(read_checkpoint(root / "weights", 0), folder, {"study": "toy", "data": {"text": "text"}})
    return root / "out"


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "out"))


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_classifier(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_copy_loads_and_people_may_edit_the_card(folder: Path) -> None:
    (folder / "README.md").write_text("# Mine", encoding="utf-8")
    assert load_classifier(folder).labels == ("cat", "dog")


@pytest.mark.parametrize("damage", ["cut", "missing", "garbage", "zeros", "longer"])
def test_each_file_of_weights_or_tokenizer_that_is_damaged_is_named(folder: Path, damage: str) -> None:
    for name in files_of(folder):
        if name in ("peftsearch.yaml", "README.md", "checksums.json"):
            continue
        whole = (folder / name).read_bytes()
        (alone := folder.parent / "alone").mkdir(exist_ok=True)
        shutil.copyfile(folder / name, alone / "file")
        DAMAGES[damage](alone, random.Random(name))
        if (alone / "file").exists():
            shutil.move(alone / "file", folder / name)
        else:
            (folder / name).unlink()
        assert refused(folder) == f"{folder / name} is damaged, or was changed after the export; {AGAIN}"
        (folder / name).write_bytes(whole)
    load_classifier(folder)


@pytest.mark.parametrize("labels", [None, [], ["cat"], "cat", {"0": "cat", "1": "dog"}, [1, 2], ["cat", None]])
def test_labels_that_are_none(folder: Path, labels: object) -> None:
    change(folder, labels=labels)
    assert refused(folder) == f"{folder}/peftsearch.yaml must list the classes' names as labels; {AGAIN}"


def change(folder: Path, **changes: object) -> None:
    file = folder / "peftsearch.yaml"
    described = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**described, **changes}), encoding="utf-8")


def test_labels_that_do_not_fit(folder: Path) -> None:
    change(folder, labels=["cat", "cat"])
    assert refused(folder) == f"{folder}/peftsearch.yaml names the class 'cat' twice; {AGAIN}"
    change(folder, labels=["cat", "dog", "red"])
    assert "does not fit its configuration" in refused(folder)


def test_a_form_that_is_none(folder: Path) -> None:
    change(folder, form="onnx")
    assert refused(folder) == f"{folder}/peftsearch.yaml is damaged; {AGAIN}"


@pytest.mark.parametrize(
    "content",
    [b"", b"a: [", b"- 1", b"\xff\xfe\x00", b"text", b"config: {}", b"format: peftsearch-classifier-2", b"[" * 9_999],
)  # fmt: skip
def test_a_configuration_that_is_none(folder: Path, content: bytes) -> None:
    (folder / "peftsearch.yaml").write_bytes(content)
    assert refused(folder) == f"{folder}/peftsearch.yaml is damaged; {AGAIN}"


def test_a_configuration_that_is_cut_anywhere(folder: Path) -> None:
    content = (folder / "peftsearch.yaml").read_bytes()
    end = content.index(b"padding_share")  # what follows may be missing in exports of earlier versions
    for cut in random.Random(0).sample(range(1, end), 40):
        (folder / "peftsearch.yaml").write_bytes(content[:cut])
        assert "peftsearch.yaml" in refused(folder)


def test_a_configuration_of_another_version(folder: Path) -> None:
    file = folder / "peftsearch.yaml"
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole.replace("classifier-2", "classifier-3"), encoding="utf-8")
    assert refused(folder) == (
        f"{file}: its format is 'peftsearch-classifier-3', and this version of peftsearch reads "
        f"'peftsearch-classifier-2' only; load it with the version that wrote it, or {AGAIN}"
    )
    method = "lora" if "method: lora" in whole else "full"
    file.write_text(whole.replace(f"method: {method}", "method: galore"), encoding="utf-8")
    assert refused(folder) == f"{file}: this version of peftsearch has no method 'galore'; update it"


def test_an_export_of_an_earlier_version_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("format: peftsearch-classifier-1\nconfig: {}\n", encoding="utf-8")
    assert refused(tmp_path) == (
        f"{tmp_path}/config.yaml: its format is 'peftsearch-classifier-1', and this version of peftsearch reads "
        f"'peftsearch-classifier-2' only; load it with the version that wrote it, or {AGAIN}"
    )


def test_an_export_without_checksums_loads(folder: Path) -> None:
    (folder / "checksums.json").unlink()
    assert load_classifier(folder).labels == ("cat", "dog")


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: None])
def test_a_place_without_an_export(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "out")
    assert refused(tmp_path / "out") == (
        f"{tmp_path}/out: is no exported classifier; make one with: peftsearch export --study NAME --out {tmp_path}/out"
    )


def test_the_list_of_files_is_whole(folder: Path) -> None:
    listed = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))["files"]
    assert sorted([*listed, "checksums.json"]) == files_of(folder)

import http.server
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import datasets
import pytest

from peftsearch.core.errors import UserError
from peftsearch.data import hub
from tests.helpers.files import json_lines, prepare, rows


def error(folder: Path, source: str, **section: Any) -> str:
    with pytest.raises(UserError) as caught:
        prepare(folder, source, **section)
    return str(caught.value)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_reachable", lambda: False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)  # put back afterwards


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("name", ["some_news", "glue/mrpc"])
def test_a_hub_that_cannot_be_reached_is_said_at_once_with_what_to_do(tmp_path: Path, name: str) -> None:
    start = time.perf_counter()
    assert error(tmp_path, f"hub:{name}") == (
        f"data.source: the hub cannot be reached for hub:{name}, and it is not in the cache; "
        "name local files: source: {train: FILE, test: FILE}"
    )
    assert time.perf_counter() - start < 5


def test_a_hub_that_does_not_answer_is_not_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert not hub._reachable()


def test_a_name_may_be_an_owners_data_set_or_a_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def load(path: str, config: str | None, revision: str | None) -> datasets.DatasetDict:
        asked.append((path, config, revision))
        if path != "glue":
            raise datasets.exceptions.DatasetNotFoundError(path)
        return datasets.DatasetDict({"train": datasets.Dataset.from_list(rows(30))})

    monkeypatch.setattr(hub, "_reachable", lambda: True)
    monkeypatch.setattr(datasets, "load_dataset", load)
    assert prepare(tmp_path, "hub:glue/mrpc", revision="abc").labels == ("cat", "dog", "sun")
    assert asked == [("glue/mrpc", None, "abc"), ("glue", "mrpc", "abc")]
    assert error(tmp_path, "hub:nothing") == (
        "data.source: no data set hub:nothing, or it is private and HF_TOKEN is not set; "
        "name local files: source: {train: FILE, test: FILE}"
    )


def test_class_names_and_unpublished_test_labels(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes", "un"])}
    )
    for split, label in (("train", None), ("test", -1)):
        made = {
            "text": [f"{split} {i}" for i in range(40)],
            "label": [i % 2 if label is None else label for i in range(40)],
        }
        path = tmp_path / "d" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(exist_ok=True)
        datasets.Dataset.from_dict(made, features=features).to_parquet(path)
    data = prepare(tmp_path, "hub:./d")
    assert data.labels == ("no", "yes")
    assert data.notes[0] == "test: has no labels, so it is made from the training rows"
    assert prepare(tmp_path, "d").fingerprint == data.fingerprint


def test_configurations_of_a_local_folder_are_read_from_its_card(tmp_path: Path) -> None:
    json_lines(tmp_path / "d" / "first.jsonl", rows(30))
    card = (
        "---\nconfigs:\n- config_name: a\n  data_files: first.jsonl\n- config_name: b\n  data_files: first.jsonl\n---\n"
    )
    (tmp_path / "d" / "README.md").write_text(card)
    message = error(tmp_path, "hub:./d")
    assert message.startswith("data.source: hub:./d needs a configuration, hub:./d/CONFIG; ")
    assert "\n" not in message
    assert prepare(tmp_path, "hub:./d/b").labels == ("cat", "dog", "sun")


def layout(folder: Path, *splits: str) -> None:
    """A data set in the hub's layout with these splits, of which each has other texts."""
    for place in range(len(splits)):
        json_lines(folder / f"{place}.jsonl", rows(30, first=100 * place))
    files = "".join(f"  - split: {split}\n    path: {place}.jsonl\n" for place, split in enumerate(splits))
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n")


@pytest.mark.parametrize("validation", ["dev", "valid", "validation_matched", "Eval"])
def test_splits_with_other_names_are_taken_and_others_told(tmp_path: Path, validation: str) -> None:
    layout(tmp_path / "d", "train", validation, "test", "unsupervised")
    data = prepare(tmp_path, "hub:./d")
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 30, "validation": 30, "test": 30}
    assert data.notes[:2] == (f"the split {validation} is taken as validation", "left out: the split unsupervised")


@pytest.mark.parametrize(
    "splits", [("train", "validation_matched", "validation_mismatched"), ("full",), ("test", "dev")]
)
def test_splits_that_are_unclear_are_asked_about_and_can_be_named(tmp_path: Path, splits: tuple[str, ...]) -> None:
    layout(tmp_path / "d", *splits)
    assert error(tmp_path, "hub:./d") == (
        f"data.source: hub:./d has the splits {', '.join(splits)}; say which is which: "
        "source: {train: hub:./d#SPLIT, test: hub:./d#SPLIT}"
    )
    data = prepare(tmp_path, {"train": f"hub:./d#{splits[0]}"})
    assert sum(len(rows) for rows in data.splits.values()) == 30
    assert error(tmp_path, {"train": "hub:./d#tset"}).startswith("data.source: hub:./d has no split 'tset'; ")


def test_a_local_folder_that_is_not_there(tmp_path: Path) -> None:
    assert error(tmp_path, "hub:./nothing") == f"data.source: no folder './nothing' in {tmp_path}"


ASK = """
from pathlib import Path
from peftsearch.backbones.names import resolve
from peftsearch.core.errors import UserError
from peftsearch.data.load import load_data
from peftsearch.data.section import DataSection
for ask in (lambda: load_data(DataSection(source="hub:me/private", revision="abc"), Path(), Path("cache")),
            lambda: resolve("me/model", "def")):
    try:
        ask()
    except UserError as error:
        print(error)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """Has nothing, and remembers what it was asked for, and with which token."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(404 if self.command == "GET" else 200)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def test_the_hub_is_asked_for_the_pinned_revision_with_the_token_of_the_environment(tmp_path: Path) -> None:
    hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    own = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_TOKEN": "hf_mine", "HF_HOME": str(tmp_path / "hf")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | own
    said = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    hub.shutdown()
    assert said.stdout.splitlines() == [
        "data.source: no data set hub:me/private, or it is private and HF_TOKEN is not set; "
        "name local files: source: {train: FILE, test: FILE}",
        "no model 'me/model' on the hub (or it is private); check the name, "
        "or write a local folder with its files as the backbone instead",
    ], said.stderr
    data, model = ({path: token for path, token in Hub.asked if name in path} for name in ("me/private", "me/model"))
    assert data
    assert model
    assert all("/abc" in path for path in data)
    assert all("/def" in path for path in model)
    assert {*data.values(), *model.values()} == {"Bearer hf_mine"}

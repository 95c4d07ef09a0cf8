import time
from pathlib import Path
from typing import Any

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


def test_a_local_folder_that_is_not_there(tmp_path: Path) -> None:
    assert error(tmp_path, "hub:./nothing") == f"data.source: no folder './nothing' in {tmp_path}"

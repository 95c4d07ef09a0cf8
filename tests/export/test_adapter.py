"""Adapters that are exported without their backbone: opened without peftsearch, they give the same logits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from peftsearch.core.dimensions import Scalar
from peftsearch.core.errors import UserError
from peftsearch.export.proof import expected_logits
from peftsearch.export.write import write_export, write_files
from peftsearch.predict.load import load_classifier
from peftsearch.results.stored_study import open_stored
from tests.export.test_standard import LABELS, MINILM, TEXTS, changed_everywhere
from tests.helpers.adapters import assert_same_logits, exported_adapters
from tests.helpers.records import complete, store
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of

Case = tuple[str, dict[str, Scalar]]

MERGING: tuple[Case, ...] = tuple((name, {}) for name in ("lora", "adalora", "vera", "loha", "lokr", "ia3"))
ON_BERT: tuple[Case, ...] = (
    ("lora", {"dora": True}),
    ("lora", {"initialization": "pissa", "rslora": True, "targets": "all"}),
    ("prefix", {"projection": True}),
    ("prefix", {"projection": False}),
)
"""Settings that change what the adapter is, and the method that only BERT's own classifier can express."""

CASES: dict[str, tuple[Case, ...]] = {
    "bert": (*MERGING, *ON_BERT),
    "distilbert": MERGING,
    "modernbert": MERGING,
    MINILM: (("lora", {"targets": "all"}),),
}


@pytest.mark.fresh_process
def test_an_adapter_opens_without_peftsearch_over_its_backbone_and_gives_the_same_logits(tmp_path: Path) -> None:
    found = list(exported_adapters(tmp_path, CASES))
    assert_same_logits(found)
    for one in found:
        described = json.loads((one.folder / "adapter_config.json").read_text(encoding="utf-8"))
        assert described["task_type"] == "SEQ_CLS"
        assert described["base_model_name_or_path"] == one.kept.config.backbone
        tensors = load_file(one.folder / "adapter_model.safetensors")
        assert not (one.folder / "model.safetensors").exists()
        assert any(name.endswith("classifier.weight") for name in tensors) or any(
            "out_proj" in name for name in tensors
        )


def test_an_adapter_is_small_where_its_backbone_is_large(tmp_path: Path) -> None:
    kept = changed_everywhere(MINILM, "lora", settings_of("lora", head="native"), tmp_path / "weights", 0.01)
    (out := tmp_path / "out").mkdir()
    write_files(kept, out, {"study": "toy"}, adapter=True)
    assert (out / "adapter_model.safetensors").stat().st_size < 200_000 < 80_000_000
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "library_name: peft\n" in card
    assert "base_model: sentence-transformers/all-MiniLM-L6-v2\n" in card
    assert (
        "PEFT opens this folder, which holds the adapter and the head. The backbone is read from the hub: "
        "sentence-transformers/all-MiniLM-L6-v2.\n"
    ) in card


def test_the_card_of_an_adapter_over_a_local_backbone_says_what_to_change(tmp_path: Path) -> None:
    kept = changed_everywhere(
        tiny_model(tmp_path / "model"), "lora", settings_of("lora", head="native"), tmp_path / "w"
    )
    (out := tmp_path / "out").mkdir()
    write_files(kept, out, {"study": "toy"}, adapter=True)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert (
        "The backbone is read from the local folder that `base_model_name_or_path` in `adapter_config.json` names: "
        "write there where it is on your machine.\n"
    ) in card
    assert str(tmp_path) not in card


REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("full", {"head": "native"}, "full adds no adapter to a backbone; leave out --adapter"),
    ("tfidf", {}, "tfidf adds no adapter to a backbone; leave out --adapter"),
    (
        "lora",
        {"head": "mlp"},
        "an adapter's folder cannot hold head: mlp; leave out --adapter, or choose a trial with head: native",
    ),
    (
        "unipelt",
        {"head": "native"},
        "AdapterHub itself lets gates average over padding, so its own format cannot hold this trial; leave out "
        "--adapter",
    ),
    (
        "prompt",
        {"head": "native"},
        "with prompt, PEFT hands the head a virtual token's state, on which it was not trained; leave out --adapter",
    ),
)


@pytest.mark.parametrize(("method", "changes", "reason"), REFUSED)
def test_what_no_adapter_can_say_is_refused_before_anything_is_done(
    method: str, changes: dict[str, Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = tiny_model(tmp_path / "model")
    trial = complete(0, method, 0.7, 10, 1.0, backbone=str(model), **settings_of(method, **changes))
    stored = open_stored("toy", store(tmp_path / "runs", [trial]))

    def again(number: int) -> None:
        raise AssertionError("trained for nothing")

    with pytest.raises(UserError) as caught:
        write_export(stored, 0, tmp_path / "out", again, adapter=True)
    assert str(caught.value) == f"--trial 0: {reason}"
    assert not (tmp_path / "out").exists()


def test_an_adapter_labels_with_peftsearch_as_long_as_its_backbone_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = tiny_model(tmp_path / "model")
    settings = settings_of("lora", head="native")
    kept = changed_everywhere(model, "lora", settings, tmp_path / "runs" / "toy" / "weights")
    url = store(tmp_path / "runs", [complete(0, "lora", 0.7, 10, 1.0, backbone=str(model), **settings)])
    said: list[str] = []
    write_export(open_stored("toy", url), 0, tmp_path / "out", adapter=True, say=said.append)
    assert re.search(r" labels 64 made-up texts, .*: 0 labels differ .*, logits by at most (0|\de-0[678])$", said[0])
    answers = load_classifier(tmp_path / "out").predict([text for (text,) in TEXTS])
    best = expected_logits(kept, TEXTS).argmax(axis=1)
    assert [answer["label"] for answer in answers] == [LABELS[place] for place in best]
    model.rename(tmp_path / "moved")
    with pytest.raises(UserError) as caught:
        load_classifier(tmp_path / "out")
    assert str(caught.value) == (
        f"{tmp_path / 'out'} holds an adapter, whose backbone is not found: no model folder {str(model)!r}; write a "
        "folder with config.json and model.safetensors, or a hub name"
    )
    described = tmp_path / "out" / "adapter_config.json"
    described.write_text(described.read_text(encoding="utf-8").replace(str(model), "moved"), encoding="utf-8")
    assert load_classifier(tmp_path / "out").predict([text for (text,) in TEXTS]) == answers

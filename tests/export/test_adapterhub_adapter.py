"""Adapters in AdapterHub's own format: opened without peftsearch, they give the same logits."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from peftsearch.backbones.loading import load_native, resolve
from peftsearch.core.config import TrialConfig
from peftsearch.core.dimensions import Scalar
from peftsearch.core.errors import UserError
from peftsearch.core.points import Point
from peftsearch.export.proof import expected_logits, made_up_rows, prove
from peftsearch.export.standard.adapterhub_adapter import write_adapterhub_adapter
from peftsearch.export.standard.folder import write_standard
from peftsearch.export.standard.forms import adapter_form_of
from peftsearch.export.write import write_files
from peftsearch.predict.load import load_classifier
from tests.export.test_standard import LABELS, MINILM, TEXTS, changed_everywhere
from tests.helpers.adapters import assert_same_logits, exported_adapters
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of

Case = tuple[str, dict[str, Scalar]]

NO_PREFIX: tuple[Case, ...] = (
    ("seq_bn", {}),
    ("double_seq_bn", {"top_layers": 1}),
    ("par_bn", {}),
    ("compacter", {}),
    ("loreft", {}),
    ("loreft", {"top_layers": 1}),
)
PREFIX: tuple[Case, ...] = (("prefix", {"projection": True}), ("prefix", {"projection": False}))
EVERY: tuple[Case, ...] = (*NO_PREFIX, ("mam", {}))

CASES: dict[str, tuple[Case, ...]] = {
    "bert": EVERY,  # PEFT has its prefix tuning
    "distilbert": (*EVERY, *PREFIX),
    MINILM: (("seq_bn", {}),),
}
if os.environ.get("PEFTSEARCH_EVERY_EXPORT"):
    CASES |= dict.fromkeys(("roberta", "xlm-roberta", "electra", "deberta-v2", "albert"), (*EVERY, *PREFIX))


@pytest.mark.fresh_process
def test_adapterhub_opens_its_methods_in_its_own_format_and_gives_the_same_logits(tmp_path: Path) -> None:
    found = list(exported_adapters(tmp_path, CASES))
    assert_same_logits(found)
    for one in found:
        assert one.form == "adapterhub_adapter"
        described = json.loads((one.folder / "adapter_config.json").read_text(encoding="utf-8"))
        assert described["model_name"] == one.kept.config.backbone
        assert str(tmp_path) not in (one.folder / "head_config.json").read_text(encoding="utf-8")
        assert {file.name for file in one.folder.iterdir()} >= {"adapter.safetensors", "model_head.safetensors"}
        assert not [*one.folder.glob("*.bin"), *one.folder.glob("model.safetensors")]


def test_the_proof_holds_and_peftsearch_labels_as_long_as_the_backbone_is_there(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "model")
    kept = changed_everywhere(model, "seq_bn", settings_of("seq_bn", head="native"), tmp_path / "weights")
    (out := tmp_path / "out").mkdir()
    form = write_files(kept, out, {"study": "toy"}, adapter=True)
    proof = prove(kept, form, out, made_up_rows(kept))
    assert (proof.rows, proof.changed, proof.largest < 1e-5) == (64, 0, True)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "library_name: adapter-transformers\n" in card
    assert (
        "AdapterHub's adapters opens this folder, which holds the adapter and the head. The backbone is read from the "
        "local folder that `model_name` in `adapter_config.json` names: write there where it is on your machine.\n"
    ) in card
    assert str(tmp_path) not in card
    answers = load_classifier(out).predict([text for (text,) in TEXTS])
    best = expected_logits(kept, TEXTS).argmax(axis=1)
    assert [answer["label"] for answer in answers] == [LABELS[place] for place in best]
    model.rename(tmp_path / "moved")
    with pytest.raises(UserError) as caught:
        load_classifier(out)
    assert str(caught.value) == (
        f"{out} holds an adapter, whose backbone is not found: no model folder {str(model)!r}; write a "
        "folder with config.json and model.safetensors, or a hub name"
    )


def test_the_revision_of_the_backbone_is_written(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "model")
    kept = changed_everywhere(model, "seq_bn", settings_of("seq_bn", head="native"), tmp_path / "weights")
    pinned = replace(resolve(str(model)), name="someone/model", kind="hub", revision="a" * 40)
    write_adapterhub_adapter(kept.classifier(), pinned, kept.config, LABELS, tmp_path / "out")
    described = json.loads((tmp_path / "out" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (described["model_name"], described["revision"]) == ("someone/model", "a" * 40)


@pytest.mark.parametrize(
    ("architecture", "method", "reason"),
    [
        ("modernbert", "seq_bn", "AdapterHub itself computes otherwise on modernbert"),
        ("mpnet", "loreft", "AdapterHub itself computes otherwise on mpnet"),
        ("bert", "unipelt", "AdapterHub itself lets gates average over padding"),
    ],
)
def test_what_adapterhub_itself_would_compute_otherwise_is_refused(
    architecture: str, method: str, reason: str, tmp_path: Path
) -> None:
    config = TrialConfig(str(tiny_model(tmp_path, architecture)), method, settings_of(method, head="native"))
    with pytest.raises(UserError) as caught:
        adapter_form_of(config, Point(7))
    assert str(caught.value) == (f"--trial 7: {reason}, so its own format cannot hold this trial; leave out --adapter")


def test_a_head_that_the_backbone_brings_is_replaced(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "model")
    other = load_native(resolve(str(model)), num_labels=len(LABELS) + 2)
    assert isinstance(other, PreTrainedModel)
    other.save_pretrained(model)
    kept = changed_everywhere(model, "seq_bn", settings_of("seq_bn", head="native"), tmp_path / "weights")
    (out := tmp_path / "out").mkdir()
    form = write_standard(kept, out, adapter=True)
    assert prove(kept, form, out, made_up_rows(kept)).largest < 1e-5

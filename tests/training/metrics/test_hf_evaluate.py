"""Metrics of 🤗 Evaluate, which would come from the hub, through a fake of `evaluate.load`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from peftsearch.core.errors import TrialFailure, UserError
from peftsearch.training.metrics import hf_evaluate as evaluate_metrics
from peftsearch.training.metrics.classification import classification_metrics
from peftsearch.training.metrics.hf_evaluate import check_computable, compute

LABELS = np.array([0, 1, 2, 2, 1])
LOGITS = np.eye(3)[[0, 1, 2, 1, 0]]


class Fake:
    def __init__(self, found: Any) -> None:
        self.found = found

    def compute(self, *, predictions: list[int], references: list[int]) -> Any:
        return self.found(references, predictions) if callable(self.found) else self.found


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Metric → what it gives, or what loading it raises."""
    known: dict[str, Any] = {}

    def load(path: str, *, module_type: str, keep_in_memory: bool) -> Fake:
        account, _, name = path.partition("/")
        assert (account, module_type, keep_in_memory) == ("evaluate-metric", "metric", True)
        if isinstance(known[name], Exception):
            raise known[name]
        return Fake(known[name])

    monkeypatch.setattr(evaluate, "load", load)
    evaluate_metrics._loaded.cache_clear()
    yield known
    evaluate_metrics._loaded.cache_clear()


def test_it_gets_references_and_predictions_as_class_ids(hub: dict[str, Any]) -> None:
    hub["kappa"] = lambda references, predictions: {"kappa": cohen_kappa_score(references, predictions)}
    found = classification_metrics(LOGITS, LABELS, ["evaluate:kappa"])
    assert found["evaluate:kappa"] == pytest.approx(cohen_kappa_score(LABELS, LOGITS.argmax(1)))
    assert found["accuracy"] == pytest.approx(0.6)
    check_computable(["macro_f1", "evaluate:kappa"], 3)


def test_a_single_value_needs_no_name_and_an_array_of_one_is_a_number(hub: dict[str, Any]) -> None:
    hub.update(exact={"exact_match": 0.25}, f1={"f1": np.array([0.5]), "other": 1.0})
    assert compute("evaluate:exact", LABELS, LABELS) == 0.25
    assert compute("evaluate:f1", LABELS, LABELS) == 0.5


def test_a_metric_that_is_not_finite_fails_the_trial(hub: dict[str, Any]) -> None:
    hub["x"] = {"x": float("nan")}
    with pytest.raises(TrialFailure, match="evaluate:x is nan on the validation split") as error:
        compute("evaluate:x", LABELS, LABELS)
    assert error.value.kind == "not_finite"


def average_is_binary(references: list[int], predictions: list[int]) -> Any:
    raise ValueError("Target is multiclass but average='binary'.\nPlease choose another average setting.")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            average_is_binary,
            "objective 'evaluate:m' cannot be computed from class ids: Target is multiclass but average='binary'."
            " Please choose another average setting.",
        ),
        (
            {"a": 1.0, "b": 2.0},
            "objective 'evaluate:m' cannot be computed from class ids: it gives 'a', 'b', and none is called 'm'",
        ),
        (
            {"m": [0.1, 0.2, 0.3]},
            "objective 'evaluate:m' cannot be computed from class ids: it gives 3 numbers, not one",
        ),
        (
            FileNotFoundError("Couldn't find a module script at /x/m.py.\nIt doesn't exist on the Hub either."),
            "objective 'evaluate:m': 🤗 Evaluate has no such metric, or the hub cannot be reached;"
            " check the name and the connection, or take macro_f1 instead",
        ),
        (
            ConnectionError("Couldn't reach https://huggingface.co"),
            "objective 'evaluate:m': 🤗 Evaluate has no such metric, or the hub cannot be reached;"
            " check the name and the connection, or take macro_f1 instead",
        ),
        (
            ImportError("To be able to use m, you need to install\nthe following: 'sacrebleu'"),
            "objective 'evaluate:m' needs packages to be installed:"
            " To be able to use m, you need to install the following: 'sacrebleu'",
        ),
    ],
)
def test_what_cannot_be_computed_is_told_in_one_line_before_training(
    hub: dict[str, Any], given: Any, message: str
) -> None:
    hub["m"] = given
    with pytest.raises(UserError) as error:
        check_computable(["evaluate:m"], 3)
    assert str(error.value) == message


def test_evaluates_own_loader_without_a_hub_gives_the_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The real loader, which must not take a script of the same name from the working directory."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "no_such_metric").mkdir()
    (folder / "no_such_metric" / "no_such_metric.py").write_text("raise SystemExit('a local script ran')")
    monkeypatch.chdir(folder)

    def no_hub(*_: Any, **__: Any) -> None:
        raise ConnectionError("no hub in a test")

    monkeypatch.setattr(evaluate.loading.HubEvaluationModuleFactory, "__init__", no_hub)
    evaluate_metrics._loaded.cache_clear()
    with pytest.raises(UserError, match="has no such metric, or the hub cannot be reached"):
        check_computable(["evaluate:no_such_metric"], 2)


def test_a_local_folder_s_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "evaluate-metric" / "planted"
    folder.mkdir(parents=True)
    (folder / "planted.py").write_text("open('ran', 'w').close()")
    with pytest.raises(UserError) as error:
        compute("evaluate:planted", np.array([0, 1]), np.array([0, 1]))
    assert str(error.value) == f"objective 'evaluate:planted': move {folder.parent} away; its code is not run"
    assert not (tmp_path / "ran").exists()

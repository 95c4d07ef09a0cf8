from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.measurement import ClassReport
from peftsearch.core.objectives import find_objective
from peftsearch.search.ehvi import counting
from peftsearch.search.ehvi.counting import Counter
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.trial_attributes import write_measurement
from peftsearch.study.spec import StudySpec, load_study
from tests.helpers.records import measurement
from tests.helpers.tiny import WIDTH, tiny_model


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> StudySpec:
    folder = tmp_path_factory.mktemp("counted")
    tiny_model(folder / "tiny")
    (folder / "study.yaml").write_text(
        f"name: counted\ndata: {{source: wordnet-nouns}}\nbackbones: [{folder / 'tiny'}]\n"
        "methods: {probe: {}, lora: {}, tfidf: {}}\n"
    )
    return load_study(str(folder / "study.yaml"))


def counter(spec: StudySpec, folder: Path, classes: int = 3) -> Counter:
    study = open_study(open_storage(f"sqlite:///{folder}/s.db", write=True), "counted", spec.objectives)
    if classes:
        trial = study.ask()
        labels = tuple("abcdef"[:classes])
        found = measurement(classes=ClassReport(labels, ()))
        write_measurement(trial, found)
        study.tell(trial, [find_objective(name).read(found) for name in spec.objectives])
    return Counter(spec, study)


def test_it_counts_what_a_proposal_would_train(spec: StudySpec, tmp_path: Path) -> None:
    count = counter(spec, tmp_path)
    head = 3 * (WIDTH + 1)
    assert count({"method": "probe", "probe.learning_rate": 1e-2, "probe.head": "linear"}) == head
    lora: dict[str, Any] = {"method": "lora", "lora.targets": "query_value", "lora.learning_rate": 1e-3}
    for rank in (4, 16):
        assert count({**lora, "lora.rank": rank}) == head + 2 * 2 * 2 * WIDTH * rank, "layers, targets, A and B"


def test_another_learning_rate_is_not_counted_again(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Any] = []
    monkeypatch.setattr(counting, "_count", lambda config, classes: counted.append(config) or 7)
    count = counter(spec, tmp_path)
    for rate, rank in ((1e-3, 4), (2e-3, 4), (1e-3, 8)):
        assert count({"method": "lora", "lora.learning_rate": rate, "lora.rank": rank}) == 7
    assert [config.settings["rank"] for config in counted] == [4, 8]


def test_nothing_is_known_without_classes_or_of_methods_that_read_texts(
    spec: StudySpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert counter(spec, tmp_path, classes=0)({"method": "probe"}) is None
    assert counter(spec, tmp_path)({"method": "tfidf"}) is None
    assert capsys.readouterr().err == ""


def test_what_cannot_be_counted_is_said_once(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("layers")

    monkeypatch.setattr("peftsearch.training.dry_run.trainable_by_epoch", broken)
    count = counter(spec, tmp_path)
    assert [count({"method": "probe"}) for _ in range(3)] == [None] * 3
    assert capsys.readouterr().err == (
        "the parameters of probe cannot be counted before it is trained (KeyError: 'layers')\n"
    )

"""What confirming trains, keeps and refuses; the training itself is faked but where that is the point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from peftsearch.confirm import run as confirm_module
from peftsearch.confirm.run import confirm, reseeded, run_once, searched_data
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.errors import TrialFailure, UserError
from peftsearch.core.measurement import ClassReport, SplitScores
from peftsearch.data.base import TextData
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirmations import SeedRun, read_openings, read_runs
from peftsearch.storage.records import Record
from peftsearch.storage.study_attributes import About, write_about
from peftsearch.training import trial as trial_module
from tests.helpers.records import complete, config, measurement, store
from tests.helpers.studies import STUDY, study
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

DATA = toy_data(48, 24)


def finished(number: int, method: str, macro_f1: float, parameters: int) -> Record:
    found = complete(number, method, macro_f1, parameters, float(parameters))
    return replace(found, measurement=measurement(macro_f1, parameters, data_fingerprint=DATA.fingerprint))


RECORDS = [
    finished(0, "full", 0.9, 1000),
    finished(1, "lora", 0.8, 100),
    finished(2, "tfidf", 0.7, 10),
    finished(3, "lora", 0.6, 2000),
    Record(4, "pruned", config("probe"), reason="trial 0 has 0.9"),
]


def faked(trial: int, config: TrialConfig, data: TextData, cache: Path) -> SeedRun:
    """Scores that follow from trial and seed."""
    seed, score = config.training.seed, 0.9 - 0.1 * trial + 0.001 * config.training.seed
    scores = SplitScores({"macro_f1": score - 0.05, "test_loss": 1.0}, ClassReport(("a", "b"), ((0, 0, 24),)))
    return SeedRun(trial, seed, 1.5, "2026-01-01T00:00:00+00:00", measurement(score, seed=seed), scores)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The (trial, seed) of every faked run."""
    calls: list[tuple[int, int]] = []

    def run(trial: int, config: TrialConfig, data: TextData, cache: Path) -> SeedRun:
        calls.append((trial, config.training.seed))
        return faked(trial, config, data, cache)

    monkeypatch.setattr(confirm_module, "run_once", run)
    return calls


@pytest.fixture
def stored(tmp_path: Path) -> StoredStudy:
    return open_stored("toy", store(tmp_path, RECORDS))


def go(stored: StoredStudy, trials: tuple[int | str, ...] = (), seeds: int = 3, data: TextData = DATA) -> list[str]:
    """What it says."""
    said: list[str] = []
    confirm(stored, data, trials, seeds, lambda _: None, said.append)
    return said


def test_by_default_the_front_with_the_next_seeds(stored: StoredStudy, ran: list[tuple[int, int]]) -> None:
    """Every trial with the first seed, then every one with the next: a stop leaves pairs. tfidf is run once."""
    go(stored)
    assert ran == [(0, 43), (1, 43), (2, 43), (0, 44), (1, 44), (0, 45), (1, 45)]


def test_best_and_numbers_each_once(stored: StoredStudy, ran: list[tuple[int, int]]) -> None:
    go(stored, ("best", 3, 0), seeds=1)
    assert ran == [(0, 43), (3, 43)]


def test_continuing_repeats_nothing_and_adds(stored: StoredStudy, ran: list[tuple[int, int]]) -> None:
    go(stored, (1,), seeds=2)
    assert go(stored, (1,), seeds=2) == ["all of these runs are already done"]
    assert ran == [(1, 43), (1, 44)]
    go(stored, (1, 2), seeds=3)
    assert ran[2:] == [(2, 43), (1, 45)]
    again = open_stored("toy", stored.url)
    assert [(run.trial, run.seed) for run in read_runs(again.study)] == [(1, 43), (1, 44), (1, 45), (2, 43)]


def test_what_is_kept_is_read_back(stored: StoredStudy, ran: list[tuple[int, int]]) -> None:
    go(stored, (0,), seeds=1)
    config = next(reseeded(RECORDS[0].config, 1))  # type: ignore[arg-type]
    assert read_runs(open_stored("toy", stored.url).study) == [faked(0, config, DATA, Path())]


def test_an_interruption_loses_the_run_in_hand(stored: StoredStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(trial: int, config: TrialConfig, *rest: Any) -> SeedRun:
        if config.training.seed == 44:
            raise KeyboardInterrupt
        return faked(trial, config, *rest)

    monkeypatch.setattr(confirm_module, "run_once", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(stored, (0,))
    assert [run.seed for run in read_runs(stored.study)] == [43]


def test_that_the_test_split_was_opened_is_written_down(stored: StoredStudy, ran: list[tuple[int, int]]) -> None:
    assert read_openings(stored.study) == []
    assert go(stored, (0, 1), seeds=1) == ["2 runs to do, about 20 s of training"]
    assert go(stored, (0,), seeds=2) == ["1 run to do, about 10 s of training"]
    [first, second] = read_openings(stored.study)
    assert (first.trials, second.trials) == ((0, 1), (0,))
    warning, _ = go(stored, (3,), seeds=1)
    assert warning == (
        f"note: the test split was opened before ({second.when}, trials 0, 1); "
        f"whoever chooses trials by their test scores makes these scores as optimistic as the validation scores"
    )


def test_it_is_written_down_before_the_first_look(stored: StoredStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> SeedRun:
        raise ValueError("in the middle")

    monkeypatch.setattr(confirm_module, "run_once", fails)
    with pytest.raises(ValueError, match="in the middle"):
        go(stored)
    assert [opening.trials for opening in read_openings(stored.study)] == [(0, 1, 2)]


ERRORS: list[tuple[int, str]] = [
    (9, "study 'toy' has no trial 9; its trials are 0 to 4"),
    (4, "--trial 4: it is pruned, and only complete trials can be trained again: 0, 1, 2, 3"),
]


@pytest.mark.parametrize(("trial", "message"), ERRORS)
def test_a_trial_that_cannot_be_confirmed(stored: StoredStudy, ran: list[Any], trial: int, message: str) -> None:
    with pytest.raises(UserError) as caught:
        go(stored, (0, trial))
    assert (str(caught.value), ran, read_openings(stored.study)) == (message, [], [])


def test_nothing_has_finished(tmp_path: Path, ran: list[Any]) -> None:
    empty = open_stored("toy", store(tmp_path, RECORDS[4:]))
    for trials in ((), ("best",)):
        with pytest.raises(UserError) as caught:
            go(empty, trials)
        assert (
            str(caught.value)
            == "study 'toy' has no front: no trial has finished yet; see peftsearch status --study toy"
        )


def test_other_data_than_in_the_search_is_refused(stored: StoredStudy, ran: list[Any]) -> None:
    with pytest.raises(UserError) as caught:
        go(stored, data=replace(DATA, fingerprint="other"))
    assert str(caught.value) == (
        "the data of 'toy' is not what trial 0 was trained on (fingerprint toy-48-24-0 then, other now); "
        "restore the data, or search again with --fork NEW_NAME"
    )
    assert (ran, read_openings(stored.study)) == ([], [])


def test_a_split_that_is_not_there_is_refused_before_training(stored: StoredStudy, ran: list[Any]) -> None:
    sealed = replace(DATA, splits={name: DATA.splits[name] for name in ("train", "validation")})
    with pytest.raises(UserError, match="the data has no test split"):
        go(stored, data=sealed)
    assert (ran, read_openings(stored.study)) == ([], [])


def test_a_loss_that_is_not_finite_is_kept_and_short_memory_tried_again(
    stored: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {0: "not_finite", 1: "out_of_memory"}
    calls: list[str] = []

    def run_trial(config: TrialConfig, *_: Any, **__: Any) -> Any:
        kind = kinds[0 if config.method == "full" else 1]
        calls.append(kind)
        raise TrialFailure(kind, "no")  # type: ignore[arg-type]

    monkeypatch.setattr(trial_module, "run_trial", run_trial)
    for _ in range(2):
        go(stored, (0, 1), seeds=1)
    assert calls == ["not_finite", "out_of_memory", "out_of_memory"]
    assert [run.failure for run in read_runs(stored.study)] == [
        {"kind": "not_finite", "message": "no"},
        {"kind": "out_of_memory", "message": "no"},
    ]


def test_training_does_not_get_the_test_split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[TextData] = []

    def run_trial(config: TrialConfig, data: TextData, *_: Any, **__: Any) -> Any:
        given.append(data)
        raise TrialFailure("not_finite", "far enough")

    monkeypatch.setattr(trial_module, "run_trial", run_trial)
    run_once(0, config("full"), DATA, tmp_path)
    assert list(given[0].splits) == ["train", "validation"]


@pytest.mark.parametrize("method", ["probe", "tfidf", "none"])
def test_the_same_seed_reproduces(tmp_path: Path, method: str) -> None:
    backbone = str(tiny_model(tmp_path / "bert"))
    training = TrainingConfig(epochs=2, batch_size=16, precision="fp32")
    original = TrialConfig(backbone, method, settings_of(method), training, max_length=24)
    [config] = reseeded(original, 1)
    assert (config.training.seed, replace(config, training=original.training)) == (43, original)
    runs = [run_once(0, config, DATA, tmp_path / "cache") for _ in range(2)]
    assert runs[0].test is not None
    assert runs[0].measurement is not None
    assert runs[0].test == runs[1].test
    assert (runs[0].seed, runs[0].measurement.seed) == (43, 43)
    if method != "tfidf":
        elsewhere = run_once(0, original, DATA, tmp_path / "cache")
        assert elsewhere.test is not None
        assert elsewhere.test.metrics["test_loss"] != runs[0].test.metrics["test_loss"]


def test_the_secrets_of_the_data_s_url_come_from_the_study(
    stored: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, read = "https://me:hush@host/rows.csv?sig=hush", []
    spec = study(STUDY.replace("rows.csv", f'"{url}"'))
    write_about(stored.study, About("", spec.data.model_dump(mode="json"), 3))
    monkeypatch.setattr("peftsearch.data.load.load_data", lambda section, *_: read.append(section.source) or DATA)
    assert searched_data(stored, spec) is DATA
    assert read == [url]
    with pytest.raises(UserError) as caught:
        searched_data(stored, study())
    assert (
        str(caught.value) == "the search read its data from a URL whose secrets are not kept; name it again with --data"
    )

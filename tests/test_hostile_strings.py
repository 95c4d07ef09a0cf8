"""Nothing of the user's is markup: hostile strings through every door that shows them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from optuna_dashboard._note import get_note_from_system_attrs

from peftsearch import api
from peftsearch.cli import main
from peftsearch.cli.shared.output import show
from peftsearch.confirm.confirmed import Confirmed
from peftsearch.confirm.summary import Confirmation
from peftsearch.core.escaping import html_text, on_one_line, visible
from peftsearch.core.measurement import ClassReport, SplitScores
from peftsearch.export.card.evidence import Evidence, TrainingRows
from peftsearch.export.card.how_to_load import how_to_load
from peftsearch.export.card.model_card import model_card
from peftsearch.predict.input import InputTexts
from peftsearch.report.confirmation import confirmation_view
from peftsearch.report.dashboard.serve import decorate
from peftsearch.report.figures.interactive import front_figure
from peftsearch.report.figures.picture import FrontPicture
from peftsearch.report.figures.save import save_front
from peftsearch.report.study_views import progress_view
from peftsearch.results.front import Row
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.confirmations import SeedRun
from peftsearch.storage.records import Record
from peftsearch.training.checkpoint import Checkpoint
from tests.helpers.hostile import HOSTILE, commands_in
from tests.helpers.records import OBJECTIVES, complete, config, measurement, report, store
from tests.helpers.tiny import WORDS, tiny_model

KEPT = [text for text in HOSTILE if not {"\x00", "\n"} & set(text)]
"""Those that data and study files may hold."""
ALL = " ".join(HOSTILE)


def records(text: str) -> list[Record]:
    """Trials in every state that carry `text` wherever a trial carries words."""
    classes = ClassReport((text, "dog"), ((0, 0, 3), (0, 1, 2), (1, 1, 4)))
    done = complete(0, "lora", 0.9, 1000, 10.0, backbone=f"tiny/{text}")
    failed = {
        "kind": "error",
        "message": f"ValueError: {text}",
        "traceback": f"Traceback\n  {text}\nValueError: {text}",
    }
    return [
        replace(done, measurement=measurement(0.9, 1000, classes=classes, device=text)),
        complete(1, "full", 0.95, 9000, 90.0, backbone=f"other/{text}"),
        Record(2, "pruned", config("probe", text), curve=(report(1, 0.3),), reason=text),
        Record(3, "failed", config("full", text), failure=failed),
        Record(4, "running", config("full", text), curve=(report(1, 0.3),)),
    ]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    return tmp_path


def run(*arguments: str, **options: Any) -> Result:
    result = CliRunner().invoke(main, list(arguments), **options)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not commands_in(result.output.replace("\x1b[", "") if options else result.output), result.output
    return result


def bare(text: str) -> str:
    """`text` as it is shown, without blanks, since tables break lines."""
    return re.sub(r"\s+", "", visible(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_results_of_a_study(work: Path, text: str) -> None:
    (work / "runs").mkdir()
    store(work / "runs", records(text))
    for command in ("status", "trials", "front --audit", "front --each-method", *(f"trial {n}" for n in range(5))):
        result = run(*command.split(), "--study", "toy")
        assert result.exit_code == 0, (command, result.output)
        data = run(*command.split(), "--study", "toy", "--json")
        json.loads(data.stdout)
    assert bare(text) in bare(run("trial", "3", "--study", "toy").stdout)


def test_a_terminal_gets_no_command_but_those_of_rich(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "runs").mkdir()
    store(work / "runs", records(ALL))
    monkeypatch.setenv("FORCE_COLOR", "1")
    for command in ("status", "trials", "front", *(f"trial {n}" for n in range(5))):
        output = CliRunner().invoke(main, [*command.split(), "--study", "toy"]).output
        assert not commands_in(re.sub(r"\x1b\[[\d;]*m", "", output)), command
        assert "[31mred" in output or "x1b" not in output
    show(*progress_view(records(ALL), OBJECTIVES, 9))


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\x00" not in text])
def test_lists_of_studies_and_their_goals(work: Path, text: str) -> None:
    (work / "studies").mkdir()
    document = {
        "name": "mails",
        "goal": text,
        "data": {"source": "rows.csv"},
        "backbones": ["m"],
        "methods": {"probe": {}},
    }
    (work / "studies" / "mails.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    result = run("studies")
    assert result.exit_code == 0
    assert "mails" in result.stdout
    for line in text.replace("\x85", "\n").split("\n"):
        assert bare(line) in bare(result.stdout)
    goals = [study["goal"] for study in json.loads(run("studies", "--json").stdout)]
    assert "".join(text.split()) in ["".join(goal.split()) for goal in goals]


def test_check_shows_goal_classes_and_texts(work: Path) -> None:
    tiny_model(work / "model")
    rows = [
        {"text": f"{text} {WORDS[n]} {WORDS[i]}", "label": f"l{text}"} for i, text in enumerate(KEPT) for n in range(10)
    ]
    (work / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    document = {
        "name": "toy", "goal": " ".join(KEPT), "backbones": ["model"], "methods": {"probe": {}},
        "data": {"source": "rows.jsonl", "splits": {"validation": 0.3, "test": 0.3}},
    }  # fmt: skip
    (work / "toy.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    result = run("check", "--study", "toy.yaml")
    assert result.exit_code == 0, result.output
    for text in ("[/b]", "[bold red]x[/]", ":warning:", r"\x1b[2J", r"\u202e"):
        assert text in result.stdout
    json.loads(run("check", "--study", "toy.yaml", "--json").stdout)


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\x00" not in text])
def test_errors_quote_what_was_given(work: Path, text: str) -> None:
    for arguments in (["status", "--study", text], ["status", "--study", "toy", "--storage", f"{text}://x"],
                      ["trial", text, "--study", "toy"], ["predict", text, "--text", "x"], [text]):  # fmt: skip
        assert run(*arguments).exit_code == 2


def test_predict_shows_texts_and_labels(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        inputs = InputTexts(("text",))

        def predict(self, texts: list[str], batch_size: int) -> list[dict[str, Any]]:
            return [{"label": text, "probability": 1.0, "probabilities": {text: 1.0}} for text in texts]

    monkeypatch.setattr(api, "load_classifier", lambda folder: Fake())
    given = [text for text in HOSTILE if "\x00" not in text]
    arguments = [part for text in given for part in ("--text", text)]
    lines = run("predict", "out", *arguments).stdout.splitlines()[1:]
    assert [line.split("  ")[0].strip() for line in lines if line.strip()] == [
        on_one_line(text).strip() for text in given
    ]
    assert [answer["label"] for answer in json.loads(run("predict", "out", *arguments, "--json").stdout)] == given


@pytest.mark.parametrize("text", HOSTILE)
def test_confirmations(capsys: pytest.CaptureFixture[str], text: str) -> None:
    record = records(text)[0]
    assert record.config is not None
    assert record.measurement is not None
    failed = SeedRun(0, 43, 1.0, "2026-01-01T00:00:00+00:00", failure={"kind": "error", "message": text})
    confirmed = Confirmed(record, record.config, record.measurement, (failed,), "macro_f1")
    show(*confirmation_view(Confirmation("toy", "macro_f1", (confirmed,), ())))
    assert not commands_in(capsys.readouterr().out)


@pytest.mark.parametrize("text", HOSTILE)
def test_notes_figures_and_model_cards(work: Path, text: str) -> None:
    stored = open_stored("toy", store(work, records(text)))
    decorate(stored)
    attributes = stored.storage.get_study_system_attrs(1)
    for trial in stored.study.get_trials():
        note = get_note_from_system_attrs(dict(attributes), trial._trial_id)["body"]
        assert_inert(note)
    for figure in ("front.png", "front.html"):
        save_front(FrontPicture(stored.rows(), stored.objectives, text), work / figure)
    front = front_figure(FrontPicture(stored.rows(), stored.objectives, text))
    assert front.layout.title.text == html_text(text)
    found = records(text)[0]
    assert found.config is not None
    assert found.measurement is not None
    kept = Checkpoint(0, work, found.config, found.measurement, (text, "dog"))
    about = {"study": "toy", "goal": text, "data": {"source": text, "text": "text"}}
    row = replace(stored.rows()[1], measurement=found.measurement)
    evidence = Evidence(rows=stored.rows(), objectives=stored.objectives, confirmed=confirmed_row(row), openings=(),
                        training=TrainingRows({text: 3, "dog": 5}))  # fmt: skip
    how = how_to_load("own_head", "text")
    card = model_card(kept, about, how, evidence)
    front_matter, _, body = card.removeprefix("---\n").partition("\n---\n")
    read = yaml.safe_load(front_matter)
    results = read.pop("model-index")[0]["results"]
    assert set(read) <= {"library_name", "pipeline_tag", "tags", "metrics"}, "a name on the hub is a plain one"
    assert len(results) == 2
    assert not any(commands_in(result["dataset"]["name"]) for result in results)
    needs = f"`pip install {' '.join(how.needs)}`"
    for words in ("```", "`abc`", needs, "`DIR`", '["a text"]', "![Quality against", "trials](front.png)"):
        assert words in body
        body = body.replace(words, "")
    assert_inert(body)


def confirmed_row(row: Row) -> Confirmed:
    assert row.measurement.classes is not None
    test = SplitScores({"macro_f1": 0.8, "accuracy": 0.8}, row.measurement.classes)
    run = SeedRun(0, 43, 1.0, "2026-01-01T00:00:00+00:00", row.measurement, test)
    return Confirmed(row.record, row.config, row.measurement, (run,), "macro_f1")


def assert_inert(markdown: str) -> None:
    assert "<" not in markdown
    assert not commands_in(markdown)
    assert "](" not in markdown.replace("\\](", "").replace("\\]\\(", "")

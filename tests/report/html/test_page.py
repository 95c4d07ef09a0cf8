"""The report of a study: one page, whole, with nothing from the network and nothing of the user's as markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from peftsearch.cli import main
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.measurement import ClassReport
from peftsearch.core.predictions import Predictions
from peftsearch.data.base import TextData
from peftsearch.data.load import load_data
from peftsearch.data.section import DataSection
from peftsearch.report.html.page import render
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.kept.predictions import write_predictions
from peftsearch.storage.records import Record
from tests.helpers.confirming import confirming
from tests.helpers.hostile import HOSTILE, commands_in
from tests.helpers.pages import Page
from tests.helpers.records import complete, config, measurement, report, store

REFERENCE = {"metrics": {"macro_f1": 0.5}, "seconds": 0.4, "fingerprint": "abc"}


def words_of(text: str) -> str:
    return " ".join(text.split())


def study(folder: Path, word: str, labels: tuple[str, ...] = ("cat", "dog"), fingerprint: str = "abc") -> StoredStudy:
    """A study in which `word` stands wherever words of a user's can."""
    cells = tuple((place, (place + 1) % len(labels), 3) for place in range(len(labels)))
    done = complete(0, "lora", 0.9, 1000, 10.0, backbone=f"tiny/{word}", targets=word, learning_rate=1e-3)
    measured = {"classes": ClassReport(labels, cells), "device": word, "data_fingerprint": fingerprint}
    failure = {"kind": "error", "message": f"ValueError: {word}", "traceback": word}
    known = [
        replace(done, measurement=measurement(0.9, 1000, **measured), worker={"host": f"{word}/1", "device": word}),
        complete(1, "full", 0.8, 9000, 90.0, backbone=f"other/{word}", learning_rate=1e-4),
        Record(2, "pruned", config("probe", word), curve=(report(1, 0.3),), reason=f"because {word}"),
        Record(3, "failed", config("full", word), failure=failure),
    ]
    about = {"goal": f"Which is best, {word}?", "data": {"source": word, "text": "text"}, "budget": 4}
    (folder / "runs").mkdir(exist_ok=True)
    return open_stored("toy", store(folder / "runs", known, about=about, reference=REFERENCE))


def prepared(folder: Path, labels: tuple[str, ...], text: str = "text") -> TextData:
    """The data of `study` as a search prepares it: each row is its split, a number and `text`."""
    names = {"train": "training", "validation": "checking", "test": "sealed"}
    for split, name in names.items():
        rows = [{"text": f"{name} {n} {text}", "label": label} for n in range(4) for label in labels]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    source = {split: f"{split}.jsonl" for split in names}
    section = DataSection(source=source, text="text", label="label", allow_overlap=True)
    return load_data(section, folder, RunFolder.of("toy").data)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", "--study", "toy", *arguments])


def test_the_page_is_whole_and_needs_no_network(work: Path) -> None:
    study(work, "plain")
    result = run("--out", "pages/report.html")
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"toy: its report is pages/report\.html \(4\.\d MB\)\n", result.output)
    text = Path("pages/report.html").read_text(encoding="utf-8")
    assert [file.name for file in Path("pages").iterdir()] == ["report.html"]
    page = Page(text)
    links = [value for _, found in page.elements for key, value in found.items() if key in ("href", "src", "action")]
    anchors = [found["id"] for _, found in page.elements if found.get("id")]
    assert links == [f"#{found['id']}" for found in page.named("section")]
    assert len(anchors) == len(set(anchors))
    assert sum("plotly.js v" in script for script in page.scripts) == 1
    policy = next(m["content"] for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_page_can_be_read_by_a_machine_that_reads_aloud(work: Path) -> None:
    page = Page(render(study(work, "plain")))
    assert page.named("html") == [{"lang": "en"}]
    assert len(page.named("h1")) == len(page.named("main")) == 1
    assert len(page.named("table")) == len(page.named("caption")) > 5
    assert {found.get("scope") for found in page.named("th")} == {"row", "col"}
    assert all(found["tabindex"] == "0" for found in page.named("figure")), "what scrolls is reached by the keyboard"
    plots = [found["class"] for found in page.named("figure") if found.get("class")]
    assert plots == ["plot wide", "plot wide", "plot", "plot"]
    assert len(page.named("figcaption")) == len(plots)


def test_it_answers_and_says_why(work: Path) -> None:
    words = words_of(Page(render(study(work, "plain"))).words)
    for said in (
        "Which is best, plain?",
        "Take trial 0, lora (lr 1e-3, targets plain). It has macro F1 0.9000 on validation, 1,000 trainable parameters",
        "Not confirmed: its scores are of one seed, on the rows by which it was chosen.",
        "1 of 2 finished trials is on the Pareto front",
        "For reference: TF-IDF + logistic regression reaches macro F1 0.500 in 0.4 s.",
        "The validation loss after each epoch",
        "because plain",
        "error: ValueError: plain",
        "Not trained to its end",
        "peftsearch optimize --study toy --trials 4",
        "source: plain; text: text",
        "test split openednever",
        "what the trial said of each row is not kept on this machine",
    ):
        assert said in words, said


def test_a_confirmed_trial_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = confirming(tmp_path, monkeypatch)
    work.go()
    words = words_of(Page(render(work.again())).words)
    assert "It is confirmed: it was trained again with other seeds" in words
    assert "Not confirmed" not in words
    assert "Measured on the test split" in words
    assert "seeds of the confirmation" in words


def test_the_surest_mistakes_are_of_the_validation_split(work: Path) -> None:
    data = prepared(work, ("cat", "dog"))
    stored = study(work, "plain", fingerprint=data.fingerprint)
    labels = np.asarray(data.splits["validation"]["label"])
    logits = np.zeros((len(labels), 2), dtype=np.float32)
    wrong = {2: 3.0, 5: 1.0, 6: 2.0}
    for row, label in enumerate(labels):
        logits[row, 1 - label if row in wrong else label] = wrong.get(row, 9.0)
    write_predictions(stored.folder.predictions(0), Predictions(logits, labels))
    text = render(stored)
    words = words_of(Page(text).words)
    texts = data.splits["validation"]["text"]
    places = [words.index(texts[row]) for row in (2, 6, 5)]
    assert places == sorted(places), "the surest first"
    assert f"0.953 {texts[2]}" in re.sub(r"(\d\.\d{3})(?=checking)", r"\1 ", words)
    assert texts[0] not in words
    assert "sealed" not in text
    assert texts[5] not in render(stored, texts=2)
    assert "checking" not in render(stored, texts=0)


def test_nothing_of_the_users_is_markup(work: Path) -> None:
    """A hostile study gives the same elements as a harmless one, and the words are shown."""
    kept = tuple(text for text in HOSTILE if not {"\x00", "\n"} & set(text))
    word = " ".join(HOSTILE)
    pages = {}
    for name, said, labels in (("bad", word, kept), ("good", "plain", tuple(f"label {n}" for n in range(len(kept))))):
        folder = work / name
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            data = prepared(folder, labels, said.replace("\x00", ""))
            stored = study(folder, said, data.labels, data.fingerprint)
            right = np.asarray(data.splits["validation"]["label"])
            logits = np.eye(len(labels), dtype=np.float32)[(right + 1) % len(labels)]
            write_predictions(stored.folder.predictions(0), Predictions(logits, right))
            pages[name] = render(stored)
    bad, good = Page(pages["bad"]), Page(pages["good"])
    shape = [(tag, sorted(found)) for tag, found in bad.elements]
    assert shape == [(tag, sorted(found)) for tag, found in good.elements]
    shown = pages["bad"].replace(next(script for script in bad.scripts if "plotly.js v" in script), "")
    assert not commands_in(shown.replace("\n", ""))
    for script in bad.scripts:
        if "plotly.js v" not in script:
            assert "<" not in script, "plotly writes it as \\u003c"
            drawn = script.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u002f", "/")
            assert set(re.findall("<[^>]*>?", drawn)) <= {"<b>", "</b>", "<br>", "<extra>", "</extra>"}
    assert "alert(1)" in bad.words
    assert "\\x1b[2J" in bad.words


def test_what_cannot_be_written_is_said(work: Path) -> None:
    study(work, "plain")
    result = run("--out", "report.pdf")
    assert result.exit_code == 2
    assert result.output.endswith("Error: --out report.pdf: a report is an HTML page; let the name end in .html\n")
    (work / "file").touch()
    result = run("--out", "file/report.html")
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_study_without_a_front(work: Path) -> None:
    (work / "runs").mkdir()
    store(work / "runs", [Record(0, "running", config("full"))])
    result = run("--out", "report.html")
    assert result.exit_code == 2
    assert "study 'toy' has no front: " in result.output
    assert not Path("report.html").exists()

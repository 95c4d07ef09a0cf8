"""What the dashboard gets to show, and that showing it again changes nothing."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs, save_note_with_version

from peftsearch.core.errors import UserError
from peftsearch.report.dashboard.serve import HOST, decorate, serve
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.records import Record
from tests.helpers.records import complete, config, report, store

PRUNED = Record(1, "pruned", config("probe"), curve=(report(1, 0.3),), reason="trial 0 has 0.9 | with less")


@pytest.fixture
def stored(tmp_path: Path) -> StoredStudy:
    return open_stored("toy", store(tmp_path, [complete(0, "lora", 0.9, 1000, 2.0), PRUNED]))


def attributes(stored: StoredStudy) -> dict[str, Any]:
    return dict(stored.storage.get_study_system_attrs(stored.study._study_id))


def note_of(stored: StoredStudy, number: int) -> str:
    trial_id = stored.study.get_trials()[number]._trial_id
    return get_note_from_system_attrs(attributes(stored), trial_id)["body"]


def test_the_study_has_one_figure_of_its_front(stored: StoredStudy) -> None:
    decorate(stored)
    figures = get_plotly_graph_objects(attributes(stored))
    assert set(figures) == {"front"}
    assert "1 of 1 finished trials is on the Pareto front" in figures["front"]


def test_the_study_s_note_has_the_answer_and_the_front(stored: StoredStudy) -> None:
    decorate(stored)
    note = get_note_from_system_attrs(attributes(stored), None)["body"]
    assert note.startswith("**toy: take trial 0, lora (lr 3.1e-4)**\n\n- macro F1 0.9000")
    assert "| trial | method | settings | validation macro F1 | trainable parameters | train time (s) |" in note
    assert "| 0 | lora | lr 3.1e-4 | 0.9000 | 1,000 | 2.00 |" in note
    assert note.endswith("below it.*")


def test_a_study_without_a_front_says_so_in_its_note(tmp_path: Path) -> None:
    decorate(other := open_stored("other", store(tmp_path, [PRUNED], "other")))
    assert get_note_from_system_attrs(attributes(other), None)["body"].startswith("other: ")
    assert get_plotly_graph_objects(attributes(other)) == {}


def test_notes_tell_settings_and_epochs_also_of_ended_trials(stored: StoredStudy) -> None:
    decorate(stored)
    assert "| learning_rate | 3.1e-4 |" in note_of(stored, 0)
    assert "| 3 | 0.3333 | 0.3667 | 0.9000 |" in note_of(stored, 0)
    assert "- pruned: trial 0 has 0.9 \\| with less" in note_of(stored, 1)


def test_again_writes_nothing_that_is_there_already(stored: StoredStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    decorate(stored)
    before, written = attributes(stored), list[str]()
    monkeypatch.setattr(type(stored.storage), "set_study_system_attr", lambda _, __, name, ___: written.append(name))
    decorate(stored)
    assert (attributes(stored), written) == (before, [])


def test_what_a_person_adds_below_the_line_is_kept(stored: StoredStudy) -> None:
    decorate(stored)
    trial_id = stored.study.get_trials()[1]._trial_id
    text = note_of(stored, 1).replace("0.3000", "0.0000") + "\n\nlook at this one again"
    save_note_with_version(stored.storage, stored.study._study_id, trial_id, 9, text)
    decorate(stored)
    assert note_of(stored, 1).endswith("below it.*\n\nlook at this one again")
    assert "0.3000" in note_of(stored, 1)


def test_a_note_that_was_there_first_is_kept(stored: StoredStudy) -> None:
    trial_id = stored.study.get_trials()[0]._trial_id
    save_note_with_version(stored.storage, stored.study._study_id, trial_id, 1, "mine")
    decorate(stored)
    assert note_of(stored, 0).endswith("below it.*\nmine")


def test_a_port_that_is_taken(stored: StoredStudy) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError) as caught:
            serve(stored, port)
    assert str(caught.value) == (
        f"--port {port}: cannot listen on 127.0.0.1 (Address already in use); choose another port"
    )


def test_it_is_served_on_loopback_without_a_line_for_each_request(
    stored: StoredStudy, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    arguments = (stored, port)
    threading.Thread(target=serve, args=arguments, daemon=True).start()
    with _ask(f"http://{HOST}:{port}/api/studies") as answer:
        assert json.load(answer)["study_summaries"][0]["study_name"] == "toy"
    assert capfd.readouterr() == ("", "")


def _ask(url: str) -> Any:
    """The answer, once the server is there."""
    for _ in range(100):
        try:
            return urllib.request.urlopen(url, timeout=10)
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")

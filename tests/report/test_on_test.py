"""Confirmed numbers beside those of the search: in every view, complete at any width, and as data."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from peftsearch.confirm.summary import Confirmation, confirmation
from peftsearch.core.points import Point
from peftsearch.report.dashboard.note import trial_note
from peftsearch.report.figures.interactive import front_figure
from peftsearch.report.figures.method_style import style_of
from peftsearch.report.figures.picture import FrontPicture
from peftsearch.report.figures.save import save_front
from peftsearch.report.on_test import cell_on_test, confirmed_points, on_test_json, score_on_test, sentences_on_test
from peftsearch.report.study_views import front_view, more_trials, status_view
from peftsearch.report.tables import trials_table
from peftsearch.report.trial_details import trial_details
from peftsearch.results.outlook.prospect import Prospect
from peftsearch.results.stored_study import StoredStudy
from peftsearch.storage.confirmations import SeedRun, write_run
from tests.confirm.test_summary import WRONG, stored
from tests.helpers.records import OBJECTIVES
from tests.report.test_study_views import printed


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StoredStudy:
    """Trials 0 and 1 with three seeds each; trial 2 was not confirmed, and a run of trial 0 failed."""
    found = stored(tmp_path_factory.mktemp("study"), {number: WRONG[number] for number in (0, 1)})
    failure = {"kind": "not_finite", "message": "loss is nan"}
    write_run(found.study, SeedRun(0, 99, 3.0, "2026-01-01T00:00:00+00:00", failure=failure))
    return found


@pytest.fixture(scope="module")
def found(study: StoredStudy) -> Confirmation:
    return confirmation(study)


def test_what_more_trials_bring_is_compared_with_the_seeds_of_the_confirmed_trials(
    study: StoredStudy, found: Confirmation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert more_trials(study) == [], "three trials tell nothing"
    prospect = Prospect(40, 0.5, 0.9, 0.01, 0.03)
    monkeypatch.setattr(StoredStudy, "prospect", lambda self: prospect)
    scores = [[run.measurement.metrics["macro_f1"] for run in row.counted if run.measurement] for row in found.rows]
    seeds = float(np.sqrt(np.mean([np.var(each, ddof=1) for each in scores])))
    assert [len(each) for each in scores] == [3, 3]
    assert more_trials(study) == [
        prospect.sentence("macro_f1"),
        f"that gain of macro F1 is no less than what another seed changes: {seeds:.4f}, the standard deviation between"
        " the seeds of the confirmed trials",
    ]


def test_a_cell_has_the_mean_and_its_interval(found: Confirmation) -> None:
    row = confirmed_points(found)[Point(0)]
    assert row.interval is not None
    assert cell_on_test(row) == f"{row.interval.mean:.3f} ({row.interval.low:.3f}–{row.interval.high:.3f})"
    assert cell_on_test(None) == "–"
    assert cell_on_test(replace(row, compared=None)) == f"{row.interval.mean:.3f}"


def test_a_sentence_says_of_how_many_seeds(found: Confirmation) -> None:
    row = confirmed_points(found)[Point(0)]
    assert row.interval is not None
    assert score_on_test(row) == (
        f"macro F1 {row.interval.mean:.4f} on test (95 % interval {row.interval.low:.4f} to {row.interval.high:.4f}, "
        f"3 seeds)"
    )
    one = replace(row, runs=row.runs[:1], compared=None)
    assert score_on_test(one) == f"macro F1 {one.test[43]:.4f} on test (1 seed)"


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_number_of_a_confirmed_front_is_cropped(study: StoredStudy, found: Confirmation, width: int) -> None:
    text = printed(*front_view(study), width=width)
    cells = [cell_on_test(row) for row in confirmed_points(found).values()]
    for word in (*cells, "0.9000", "22 M", "300,000", "40.00", "100 %", "1.4 %", "query_value"):
        assert word in text
    assert max(map(len, text.splitlines())) <= width


def test_only_what_was_confirmed_has_a_score_on_test(study: StoredStudy, found: Confirmation) -> None:
    lines = printed(trials_table(study.records(), "macro_f1", confirmed_points(found)), width=200).splitlines()
    assert [bool(re.search(r"\(0\.\d{3}–0\.\d{3}\)", line)) for line in lines[-3:]] == [True, True, False]
    assert "on test" not in printed(trials_table(study.records(), "macro_f1"), width=200)


def test_the_status_says_what_is_confirmed(study: StoredStudy, found: Confirmation) -> None:
    best = found.measured[0]
    said = ["2 trials are confirmed, best on test first: 0, 1", f"trial 0 has {score_on_test(best)}"]
    assert list(sentences_on_test(found)) == said
    assert printed(*status_view(study), width=200).splitlines()[-2:] == said
    assert list(sentences_on_test(replace(found, rows=()))) == []


def test_a_trial_shows_its_runs_with_other_seeds_and_why_one_failed(study: StoredStudy, found: Confirmation) -> None:
    text = printed(*trial_details(study.trial(0), OBJECTIVES, None, found))
    assert f"confirmed: {score_on_test(confirmed_points(found)[Point(0)])}" in " ".join(text.split())
    runs = text[text.index("trained again with other seeds") :].splitlines()
    assert [line.split()[0] for line in runs[3:7]] == ["43", "44", "45", "99"]
    assert runs[3].split()[1] == f"{confirmed_points(found)[Point(0)].test[43]:.4f}"
    assert runs[6].split()[1:] == ["–", "–", "–", "–", "not_finite:", "loss", "is", "nan"]
    assert "trained again" not in printed(*trial_details(study.trial(2), OBJECTIVES, None, found))


def test_the_dashboard_s_note_has_the_confirmed_score(study: StoredStudy, found: Confirmation) -> None:
    row = confirmed_points(found)[Point(1)]
    assert f"- confirmed: {score_on_test(row)}" in trial_note(study.trial(1), OBJECTIVES, [row])


def test_as_data(found: Confirmation) -> None:
    row = confirmed_points(found)[Point(0)]
    assert row.interval is not None
    assert on_test_json(row) == {
        "trial": 0,
        "epoch": None,
        "metric": "macro_f1",
        "test_mean": row.interval.mean,
        "test_low": row.interval.low,
        "test_high": row.interval.high,
        "seeds": [43, 44, 45],
        "may_be_best": True,
    }
    assert on_test_json(None) is None


def test_pictures_show_the_means_on_test_with_their_intervals(
    study: StoredStudy, found: Confirmation, tmp_path: Path
) -> None:
    picture = FrontPicture(study.rows(), OBJECTIVES, "toy", confirmed_points(found))
    figure = front_figure(picture)
    row = confirmed_points(found)[Point(0)]
    tested = [trace for trace in figure.data if trace.name == f"{row.config.method} on test"]
    assert len(tested) == 2, "one against each cost"
    assert sum(trace.name.endswith(" on test") for trace in figure.data) == 4
    assert tested[0].marker.symbol == f"{style_of(row.config.method).marker}-open"
    assert row.interval is not None
    assert row.interval.low is not None
    assert tested[0].y[0] == row.interval.mean
    assert tested[0].error_y.arrayminus[0] == pytest.approx(row.interval.mean - row.interval.low)
    assert figure.layout.yaxis.title.text == "validation macro F1; hollow: on test"
    save_front(picture, with_test := tmp_path / "with.png")
    save_front(replace(picture, confirmed={}), without := tmp_path / "without.png")
    assert with_test.read_bytes() != without.read_bytes()

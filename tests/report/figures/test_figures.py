"""Figures: what they show, and that both file types are really written."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from peftsearch.core.errors import UserError
from peftsearch.report.figures.interactive import curve_figure, front_figure
from peftsearch.report.figures.picture import GREY, FrontPicture, costs
from peftsearch.report.figures.save import save_front
from peftsearch.results.front import rows
from tests.helpers.records import OBJECTIVES, complete

RECORDS = [
    complete(0, "full", 0.90, 22_000_000, 40.0),
    complete(1, "lora", 0.88, 300_000, 20.0),
    complete(2, "probe", 0.70, 4_000, 5.0),
    complete(3, "lora", 0.60, 400_000, 21.0),
]
ROWS = rows(RECORDS, OBJECTIVES)


def test_the_front_is_coloured_by_method_and_the_rest_is_grey() -> None:
    traces = front_figure(FrontPicture(ROWS, OBJECTIVES, "a title")).data
    colours = {trace.name: trace.marker.color for trace in traces}
    assert set(colours) == {"dominated", "full", "lora", "probe"}
    assert colours.pop("dominated") == GREY
    assert len(set(colours.values()) - {GREY}) == 3
    dominated = [trace for trace in traces if trace.name == "dominated"]
    assert [(list(trace.x), list(trace.y)) for trace in dominated] == [([400_000.0], [0.60]), ([21.0], [0.60])]


def test_quality_stands_against_parameters_and_time_on_log_axes() -> None:
    figure = front_figure(FrontPicture(ROWS, OBJECTIVES, ""))
    axes = [(axis.title.text, axis.type) for axis in (figure.layout.xaxis, figure.layout.xaxis2)]
    assert axes == [("trainable parameters", "log"), ("train time (s)", "log")]
    assert figure.layout.yaxis.title.text == "validation macro F1"


def test_every_objective_that_is_no_quality_is_an_axis_and_there_is_always_one() -> None:
    assert costs(("macro_f1", "peak_memory_mb")) == ["peak_memory_mb"]
    assert costs(("macro_f1",)) == ["trainable_parameters", "train_seconds"]
    assert costs(("throughput", "macro_f1", "accuracy")) == ["throughput"]
    assert costs(("expected_calibration_error", "throughput")) == ["throughput"]


def test_html_needs_nothing_from_the_network(tmp_path: Path) -> None:
    save_front(FrontPicture(ROWS, OBJECTIVES, "toy: front"), file := tmp_path / "new" / "front.html")
    text = file.read_text()
    assert "toy: front" in text
    assert '<script src="http' not in text
    assert 'src="https://cdn' not in text


def test_png_is_an_image_with_the_colours_of_the_front(tmp_path: Path) -> None:
    save_front(FrontPicture(ROWS, OBJECTIVES, "toy: front"), file := tmp_path / "front.PNG")
    image = Image.open(file).convert("RGB")
    assert image.width > 1000
    assert {(0, 114, 178), (187, 187, 187)} <= {colour for _, colour in image.getcolors(1 << 24)}


def test_what_cannot_be_drawn_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        save_front(FrontPicture(ROWS, OBJECTIVES, ""), Path("front.pdf"))
    assert str(caught.value) == "--plot front.pdf: cannot draw .pdf; use .png or .html"
    with pytest.raises(UserError, match="nothing to plot yet: no trial has finished"):
        save_front(FrontPicture([], OBJECTIVES, ""), tmp_path / "front.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match=r"cannot be written \(Is a directory\); choose another file"):
        save_front(FrontPicture(ROWS, OBJECTIVES, ""), tmp_path / "folder.png")


def test_a_curve_has_losses_and_quality_by_epoch() -> None:
    figure = curve_figure(RECORDS[1], "macro_f1")
    traces = {trace.name: list(trace.y) for trace in figure.data}
    assert set(traces) == {"train loss", "validation loss", "macro F1"}
    assert traces["macro F1"] == pytest.approx([0.88 / 3, 0.88 * 2 / 3, 0.88])
    assert len(figure.to_json()) < 5_000


def test_what_costs_nothing_is_drawn_on_a_logarithmic_axis_too() -> None:
    records = [complete(0, "full", 0.9, 100, 40.0), complete(1, "none", 0.1, 0, 0.0)]
    traces = front_figure(FrontPicture(rows(records, OBJECTIVES), OBJECTIVES, "a title")).data
    places = {(trace.name, trace.xaxis): trace.x for trace in traces}
    assert places["none", "x"] == (50.0,)
    assert places["none", "x2"] == (20.0,)


def test_a_ring_marks_one_trial(tmp_path: Path) -> None:
    from matplotlib.image import imread

    drawn = {}
    for marked in (None, 0, 1):
        save_front(FrontPicture(ROWS, OBJECTIVES, "toy", marked=marked), file := tmp_path / f"{marked}.png")
        drawn[marked] = imread(file)
    changed = {marked: (drawn[marked] != drawn[None]).any(axis=2).nonzero() for marked in (0, 1)}
    assert all(500 < len(rows) < 5_000 for rows, _ in changed.values()), "one ring in each of two plots"
    assert changed[0][0].mean() != changed[1][0].mean(), "each at its own height"

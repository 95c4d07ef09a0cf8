"""Figures: what they show, and that both file types are really written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from peftsearch.core.errors import UserError
from peftsearch.core.points import Point
from peftsearch.report.figures.interactive import front_figure
from peftsearch.report.figures.method_style import STYLES, style_of
from peftsearch.report.figures.picture import FrontPicture, front_picture
from peftsearch.report.figures.png import MARKERS
from peftsearch.report.figures.points import costs
from peftsearch.report.figures.save import save_front
from peftsearch.results.front import rows
from peftsearch.results.reference import Reference
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.records import Record
from tests.helpers.records import OBJECTIVES, complete, config, report, store

RECORDS = [
    complete(0, "full", 0.90, 22_000_000, 40.0),
    complete(1, "lora", 0.88, 300_000, 20.0),
    complete(2, "probe", 0.70, 4_000, 5.0),
    complete(3, "lora", 0.60, 400_000, 21.0),
    Record(4, "pruned", config("bitfit"), curve=(report(1, 0.5), report(2, 0.4)), reason="trial 1 <dominates> it"),
    Record(5, "pruned", config("bitfit"), reason="no room"),
    Record(6, "failed", config("bitfit"), curve=(report(1, 0.5),)),
]
ROWS = rows(RECORDS, OBJECTIVES)
REFERENCE = Reference({"macro_f1": 0.75}, 0.1, "abc")
WHOLE = FrontPicture(ROWS, OBJECTIVES, "a title", others=RECORDS, reference=REFERENCE)


def drawn(picture: FrontPicture, axis: str = "x") -> list[Any]:
    """The traces of the markers against one cost."""
    return [t for t in front_figure(picture).data if t.mode == "markers" and t.xaxis == axis and t.x[0] is not None]


def test_every_trial_has_its_method_s_marker_strong_on_the_front_and_pale_otherwise() -> None:
    traces = [(trace.name, trace.marker.symbol, trace.marker.color, list(trace.y)) for trace in drawn(WHOLE)]
    full, lora, probe, bitfit = (style_of(name) for name in ("full", "lora", "probe", "bitfit"))
    assert traces == [
        ("lora", lora.marker, lora.pale, [0.60]),
        ("bitfit", bitfit.marker, bitfit.pale, [0.5]),
        ("full", full.marker, full.colour, [0.90]),
        ("lora", lora.marker, lora.colour, [0.88]),
        ("probe", probe.marker, probe.colour, [0.70]),
    ]


def test_a_pruned_trial_stands_at_its_best_epoch_and_at_what_it_has_spent() -> None:
    (stopped,) = [point for point in WHOLE.points if point.kind == "stopped early"]
    assert (stopped.point.trial, stopped.quality, stopped.costs) == (
        4, 0.5, {"trainable_parameters": 1000.0, "train_seconds": 6.0},
    )  # fmt: skip
    hover = next(trace.text[0] for trace in drawn(WHOLE) if trace.name == "bitfit")
    assert "macro F1 after 2 epochs: 0.5000<br>stopped early: trial 1 &lt;dominates&gt; it" in hover
    memory = FrontPicture(ROWS, ("macro_f1", "peak_memory_mb"), "", others=RECORDS)
    assert memory.methods == ["full", "lora", "probe"], "what a stopped trial would need is unknown"


def test_the_legend_has_every_method_once_in_its_strong_colour() -> None:
    shown = [trace for trace in front_figure(WHOLE).data if trace.showlegend is None]
    assert [(trace.name, trace.marker.color) for trace in shown] == [
        (name, style_of(name).colour) for name in ("full", "lora", "probe", "bitfit")
    ]


def test_the_line_joins_the_best_for_their_cost() -> None:
    records = [
        complete(0, "full", 0.90, 22_000_000, 40.0),
        complete(1, "lora", 0.80, 300_000, 20.0),
        complete(2, "probe", 0.85, 4_000, 30.0),
    ]
    found = FrontPicture(rows(records, OBJECTIVES), OBJECTIVES, "")
    assert all(row.on_front for row in found.rows)
    lines = [trace for trace in front_figure(found).data if trace.mode == "lines"]
    assert [(list(line.x), list(line.y), line.line.shape) for line in lines] == [
        ([4_000, 22_000_000], [0.85, 0.90], "hv"),
        ([20, 30, 40], [0.80, 0.85, 0.90], "hv"),
    ]


def test_tf_idf_is_a_line_with_its_score() -> None:
    figure = front_figure(WHOLE)
    assert {shape.y0 for shape in figure.layout.shapes} == {0.75}
    assert figure.layout.annotations[0].text == "TF-IDF: 0.7500"
    assert not front_figure(FrontPicture(ROWS, OBJECTIVES, "")).layout.shapes
    assert FrontPicture(ROWS, ("accuracy",), "", reference=REFERENCE).reference_line is None


def test_the_title_says_how_many_of_which_trials_are_on_the_front(tmp_path: Path) -> None:
    stored = open_stored("toy", store(tmp_path, RECORDS))
    assert front_picture(stored).title == "toy: 3 of 4 finished trials are on the Pareto front; 2 were stopped early"


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
    assert "<title>toy: front</title>" in text
    assert '<html lang="en">' in text
    assert text.count("strong: on the Pareto front") == 1
    assert '<script src="http' not in text
    assert 'src="https://cdn' not in text


def test_png_is_an_image_with_the_colours_of_the_front(tmp_path: Path) -> None:
    save_front(FrontPicture(ROWS, OBJECTIVES, "toy: front"), file := tmp_path / "front.PNG")
    image = Image.open(file).convert("RGB")
    assert image.width > 1000
    assert {(0, 114, 178), (0xEC, 0xB7, 0x8C)} <= {colour for _, colour in image.getcolors(1 << 24)}


def test_what_cannot_be_drawn_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        save_front(FrontPicture(ROWS, OBJECTIVES, ""), Path("front.pdf"))
    assert str(caught.value) == "--plot front.pdf: cannot draw .pdf; use .png or .html"
    with pytest.raises(UserError, match="nothing to plot yet: no trial has finished"):
        save_front(FrontPicture([], OBJECTIVES, ""), tmp_path / "front.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match=r"cannot be written \(Is a directory\); choose another file"):
        save_front(FrontPicture(ROWS, OBJECTIVES, ""), tmp_path / "folder.png")


def test_what_costs_nothing_is_drawn_on_a_logarithmic_axis_too() -> None:
    records = [complete(0, "full", 0.9, 100, 40.0), complete(1, "none", 0.1, 0, 0.0)]
    traces = front_figure(FrontPicture(rows(records, OBJECTIVES), OBJECTIVES, "a title")).data
    places = {(trace.name, trace.xaxis): trace.x for trace in traces if trace.x[0] is not None}
    assert places["none", "x"] == (50.0,)
    assert places["none", "x2"] == (20.0,)


def test_a_ring_marks_one_trial(tmp_path: Path) -> None:
    from matplotlib.image import imread

    drawn = {}
    for marked in (None, Point(0), Point(1)):
        save_front(FrontPicture(ROWS, OBJECTIVES, "toy", marked=marked), file := tmp_path / f"{marked}.png")
        drawn[marked] = imread(file)
    changed = {marked: (drawn[marked] != drawn[None]).any(axis=2).nonzero() for marked in drawn if marked}
    assert all(500 < len(rows) < 5_000 for rows, _ in changed.values()), "one ring in each of two plots"
    assert changed[Point(0)][0].mean() != changed[Point(1)][0].mean(), "each at its own height"


def test_matplotlib_has_a_shape_of_its_own_for_every_marker() -> None:
    assert {style.marker for style in STYLES.values()} <= set(MARKERS)
    assert len({str(shape) for shape in MARKERS.values()}) == len(MARKERS)

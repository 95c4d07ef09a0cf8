"""The report's own figures: parallel coordinates and learning curves."""

from __future__ import annotations

import pytest

from peftsearch.report.figures.method_style import STYLES
from peftsearch.report.html.blocks import as_sentence
from peftsearch.report.html.curves import curves_figure
from peftsearch.report.html.parallel import Axis, parallel_figure
from peftsearch.results.front import rows
from peftsearch.storage.records import Record
from tests.helpers.records import OBJECTIVES, complete, config, report


def test_numbers_stand_between_the_least_and_the_greatest() -> None:
    axis = Axis("x", [1, 3, None, 5], ["1", "3", "", "5"])
    assert axis.places() == [0, 0.5, None, 1]
    assert axis.ticks() == {0: "1", 1: "5"}


def test_a_logarithmic_axis() -> None:
    axis = Axis("x", [1e-4, 1e-3, 1e-2], ["low", "middle", "high"], log=True)
    assert axis.places() == pytest.approx([0, 0.5, 1])
    assert list(axis.ticks().values()) == ["low", "high"]


def test_options_stand_at_equal_distances_each_with_its_name() -> None:
    axis = Axis("x", ["mlp", "linear", None, "native"], ["mlp", "linear", "", "native"])
    assert axis.places() == [0.5, 0, None, 1]
    assert axis.ticks() == {0: "linear", 0.5: "mlp", 1: "native"}


def test_a_single_value_stands_in_the_middle() -> None:
    assert Axis("x", [4, 4], ["4", "4"]).places() == [0.5, 0.5]


def test_a_line_passes_by_an_axis_on_which_its_trial_has_nothing() -> None:
    found = rows(
        [
            complete(0, "lora", 0.9, 100, 10.0, learning_rate=1e-3, rank=4),
            complete(1, "lora", 0.8, 200, 20.0, learning_rate=1e-4, rank=8),
            complete(2, "full", 0.95, 9000, 90.0, learning_rate=1e-5),
        ],
        OBJECTIVES,
    )
    figure = parallel_figure(found, OBJECTIVES)
    labels = [label.replace("<br>", " ") for label in figure.layout.xaxis.ticktext]
    costs = ["validation macro F1", "trainable parameters", "train time (s)"]
    assert labels == ["learning rate", "rank", *costs], "settings in which no trial differs have no axis"
    lines = {(trace.name, trace.line.color): trace for trace in figure.data}
    full, best, dominated = STYLES["full"].colour, STYLES["lora"].colour, STYLES["lora"].pale
    assert lines.keys() == {("full", full), ("lora", best), ("lora", dominated)}
    assert list(lines["full", full].x) == [0, 2, 3, 4, None]
    assert list(lines["lora", best].x) == [0, 1, 2, 3, 4, None]
    assert lines["lora", best].text[1] == "<b>trial 0: lora</b><br>rank: 4"
    drawn = [(trace.name, trace.showlegend) for trace in figure.data]
    assert drawn == [("lora", False), ("full", True), ("lora", True)], "the front is drawn over the others"


def test_curves_have_their_methods_colours_and_stopped_ones_are_dotted() -> None:
    known = [
        complete(0, "lora", 0.9, 100, 10.0),
        Record(1, "pruned", config("lora"), curve=(report(1, 0.2), report(2, 0.3))),
        complete(2, "full", 0.8, 100, 10.0),
        Record(3, "waiting"),
    ]
    figure = curves_figure(known, "validation macro F1", lambda epoch: epoch.metrics["macro_f1"])
    assert [(trace.name, trace.line.dash, trace.showlegend) for trace in figure.data] == [
        ("full", "solid", True),
        ("lora", "solid", True),
        ("lora", "dot", False),
    ]
    assert list(figure.data[2].x) == [1, 2, None]
    assert list(figure.data[2].y) == [0.2, 0.3, None]
    assert figure.data[1].line.color == STYLES["lora"].colour
    assert "trial 1: lora" in figure.data[2].text[0]


@pytest.mark.parametrize(("clause", "said"), [("take it", "Take it."), ("is it?", "Is it?"), ("", ".")])
def test_clauses_become_sentences(clause: str, said: str) -> None:
    assert as_sentence(clause) == said
